"""Requests that wait for their answer, and the batch that they become."""

import asyncio
import os
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_store.event import Event
from feature_store.offers import FIELD as OFFERS
from feature_store.offers import unpack_offers
from feature_store.store import CustomerRows
from service.decisioning.batch import Batch
from service.decisioning.draws import Keys, keys_of
from service.decisioning.snapshot import Snapshot
from service.runtime.contacts import BatchContacts
from service.runtime.decision import Decision
from service.runtime.live import Live
from service.runtime.offers import binding
from service.runtime.requests import CheckedRequest, DecisionRequest, InvalidRequest
from service.runtime.units import account_units


@dataclass(slots=True)
class Pending:
    """A request that waits for its answer. Times are of `time.perf_counter`: when it came, by when it is
    answered, until when features may be waited for, and until when it may be waited for what is written
    before the answer leaves. `seed` is what its draws are made from, and
    `position` its row in what was read; `foreseen` has events that it is to see though they are not stored,
    and `degraded` what was missing before it was read."""

    request: DecisionRequest
    arrived: float
    deadline: float
    read_until: float
    written_until: float
    answer: "asyncio.Future[Decision]"
    decision_id: str = ""
    seed: int = 0
    checked: CheckedRequest | None = None
    position: int = -1
    foreseen: tuple[Event, ...] = ()
    degraded: tuple[str, ...] = ()

    def tell(self, answer: Decision) -> None:
        """Answer the request, if its client is still there."""
        if not self.answer.done():
            self.answer.set_result(answer)

    @property
    def fit(self) -> CheckedRequest:
        assert self.checked is not None, "only checked requests are decided"  # noqa: S101
        return self.checked


def fitting(live: Live, batch: list[Pending]) -> list[Pending]:
    """The requests that fit the snapshot, each with an id and a position; the others are told what is wrong
    with them."""
    check = live.checker.check
    fit: list[Pending] = []
    for pending, (decision_id, seed) in zip(batch, random_ids(len(batch)), strict=True):
        if pending.answer.done():  # its client has gone
            continue
        try:
            pending.checked = check(pending.request)
        except InvalidRequest as error:
            pending.answer.set_exception(error)
            continue
        pending.decision_id, pending.seed, pending.position = decision_id, seed, len(fit)
        fit.append(pending)
    return fit


def random_ids(count: int) -> Iterator[tuple[str, int]]:
    """UUIDs of version 4 (RFC 9562), by one call of the system, each with its lower 64 bits."""
    drawn = bytearray(os.urandom(16 * count))
    drawn[6::16] = bytes([byte & 0x0F | 0x40 for byte in drawn[6::16]])
    drawn[8::16] = bytes([byte & 0x3F | 0x80 for byte in drawn[8::16]])
    hex_ = drawn.hex()
    ids = [
        f"{hex_[at : at + 8]}-{hex_[at + 8 : at + 12]}-{hex_[at + 12 : at + 16]}"
        f"-{hex_[at + 16 : at + 20]}-{hex_[at + 20 : at + 32]}"
        for at in range(0, 32 * count, 32)
    ]
    return zip(ids, struct.unpack(f">{2 * count}Q", drawn)[1::2], strict=True)


def contacts_for(snapshot: Snapshot, due: list[Pending], rows: CustomerRows | None) -> BatchContacts | None:
    """The contacts of the requests; None where no policy counts them."""
    if not snapshot.contact.frequencies:
        return None
    positions = [pending.position for pending in due]
    return BatchContacts([p.request for p in due], positions, rows, snapshot.contact.reads_accounts)


def columns(
    live: Live,
    due: list[Pending],
    rows: CustomerRows | None,
    contacts: BatchContacts | None,
    now: float,
) -> Batch:
    """The requests as columns: stored features under the context, defaults where both are silent."""
    snapshot, catalogue = live.snapshot, live.snapshot.catalogue
    consents, promises = None, None
    if rows is None:
        X = np.full((len(due), snapshot.schema.width), np.nan)
    else:
        X = rows.X[[pending.position for pending in due]]
        consents = live.consents.decode([rows.consents[pending.position] for pending in due])
        if snapshot.offers:
            kept = [unpack_offers(rows.also[OFFERS][pending.position], now) for pending in due]
            promises = binding(snapshot, kept, now)
    _put(X, [pending.fit.context for pending in due])
    np.copyto(X, snapshot.schema.defaults, where=np.isnan(X))
    limits = np.zeros((len(due), len(catalogue.slots)), dtype=np.int32)
    _put(limits, [pending.fit.slots for pending in due])
    deadlines = np.array([pending.deadline for pending in due])
    return Batch(
        X=X,
        now=np.full(len(due), now),
        channel=np.array([pending.fit.channel for pending in due], dtype=np.intp),
        limits=limits,
        scored=deadlines > time.perf_counter(),
        excluded=_excluded(due, len(catalogue.actions)),
        consents=consents,
        promises=promises,
        touches=contacts.of_customers() if contacts else None,
        account_touches=contacts.of_accounts() if contacts and contacts.by_account else None,
        seeds=np.array([p.seed for p in due], np.uint64) if snapshot.leaves_to_chance else None,
        units=keys_of([p.request.customer_key for p in due]) if snapshot.experiments.needs_units else None,
        account_units=_account_units(due, rows) if snapshot.experiments.needs_accounts else None,
    )


def _put(matrix: NDArray[Any], entries: Sequence[Sequence[tuple[int, float]]]) -> None:
    """Write the (column, number) pairs of each row into a matrix."""
    width = matrix.shape[1]
    places = [row * width + column for row, found in enumerate(entries) for column, _ in found]
    matrix.reshape(-1)[places] = [number for found in entries for _, number in found]


def _account_units(due: list[Pending], rows: CustomerRows | None) -> Keys:
    return account_units([p.request for p in due], [p.position for p in due], rows)


def _excluded(due: list[Pending], actions: int) -> NDArray[np.bool_] | None:
    if not any(pending.fit.excluded for pending in due):
        return None
    excluded = np.zeros((len(due), actions), dtype=np.bool_)
    for row, pending in enumerate(due):
        excluded[row, list(pending.fit.excluded)] = True
    return excluded
