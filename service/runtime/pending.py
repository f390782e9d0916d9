"""Requests that wait for their answer, and the batch that they become."""

import asyncio
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from feature_store.offers import FIELD as OFFERS
from feature_store.offers import unpack_offers
from feature_store.store import CustomerRows
from service.decisioning.batch import Batch
from service.decisioning.draws import Keys, keys_of
from service.decisioning.snapshot import Snapshot
from service.runtime.contacts import Contacts, contacts_of, touches_of
from service.runtime.decision import Decision
from service.runtime.live import Live
from service.runtime.offers import binding
from service.runtime.requests import CheckedRequest, DecisionRequest, InvalidRequest, check
from service.runtime.units import account_units


@dataclass(slots=True)
class Pending:
    """A request that waits for its answer. Times are of `time.perf_counter`: when it came, by when it is
    answered, and until when the features may be waited for. `position` is its row in what was read."""

    request: DecisionRequest
    arrived: float
    deadline: float
    read_until: float
    answer: "asyncio.Future[Decision]"
    decision_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    checked: CheckedRequest | None = None
    position: int = -1

    def tell(self, answer: Decision) -> None:
        """Answer the request, if its client is still there."""
        if not self.answer.done():
            self.answer.set_result(answer)

    @property
    def fit(self) -> CheckedRequest:
        assert self.checked is not None, "only checked requests are decided"  # noqa: S101
        return self.checked


def fitting(snapshot: Snapshot, batch: Iterable[Pending]) -> Iterable[Pending]:
    """The requests that fit the snapshot; the others are told what is wrong with them."""
    position = 0
    for pending in batch:
        if pending.answer.done():  # its client has gone
            continue
        try:
            pending.checked = check(snapshot, pending.request)
        except InvalidRequest as error:
            pending.answer.set_exception(error)
            continue
        pending.position = position
        position += 1
        yield pending


def contacts_for(snapshot: Snapshot, due: list[Pending], rows: CustomerRows | None) -> list[Contacts] | None:
    """The contacts of each request; None where no policy counts them."""
    if not snapshot.contact.frequencies:
        return None
    return contacts_of(snapshot.contact, [p.request for p in due], [p.position for p in due], rows)


def columns(
    live: Live,
    due: list[Pending],
    rows: CustomerRows | None,
    contacts: list[Contacts] | None,
    now: float,
) -> Batch:
    """The requests as columns: stored features under the context, defaults where both are silent."""
    snapshot, catalogue = live.snapshot, live.snapshot.catalogue
    consents, promises = None, None
    accounts = snapshot.contact.reads_accounts
    X = np.stack([pending.fit.context for pending in due])
    if rows is not None:
        stored = rows.X[[pending.position for pending in due]]
        np.copyto(X, stored, where=np.isnan(X))
        consents = live.consents.decode([rows.consents[pending.position] for pending in due])
        if snapshot.offers:
            kept = [unpack_offers(rows.also[OFFERS][pending.position]) for pending in due]
            promises = binding(snapshot, kept, now)
    np.copyto(X, np.broadcast_to(snapshot.schema.defaults, X.shape), where=np.isnan(X))
    limits = np.zeros((len(due), len(catalogue.slots)), dtype=np.int32)
    for row, pending in enumerate(due):
        for slot, limit in pending.fit.slots:
            limits[row, slot] = limit
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
        touches=touches_of([c.customer for c in contacts]) if contacts else None,
        account_touches=touches_of([c.account for c in contacts]) if contacts and accounts else None,
        seeds=keys_of([p.decision_id for p in due]) if snapshot.leaves_to_chance else None,
        units=keys_of([p.request.customer_key for p in due]) if snapshot.experiments.needs_units else None,
        account_units=_account_units(due, rows) if snapshot.experiments.needs_accounts else None,
    )


def _account_units(due: list[Pending], rows: CustomerRows | None) -> Keys:
    return account_units([p.request for p in due], [p.position for p in due], rows)


def _excluded(due: list[Pending], actions: int) -> NDArray[np.bool_] | None:
    if not any(pending.fit.excluded for pending in due):
        return None
    excluded = np.zeros((len(due), actions), dtype=np.bool_)
    for row, pending in enumerate(due):
        excluded[row, list(pending.fit.excluded)] = True
    return excluded
