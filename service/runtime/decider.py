"""Decisions for requests as they come: batched naturally, on time, with what is known by then."""

import asyncio
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from feature_store.consents import ConsentNames
from feature_store.contacts import FIELDS as CONTACTS
from feature_store.keys import ACCOUNT
from feature_store.offers import FIELD as OFFERS
from feature_store.offers import unpack_offers
from feature_store.store import CustomerRows, CustomerStore
from service.decisioning.batch import Batch
from service.decisioning.draws import Keys, keys_of
from service.decisioning.experiments import arm_of
from service.decisioning.offers import Promise
from service.decisioning.pipeline import Decisions
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import Stage
from service.runtime import accounting
from service.runtime.batching import NaturalBatcher
from service.runtime.budgets import Ledger
from service.runtime.contacts import Contacts, contacts_of, touches_of
from service.runtime.features import FeatureReader
from service.runtime.offers import OFFERS_UNAVAILABLE, OfferKeeper, binding, promising
from service.runtime.requests import CheckedRequest, DecisionRequest, InvalidRequest, check
from service.runtime.reservations import Claim, Reserver, claimed
from service.runtime.timing import StageTimer
from service.runtime.units import account_units

FEATURES_TIMEOUT, FEATURES_UNAVAILABLE, FEATURES_INCOMPLETE, SCORING_DEADLINE = (
    "features:timeout",
    "features:unavailable",
    "features:incomplete",
    "scoring:deadline",
)
BULK_DEADLINE = 30.0
"""Seconds until a request among many is answered, if it says nothing: its caller waits for the last one."""
MAX_RESERVE = 0.010
"""Seconds of a deadline that are kept for deciding, at most: beyond it the machine is overloaded anyway."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one request: a row of the batch that it was decided in. Durations are in seconds."""

    decision_id: str
    request: DecisionRequest
    checked: CheckedRequest
    snapshot: Snapshot
    decisions: Decisions
    row: int
    known: bool
    degraded: tuple[str, ...]
    decided_at: float
    features_seconds: float
    scoring_seconds: float
    total_seconds: float
    account_id: str | None = None
    """The account for which contacts count, too."""
    experiments: Mapping[str, str] = field(default_factory=dict)
    """The arm of each experiment that the customer takes part in."""

    @property
    def arm(self) -> str:
        """The arm that the decision counts under."""
        return arm_of(self.experiments)

    def offer(self, action: int) -> Promise | None:
        """The terms on which an action is offered; None: it has no offers."""
        offered = self.decisions.offered
        return None if offered is None else offered.of(self.row, action)

    @property
    def mode(self) -> str:
        if self.is_fallback:
            return "fallback"
        return "degraded" if self.degraded else "full"

    @property
    def is_fallback(self) -> bool:
        """Whether there is something in the answer, and nothing but fallbacks."""
        fallbacks, slate = self.snapshot.catalogue.fallbacks, self.decisions.slate
        if fallbacks is None:
            return False
        first, last = slate.row.searchsorted([self.row, self.row + 1])
        return bool(first < last and fallbacks[slate.action[first:last]].all())


@dataclass(frozen=True)
class Live:
    """What decides now: a snapshot, the store as its schema sees it, and the names of consents. It is swapped
    as a whole, and a batch keeps the one that it began with."""

    snapshot: Snapshot
    store: CustomerStore

    @cached_property
    def also(self) -> tuple[bytes, ...]:
        """What is read of a customer beside features and consents."""
        offers = (OFFERS,) if self.snapshot.offers else ()
        contacts = CONTACTS if self.snapshot.contact.frequencies else ()
        experiments, contact = self.snapshot.experiments, self.snapshot.contact
        account = (ACCOUNT,) if experiments.needs_accounts or contact.reads_accounts else ()
        return (*offers, *contacts, *account)

    @cached_property
    def consents(self) -> ConsentNames:
        """The purposes and channels of stored consents."""
        return ConsentNames(
            tuple(purpose.name for purpose in self.snapshot.purposes),
            tuple(channel.name for channel in self.snapshot.catalogue.channels),
        )


@dataclass(slots=True)
class _Pending:
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


