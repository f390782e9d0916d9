"""Contact histories from the store, as the columns that contact policies count."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from feature_store.contacts import FIELDS, RESERVATION, Kept
from feature_store.history import MAX_RECORDS, RECORD
from feature_store.keys import HISTORY, RESERVATIONS, account_key, customer_key
from feature_store.records import packed
from feature_store.store import CustomerRows
from feature_store.unpacking import unpack_contacts
from service.decisioning.touches import Touches
from service.runtime.requests import DecisionRequest

NEVER_WRITTEN = Kept()

Blobs = Sequence[bytes | None]


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


@dataclass(frozen=True)
class BatchContacts:
    """The contacts of a batch of requests; `rows` has what was read of each, None where that failed.
    `by_account` tells whether contacts of accounts were read."""

    requests: Sequence[DecisionRequest]
    rows: CustomerRows | None
    by_account: bool

    def __getitem__(self, row: int) -> Contacts:
        """Those of one request."""
        customer, account_id = self._customer(row), self.account_ids[row]
        account = None
        if self.by_account and self.rows is not None:
            account = customer if account_id is None else self.rows.accounts[row]
        return Contacts(customer_key(self.requests[row].customer_key), account_id, customer, account)

    def _customer(self, row: int) -> Kept | None:
        if self.rows is None or self.rows.unread[row]:
            return None
        return Kept(*(self.rows.also[field][row] for field in FIELDS))

    @cached_property
    def account_ids(self) -> Sequence[str | None]:
        """The account of each request, as far as accounts were asked for."""
        if not self.by_account:
            return [None] * len(self.requests)
        if self.rows is None:
            return [request.account_id for request in self.requests]
        return self.rows.account_ids

    def of_customers(self) -> Touches | None:
        """The contacts of the customers as columns; None where nobody has any."""
        if self.rows is None:
            return _touches([None] * len(self.requests), (), np.ones(len(self.requests), np.bool_))
        return _touches(self.rows.also[HISTORY], self.rows.also[RESERVATIONS], self.rows.unread)

    def of_accounts(self) -> Touches | None:
        """The contacts of the accounts as columns; None where nobody has any."""
        return touches_of([self[row].account for row in range(len(self.requests))])


def touches_of(kept: Sequence[Kept | None]) -> Touches | None:
    """Contacts as columns; None where nobody has any."""
    known = [one or NEVER_WRITTEN for one in kept]
    return _touches(
        [one.history for one in known],
        [one.reservations for one in known],
        np.array([one is None for one in kept], np.bool_),
    )


def _touches(histories: Blobs, reservations: Blobs, unknown: NDArray[np.bool_]) -> Touches | None:
    """The contacts of n customers as columns; `unknown` (n) tells of whom they could not be read."""
    reserves = any(reservations)
    if not (any(histories) or reserves or unknown.any()):
        return None
    data, sizes = packed([*histories, *reservations] if reserves else histories)
    words, rows, expires, since = unpack_contacts(
        data, sizes, unknown, MAX_RECORDS, RECORD.itemsize, RESERVATION.itemsize
    )
    return Touches(records=words.view(RECORD), rows=rows, expires=expires, since=since)
