"""Keeping what is promised: the offers of an answer are with their customer before it leaves.

Whoever promises an action first has promised it for all channels. A decision that comes second is made again
with the promise that binds, so what it answers, explains and records is one and the same.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import structlog

from feature_store.offers import KeptOffer
from feature_store.store import CustomerStore, StoreUnavailable
from service import clock
from service.decisioning.batch import Batch
from service.decisioning.contact import without_reserving
from service.decisioning.offers import Promises
from service.decisioning.pipeline import Decisions
from service.decisioning.snapshot import Snapshot
from service.observability.metrics import STORE_ERRORS
from service.runtime.chosen import Chosen
from service.runtime.reservations import DecideAgain, to_reserve

if TYPE_CHECKING:
    from service.runtime.decision import Decision

log = structlog.get_logger()

OFFERS_UNAVAILABLE = "offers:unavailable"
WARN_EVERY = 10.0
"""Seconds between two warnings of offers that can't be kept."""


def binding(snapshot: Snapshot, kept: Sequence[Sequence[KeptOffer]], now: float) -> Promises | None:
    """The offers that still hold at `now`, from those that were kept for each request of a batch; None where
    there are none."""
    actions = snapshot.catalogue.action_index
    found = [
        (row, actions[offer.action], offer)
        for row, offers in enumerate(kept)
        for offer in offers
        if offer.valid_until > now and offer.action in actions
    ]
    if not found:
        return None
    rows, indexes, offers = zip(*found, strict=True)
    return Promises(
        rows=np.array(rows, np.intp),
        actions=np.array(indexes, np.intp),
        names=np.array([offer.name.encode() for offer in offers]),
        terms=np.array([offer.terms for offer in offers]),
        valid_until=np.array([offer.valid_until for offer in offers]),
        sayable=np.array([_sayable(snapshot, index, offer) for _, index, offer in found]),
    )


def _sayable(snapshot: Snapshot, action: int, offer: KeptOffer) -> bool:
    named = snapshot.offers.named.get(action)
    return not named or named <= msgspec.json.decode(offer.terms).keys()


def promising(answers: "Sequence[Decision]") -> list[int]:
    """The positions of the answers that make an offer which was not made before; they may come from several
    batches."""
    batches = {id(answer.decisions): answer.decisions for answer in answers}
    rows = {batch: _promising(decisions) for batch, decisions in batches.items()}
    return [position for position, answer in enumerate(answers) if answer.row in rows[id(answer.decisions)]]


def _promising(decisions: Decisions) -> frozenset[int]:
    """The rows of a batch that make an offer which was not made before."""
    if decisions.offered is None:
        return frozenset()
    slate = decisions.slate
    return frozenset(slate.row[decisions.offered.new(slate.row, slate.action)].tolist())