class Decider:
    """Answers requests from one configuration at a time; `live` is swapped by assignment."""

    def __init__(
        self,
        live: Live,
        reader: FeatureReader,
        ledger: Ledger,
        *,
        deadline: float,
        max_batch: int,
        max_waiting: int,
    ) -> None:
        self.live = live
        self._reader, self._ledger = reader, ledger
        self._offers = OfferKeeper()
        self._reserver = Reserver(self._decide_again)
        self._deadline = deadline
        self._reserve = MAX_RESERVE / 2
        self._batcher = NaturalBatcher(self._work, max_batch=max_batch, max_waiting=max_waiting)
        self._bulk = NaturalBatcher(self._work, max_batch=max_batch, max_waiting=max_waiting, patient=True)

    async def decide(self, request: DecisionRequest) -> Decision:
        """The decision for one request.

        Raises:
            InvalidRequest: the request does not fit the live configuration.
            Overloaded: too many requests are waiting.
        """
        pending = self._pending(request, self._deadline)
        self._batcher.submit([pending])
        return await pending.answer

    async def decide_all(self, requests: Sequence[DecisionRequest]) -> list[Decision | InvalidRequest]:
        """The decision for each request, in order; in the place of one that does not fit, why.

        They are worked off one batch after another beside single requests, which do not queue behind them.

        Raises:
            Overloaded: too many requests are waiting.
        """
        pending = [self._pending(request, BULK_DEADLINE) for request in requests]
        self._bulk.submit(pending)
        answers = await asyncio.gather(*(p.answer for p in pending), return_exceptions=True)
        return [_answer(answer) for answer in answers]

    async def drain(self) -> None:
        """Wait until every waiting request is answered."""
        await self._batcher.drain()
        await self._bulk.drain()

    def _pending(self, request: DecisionRequest, default: float) -> _Pending:
        loop = asyncio.get_running_loop()
        arrived = time.perf_counter()
        seconds = default if request.deadline_ms is None else request.deadline_ms / 1000.0
        deadline = arrived + seconds
        read_until = deadline - min(self._reserve, seconds / 2)
        return _Pending(request, arrived, deadline, read_until, loop.create_future())

    async def _work(self, batch: list[_Pending]) -> None:
        try:
            await self._decide_on_time(batch)
        except Exception as error:  # noqa: BLE001 - every request of the batch is told, whatever happened
            for pending in batch:
                if not pending.answer.done():
                    pending.answer.set_exception(error)

    async def _decide_on_time(self, batch: list[_Pending]) -> None:
        """Decide everything as soon as the features are there, and each request at its deadline if they are
        not."""
        live, started = self.live, time.perf_counter()
        waiting = list(_fitting(live.snapshot, batch))
        keys = [pending.request.customer_key for pending in waiting]
        accounts = None
        if live.snapshot.contact.reads_accounts:
            accounts = [pending.request.account_id for pending in waiting]
        read = self._reader.start(live.store, keys, live.also, accounts) if waiting else None
        while waiting:
            if read is not None and not read.done():
                timeout = min(pending.read_until for pending in waiting) - time.perf_counter()
                if timeout > 0:
                    await asyncio.wait({read}, timeout=timeout)
            read_seconds = time.perf_counter() - started
            if read is None or read.done():
                rows = None if read is None else read.result()
                missing = () if rows is not None else (FEATURES_UNAVAILABLE,)
                await self._decide(live, waiting, rows, missing, read_seconds)
                return
            now = time.perf_counter()
            due = [pending for pending in waiting if pending.read_until <= now]
            await self._decide(live, due, None, (FEATURES_TIMEOUT,), read_seconds)
            waiting = [pending for pending in waiting if pending.read_until > now]

    async def _decide(
        self,
        live: Live,
        due: list[_Pending],
        rows: CustomerRows | None,
        missing: tuple[str, ...],
        read_seconds: float,
    ) -> None:
        if not due:
            return
        timer, now, snapshot = StageTimer(), time.time(), live.snapshot
        contacts = _contacts(snapshot, due, rows)
        columns = _columns(live, due, rows, contacts, now)
        decisions = self._ledger.decide(snapshot, columns, _real(due), timer.done)
        finished = time.perf_counter()
        self._reserve += 0.1 * (min(timer.total, MAX_RESERVE) - self._reserve)
        answers = []
        missing += (OFFERS_UNAVAILABLE,) if rows is None and snapshot.offers else ()
        for row, pending in enumerate(due):
            degraded = missing
            if rows is not None and rows.incomplete[pending.position]:
                degraded += (FEATURES_INCOMPLETE,)
                if snapshot.offers and rows.unread[pending.position]:
                    degraded += (OFFERS_UNAVAILABLE,)
            if not columns.scored[row]:
                degraded += (SCORING_DEADLINE,)
            answer = Decision(
                decision_id=pending.decision_id,
                request=pending.request,
                checked=pending.fit,
                snapshot=snapshot,
                decisions=decisions,
                row=row,
                known=rows is not None and bool(rows.known[pending.position]),
                degraded=degraded,
                decided_at=now,
                features_seconds=read_seconds,
                scoring_seconds=timer.seconds[Stage.PROPENSITY],
                total_seconds=finished - pending.arrived,
                account_id=contacts[row].account_id if contacts else None,
                experiments=snapshot.experiments.arms(decisions.assigned, row),
            )
            answers.append(answer)
        claims = {}
        if contacts is not None and snapshot.contact.reserving:
            claims = claimed(answers, contacts, [pending.read_until for pending in due])
        await self._leave(live.store, due, answers, claims)
        accounting.count(answers, timer)
        if rows is not None:
            positions = [p.position for p in due if not p.request.dry_run]
            accounting.count_features(snapshot.schema, rows, positions, now)

    async def _leave(
        self, store: CustomerStore, due: Sequence[_Pending], answers: list[Decision], claims: dict[int, Claim]
    ) -> None:
        """Answer every request; those with claims as soon as these are settled. `answers` has then what was
        answered."""
        if not claims:
            await self._tell(store, due, answers)
            return

        async def leave(settled: Mapping[int, Decision]) -> None:
            told = list(settled.values())
            await self._tell(store, [due[position] for position in settled], told)
            for position, answer in zip(settled, told, strict=True):
                answers[position] = answer

        free = {position: answer for position, answer in enumerate(answers) if position not in claims}
        leaving = [asyncio.create_task(leave(free))] if free else []
        async for settled in self._reserver.settle(store.contacts, claims):
            now = time.perf_counter()
            timed = {p: replace(a, total_seconds=now - due[p].arrived) for p, a in settled.items()}
            if timed:
                leaving.append(asyncio.create_task(leave(timed)))
        await asyncio.gather(*leaving)

    def _decide_again(
        self, snapshot: Snapshot, decisions: Decisions, rows: Sequence[int], batch: Batch
    ) -> Decisions:
        """Decide for some rows once more, as the batch that they are now."""
        again = np.zeros(len(decisions.batch), np.bool_)
        again[rows] = True
        self._ledger.unbook(snapshot, decisions, again)
        batch = replace(batch, budgets=None, volume_used=None, explores=None)
        return self._ledger.decide(snapshot, batch, np.ones(len(batch), np.bool_), StageTimer().done)

    async def _tell(self, store: CustomerStore, due: Sequence[_Pending], answers: list[Decision]) -> None:
        """Answer every request; those that are promised something new, when that is kept, or else at their
        deadline. `answers` has then what was answered."""
        held = [
            position
            for position in promising(answers)
            if not (answers[position].request.dry_run or OFFERS_UNAVAILABLE in answers[position].degraded)
        ]
        for position in set(range(len(answers))).difference(held):
            due[position].tell(answers[position])

        def tell(position: int, answer: Decision) -> None:
            row = held[position]
            seconds = time.perf_counter() - due[row].arrived
            answers[row] = replace(answer, total_seconds=seconds)
            due[row].tell(answers[row])

        if held:
            await self._offers.keep(
                store, [answers[row] for row in held], [due[row].deadline for row in held], tell
            )


