"""Requests that are to be decided now, with what was read for them, and the batch that they become."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_store.offers import FIELD as OFFERS
from feature_store.offers import unpack_offers
from feature_store.store import CustomerRows
from service.decisioning.batch import Batch
from service.decisioning.draws import keys_of
from service.decisioning.snapshot import Snapshot
from service.runtime.contacts import BatchContacts
from service.runtime.decision import FEATURES_INCOMPLETE, SCORING_DEADLINE
from service.runtime.live import Live
from service.runtime.offers import OFFERS_UNAVAILABLE, binding
from service.runtime.pending import Pending
from service.runtime.units import account_units


@dataclass(frozen=True, slots=True)
class Due:
    """Requests that fit, at least one.

    rows          what was read for them, a row for each; None: nothing
    missing       what is missing for all of them
    read_seconds  how long reading took
    """

    requests: list[Pending]
    rows: CustomerRows | None
    missing: tuple[str, ...]
    read_seconds: float

    def __len__(self) -> int:
        return len(self.requests)

    def take(self, places: Sequence[int]) -> "Due":
        """Some of them."""
        rows = None if self.rows is None else self.rows.take(places)
        return Due([self.requests[place] for place in places], rows, self.missing, self.read_seconds)

    @property
    def customer_keys(self) -> list[str]:
        return [pending.request.customer_key for pending in self.requests]

    @property
    def known(self) -> list[bool]:
        """Of whom anything is stored."""
        return [False] * len(self) if self.rows is None else self.rows.known.tolist()

    @property
    def real(self) -> NDArray[np.bool_]:
        """Which are no dry runs."""
        return np.array([not pending.request.dry_run for pending in self.requests], dtype=np.bool_)

    def contacts(self, snapshot: Snapshot) -> BatchContacts | None:
        """The contacts of their customers; None where no policy counts them."""
        if not snapshot.contact.frequencies:
            return None
        return BatchContacts([p.request for p in self.requests], self.rows, snapshot.contact.reads_accounts)

    def batch(self, live: Live, contacts: BatchContacts | None, now: float) -> Batch:
        """They as columns: stored features under the context, defaults where both are silent."""
        due, rows = self.requests, self.rows
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
        channel = np.array([pending.fit.channel for pending in due], dtype=np.intp)
        scored, learned = deadlines > time.perf_counter(), live.learned
        by_accounts = experiments.needs_accounts
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
            units=keys_of(self.customer_keys) if experiments.needs_units else None,
            account_units=account_units([p.request for p in due], rows) if by_accounts else None,
            corrections=None if learned is None else learned.for_batch(channel, scored),
            known=None if learned is None else learned.known.take(channel, axis=0),
        )

    def degraded(self, snapshot: Snapshot, scored: NDArray[np.bool_]) -> list[tuple[str, ...]]:
        """What was not known of each: what is missing for all of them, and what only for some. `scored` says
        for which there was time for models."""
        rows, faults = self.rows, [(SCORING_DEADLINE, ~scored)]
        if snapshot.offers:
            faults.insert(0, (OFFERS_UNAVAILABLE, np.ones_like(scored) if rows is None else rows.unread))
        if rows is not None:
            faults.insert(0, (FEATURES_INCOMPLETE, rows.incomplete))
        degraded = [self.missing + pending.degraded for pending in self.requests]
        for what, hit in faults:
            for row in hit.nonzero()[0].tolist():
                degraded[row] += (what,)
        return degraded


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