class OfferKeeper:
    """Keeps the offers of whole batches in one round trip, and lets no answer wait beyond its deadline.

    `again` decides for rows of a batch once more, and books what is chosen then instead.
    """

    def __init__(self, again: DecideAgain) -> None:
        self._again = again
        self._open: set[asyncio.Task[dict[int, list[KeptOffer] | None]]] = set()
        self._warned_at = -WARN_EVERY

    async def keep(
        self,
        store: CustomerStore,
        decisions: "Sequence[Decision]",
        deadlines: Sequence[float],
        tell: "Callable[[int, Decision], None]",
    ) -> None:
        """Tell each decision, by its position, as it has to be answered: with the offers that are kept, or
        where they could not be in time, degraded. Deadlines are of `time.perf_counter`.

        What the store has kept is heard in one round trip; those that came second somewhere are made again,
        and what they promise then is kept in another.
        """
        waiting = dict(enumerate(decisions))
        while waiting:
            made = {position: _made(answer) for position, answer in waiting.items()}
            offers = {p: (answer.request.customer_key, made[p]) for p, answer in waiting.items()}
            task = asyncio.get_running_loop().create_task(self._keep(store, offers))
            self._open.add(task)  # it goes on for whoever could not wait
            task.add_done_callback(self._open.discard)
            while waiting and not task.done():
                patience = min(deadlines[position] for position in waiting) - time.perf_counter()
                await asyncio.wait({task}, timeout=max(patience, 0.0))
                if not task.done():
                    now = time.perf_counter()
                    for position in [p for p in waiting if deadlines[p] <= now]:
                        tell(position, _unkept(waiting.pop(position)))
            for position in list(waiting):
                found = task.result()[position]
                if found is None:
                    tell(position, _unkept(waiting.pop(position)))
                elif found == made[position]:
                    tell(position, waiting.pop(position))
                else:
                    waiting[position] = self._knowing(waiting[position], found)
                    if not promising([waiting[position]]):
                        tell(position, waiting.pop(position))

    def _knowing(self, decision: "Decision", kept: Sequence[KeptOffer]) -> "Decision":
        """The same decision, knowing what the customer was promised by others in the meantime. Something that
        would have to be reserved is not chosen in the place of what can't be offered any more."""
        batch = decision.decisions.batch.take(np.array([decision.row]))
        found = binding(decision.snapshot, [kept], decision.decided_at)
        parts = [part for part in (batch.promises, found) if part is not None]
        batch = replace(batch, promises=Promises.together(parts) if parts else None)
        again = self._decided(decision, batch)
        if _reserved(again) <= _reserved(decision):
            return again
        return self._decided(again, without_reserving(batch))

    def _decided(self, decision: "Decision", batch: Batch) -> "Decision":
        decisions = self._again(decision.snapshot, decision.decisions, [decision.row], batch)
        return decision.but(chosen=Chosen(decisions), row=0)

    async def _keep(
        self, store: CustomerStore, made: Mapping[int, tuple[str, list[KeptOffer]]]
    ) -> dict[int, list[KeptOffer] | None]:
        """What the store keeps for each position of (customer, offers); None where it can't be reached."""
        by_customer: dict[str, list[KeptOffer]] = defaultdict(list)
        for customer, offers in made.values():
            by_customer[customer] += offers
        try:
            kept = await store.keep_offers(by_customer, clock.now())
        except StoreUnavailable as error:
            self._warn(str(error))
            kept = dict.fromkeys(by_customer)
        answered = {customer: iter(offers) for customer, offers in kept.items() if offers is not None}
        if len(answered) < len(kept):
            STORE_ERRORS.labels("keep_offers").inc(len(kept) - len(answered))
        return {
            position: [next(answered[customer]) for _ in offers] if customer in answered else None
            for position, (customer, offers) in made.items()
        }

    def _warn(self, reason: str) -> None:
        """Log what could not be kept, now and then: it may be so for every batch."""
        if time.monotonic() - self._warned_at >= WARN_EVERY:
            self._warned_at = time.monotonic()
            log.warning("store_unavailable", operation="keep_offers", reason=reason)


def _made(decision: "Decision") -> list[KeptOffer]:
    """The offers that a decision makes for the first time."""
    slate, offered = decision.decisions.slate, decision.decisions.offered
    if offered is None:
        return []
    mine = np.flatnonzero((slate.row == decision.row) & offered.new(slate.row, slate.action))
    made = []
    for index in dict.fromkeys(slate.action[mine].tolist()):
        promise = offered.of(decision.row, index)
        if promise is not None:
            made.append(
                KeptOffer(
                    action=decision.snapshot.catalogue.actions[index].name,
                    name=promise.name,
                    terms=promise.terms,
                    valid_until=promise.valid_until,
                    made_at=decision.decided_at,
                    decision_id=decision.decision_id,
                    channel=decision.request.channel,
                )
            )
    return made


def _reserved(decision: "Decision") -> frozenset[tuple[str, int, int]]:
    """Which chosen actions, by policy and slot, count from the moment at which they are offered."""
    slate = decision.decisions.slate
    return frozenset(
        (policy.name, int(slate.slot[pick]), int(slate.action[pick])) for policy, pick in to_reserve(decision)
    )


def _unkept(decision: "Decision") -> "Decision":
    return decision.but(degraded=(*decision.degraded, OFFERS_UNAVAILABLE))