def _real(due: Iterable[_Pending]) -> NDArray[np.bool_]:
    """Which requests are no dry runs."""
    return np.array([not pending.request.dry_run for pending in due], dtype=np.bool_)


def _answer(answer: Decision | BaseException) -> Decision | InvalidRequest:
    if isinstance(answer, Decision | InvalidRequest):
        return answer
    raise answer


def _fitting(snapshot: Snapshot, batch: Iterable[_Pending]) -> Iterable[_Pending]:
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


def _contacts(snapshot: Snapshot, due: list[_Pending], rows: CustomerRows | None) -> list[Contacts] | None:
    """The contacts of each request; None where no policy counts them."""
    if not snapshot.contact.frequencies:
        return None
    return contacts_of(snapshot.contact, [p.request for p in due], [p.position for p in due], rows)


def _columns(
    live: Live,
    due: list[_Pending],
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


def _account_units(due: list[_Pending], rows: CustomerRows | None) -> Keys:
    return account_units([p.request for p in due], [p.position for p in due], rows)


def _excluded(due: list[_Pending], actions: int) -> NDArray[np.bool_] | None:
    if not any(pending.fit.excluded for pending in due):
        return None
    excluded = np.zeros((len(due), actions), dtype=np.bool_)
    for row, pending in enumerate(due):
        excluded[row, list(pending.fit.excluded)] = True
    return excluded
