"""Requests that wait for their answer, and the batch that they become."""

import os
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from feature_store.event import Event
from feature_store.offers import FIELD as OFFERS
from feature_store.offers import unpack_offers
from feature_store.store import CustomerRows
from service.decisioning.batch import Batch
from service.decisioning.draws import keys_of
from service.decisioning.snapshot import Snapshot
from service.runtime.contacts import BatchContacts
from service.runtime.decision import Decision
from service.runtime.live import Live
from service.runtime.offers import binding
from service.runtime.requests import CheckedRequest, DecisionRequest, InvalidRequest
from service.runtime.units import account_units

Identity = tuple[str, int]
"""The id of a decision, and its lower 64 bits."""
DRAWN_AHEAD = 256
"""Ids by one call of the system: for a lone request it would be most of what its id takes."""
_VERSION = bytes(byte & 0x0F | 0x40 for byte in range(256))
_VARIANT = bytes(byte & 0x3F | 0x80 for byte in range(256))


class Waiting(Protocol):
    """Who waits for a decision: a future, or what is answered like one."""

    def done(self) -> bool:
        """Whether nothing is waited for any more."""

    def set_result(self, decision: Decision, /) -> None:
        """It is decided."""

    def set_exception(self, error: Exception, /) -> None:
        """It can't be decided."""


@dataclass(slots=True)
class Pending:
    """A request that waits for its answer. Times are of `time.perf_counter`: when it came, by when it is
    answered, until when features may be waited for, and until when it may be waited for what is written
    before the answer leaves. `seed` is what its draws are made from; `foreseen` has events that it is to see
    though they are not stored, and `degraded` what was missing before it was read."""

    request: DecisionRequest
    arrived: float
    deadline: float
    read_until: float
    written_until: float
    answer: Waiting
    decision_id: str = ""
    seed: int = 0
    checked: CheckedRequest | None = None
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


def fitting(live: Live, batch: list[Pending], ids: Iterator[Identity]) -> list[Pending]:
    """The requests that fit the snapshot, each with one of the ids; the others are told what is wrong with
    them."""
    check = live.checker.check
    fit: list[Pending] = []
    for pending in batch:
        if pending.answer.done():  # its client has gone
            continue
        try:
            pending.checked = check(pending.request)
        except InvalidRequest as error:
            pending.answer.set_exception(error)
            continue
        pending.decision_id, pending.seed = next(ids)
        fit.append(pending)
    return fit


def random_ids() -> Iterator[Identity]:
    """UUIDs of version 4 (RFC 9562) without end, drawn some at a time."""
    while True:
        drawn = bytearray(os.urandom(16 * DRAWN_AHEAD))
        drawn[6::16] = drawn[6::16].translate(_VERSION)
        drawn[8::16] = drawn[8::16].translate(_VARIANT)
        hex_, halves = drawn.hex(), struct.unpack(f">{2 * DRAWN_AHEAD}Q", drawn)
        for at, seed in zip(range(0, len(hex_), 32), halves[1::2], strict=True):
            start, end = hex_[at : at + 16], hex_[at + 16 : at + 32]
            yield f"{start[:8]}-{start[8:12]}-{start[12:]}-{end[:4]}-{end[4:]}", seed


def contacts_for(snapshot: Snapshot, due: list[Pending], rows: CustomerRows | None) -> BatchContacts | None:
    """The contacts of the requests; None where no policy counts them."""
    if not snapshot.contact.frequencies:
        return None
    return BatchContacts([p.request for p in due], rows, snapshot.contact.reads_accounts)


def columns(
    live: Live,
    due: list[Pending],
    rows: CustomerRows | None,
    contacts: BatchContacts | None,
    now: float,
) -> Batch:
    """The requests as columns: stored features under the context, defaults where both are silent."""
    snapshot, catalogue, experiments = live.snapshot, live.snapshot.catalogue, live.snapshot.experiments
    consents, promises = None, None
    if rows is None:
        X = np.full((len(due), snapshot.schema.width), np.nan)
    else:
        X = rows.X.copy()
        consents = live.consents.decode(rows.consents)
        if snapshot.offers:
            promises = binding(snapshot, [unpack_offers(kept, now) for kept in rows.also[OFFERS]], now)
    _put(X, [pending.fit.context for pending in due])
    np.copyto(X, snapshot.schema.defaults, where=np.isnan(X))
    limits = np.zeros((len(due), len(catalogue.slots)), dtype=np.int32)
    _put(limits, [pending.fit.slots for pending in due])
    deadlines = np.array([pending.deadline for pending in due])
    channel, scored = np.array([p.fit.channel for p in due], dtype=np.intp), deadlines > time.perf_counter()
    learned = live.learned
    return Batch(
        X=X,
        now=np.full(len(due), now),
        channel=channel,
        limits=limits,
        scored=scored,
        excluded=_excluded(due, len(catalogue.actions)),
        consents=consents,
        promises=promises,
        touches=contacts.of_customers() if contacts else None,
        account_touches=contacts.of_accounts() if contacts and contacts.by_account else None,
        seeds=np.array([p.seed for p in due], np.uint64) if snapshot.leaves_to_chance else None,
        units=keys_of([p.request.customer_key for p in due]) if experiments.needs_units else None,
        account_units=account_units([p.request for p in due], rows) if experiments.needs_accounts else None,
        corrections=None if learned is None else learned.for_batch(channel, scored),
        known=None if learned is None else learned.known.take(channel, axis=0),
    )


def _put(matrix: NDArray[Any], entries: Sequence[Sequence[tuple[int, float]]]) -> None:
    """Write the (column, number) pairs of each row into a matrix."""
    width = matrix.shape[1]
    places = [row * width + column for row, found in enumerate(entries) for column, _ in found]
    matrix.reshape(-1)[places] = [number for found in entries for _, number in found]


def _excluded(due: list[Pending], actions: int) -> NDArray[np.bool_] | None:
    if not any(pending.fit.excluded for pending in due):
        return None
    excluded = np.zeros((len(due), actions), dtype=np.bool_)
    for row, pending in enumerate(due):
        excluded[row, list(pending.fit.excluded)] = True
    return excluded
