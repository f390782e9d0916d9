"""Contact histories from the store, as the columns that contact policies count."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feature_store.contacts import FIELDS, RESERVATION, Kept
from feature_store.history import MAX_RECORDS, unpack
from feature_store.keys import account_key, customer_key
from feature_store.store import CustomerRows
from service.decisioning.contact import Contact
from service.decisioning.touches import Touches
from service.runtime.requests import DecisionRequest

NEVER_WRITTEN = Kept()


@dataclass(slots=True)
class Contacts:
    """What is kept of the contacts of one request: under the customer's key, and under that of the account.
    Who has no account is one by themselves. None is what could not be read."""

    customer_key: bytes
    account_id: str | None
    customer: Kept | None
    account: Kept | None

    @property
    def account_key(self) -> bytes:
        """The key under which contacts of the account are."""
        return self.customer_key if self.account_id is None else account_key(self.account_id)


def contacts_of(
    contact: Contact, requests: Sequence[DecisionRequest], positions: Sequence[int], rows: CustomerRows | None
) -> list[Contacts]:
    """The contacts of requests, each at its position of a read; `rows` is None where that failed."""
    return [
        _contacts(contact, request, position, rows)
        for request, position in zip(requests, positions, strict=True)
    ]


def _contacts(
    contact: Contact, request: DecisionRequest, position: int, rows: CustomerRows | None
) -> Contacts:
    key = customer_key(request.customer_key)
    if rows is None:
        return Contacts(key, request.account_id if contact.reads_accounts else None, None, None)
    kept = None
    if not rows.unread[position]:
        kept = Kept(*(rows.also[field][position] for field in FIELDS))
    if not contact.reads_accounts:
        return Contacts(key, None, kept, None)
    account_id = rows.account_ids[position]
    return Contacts(key, account_id, kept, kept if account_id is None else rows.accounts[position])


def touches_of(kept: Sequence[Kept | None]) -> Touches | None:
    """The contacts of a batch as columns; None where nobody has any."""
    if not any(one is None or one.history or one.reservations for one in kept):
        return None
    known = [one or NEVER_WRITTEN for one in kept]
    records, offsets = unpack([one.history for one in known])
    sizes = np.diff(offsets)
    reserved, of_reserved = _reserved([one.reservations for one in known])
    since = np.where([one is None for one in kept], np.inf, -np.inf)
    full = np.flatnonzero(sizes >= MAX_RECORDS)
    since[full] = records["time"][offsets[full]]
    return Touches(
        records=np.concatenate([records, reserved["record"]]),
        rows=np.concatenate([np.repeat(np.arange(len(kept)), sizes), of_reserved]),
        expires=np.concatenate([np.full(len(records), np.inf), reserved["expires"]]),
        since=since,
    )


def _reserved(blobs: Sequence[bytes | None]) -> tuple[NDArray[np.void], NDArray[np.intp]]:
    """The reservations of a batch, and the row of each."""
    size = RESERVATION.itemsize
    counts = [len(blob) // size if blob else 0 for blob in blobs]
    whole = b"".join(blob[: count * size] for blob, count in zip(blobs, counts, strict=True) if blob)
    return np.frombuffer(whole, RESERVATION), np.repeat(np.arange(len(blobs)), counts)
