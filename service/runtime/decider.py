"""Decisions for requests as they come: batched naturally, on time, with what is known by then."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from feature_store.store import CustomerRows
from service import clock
from service.decisioning.experiments import Assigned, arm_of
from service.decisioning.stages import Stage
from service.runtime.accounting import Accounts, Made
from service.runtime.batching import NaturalBatcher, Release
from service.runtime.bringing import Bringer
from service.runtime.budgets import Ledger
from service.runtime.chosen import Chosen
from service.runtime.decision import (
    FEATURES_TIMEOUT,
    FEATURES_UNAVAILABLE,
    Decision,
)
from service.runtime.drift import Drift
from service.runtime.due import Due
from service.runtime.events import EventIntake
from service.runtime.features import FeatureReader, Read, heard
from service.runtime.journal import Journal
from service.runtime.leaving import Leaving
from service.runtime.live import Live
from service.runtime.movements import Movements
from service.runtime.pending import Pending, Waiting, fitting, random_ids
from service.runtime.requests import DecisionRequest, InvalidRequest
from service.runtime.reservations import claimed
from service.runtime.responses import Responses
from service.runtime.timing import StageTimer

BULK_DEADLINE = 30.0
"""Seconds until a request among many is answered, if it says nothing: its caller waits for the last one."""
MOST_OF_MANY = 32
"""Requests among many that are decided together, at most: single ones wait meanwhile."""
ADMITTED = 0.5
"""Of the deadline: who can be expected to wait longer is turned away at once. The rest is for what can't be
foreseen, so that those who are let in are decided in full."""
MAX_RESERVE = 0.010
"""Seconds of a deadline that are kept for deciding, at most: beyond it the machine is overloaded anyway."""
PATIENCE = 0.005
"""Seconds for which a batch that waits for the store holds back the next one: a slow store delays its own
batch, not all that follow."""


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
        journal: Journal | None = None,
    ) -> None:
        self.live = live
        self.events = EventIntake(live.store, max_batch=max_batch, max_waiting=max_waiting)
        self._bringer = Bringer(self.events)
        self._reader, self._ledger, self._journal = reader, ledger, journal
        self._leaving = Leaving(ledger)
        self.responses = Responses()
        self.drift = Drift()
        self._accounts = Accounts(self.responses)
        self._ids = random_ids()
        self._movements = Movements()
        self._bringing: set[asyncio.Task[None]] = set()
        self._deadline = deadline
        self._reserve = MAX_RESERVE / 2
        self._batcher = NaturalBatcher(
            self._work, max_batch=max_batch, max_waiting=max_waiting, within=ADMITTED * deadline
        )
        self._bulk = NaturalBatcher(
            self._work_alone, max_batch=min(MOST_OF_MANY, max_batch), max_waiting=max_waiting
        )

    @property
    def has_room(self) -> bool:
        """Whether one more request would be taken in."""
        return self._batcher.has_room()

    async def decide(self, request: DecisionRequest) -> Decision:
        """The decision for one request.

        Raises:
            InvalidRequest: the request does not fit the live configuration.
            Overloaded: too many requests are waiting.
        """
        answer: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self.submit(request, answer)
        return await answer

    def submit(self, request: DecisionRequest, answer: Waiting) -> None:
        """Have a request decided, and `answer` told. What is wrong with the request is told, too.

        Raises:
            Overloaded: too many requests are waiting.
        """
        pending = self._pending(request, answer, self._deadline)
        if request.events:
            bringing = asyncio.get_running_loop().create_task(self._submit_with_events(pending))
            self._bringing.add(bringing)
            bringing.add_done_callback(self._bringing.discard)
        else:
            self._batcher.submit([pending])

    async def _submit_with_events(self, pending: Pending) -> None:
        try:
            await self._bring_events(pending)
            if not pending.answer.done():
                self._batcher.submit([pending])
        except Exception as error:  # noqa: BLE001 - whoever asks is told, whatever happened
            pending.answer.set_exception(error)

    async def decide_all(self, requests: Sequence[DecisionRequest]) -> list[Decision | InvalidRequest]:
        """The decision for each request, in order; in the place of one that does not fit, why.

        They are worked off one batch after another beside single requests, which do not queue behind them.

        Raises:
            Overloaded: too many requests are waiting.
        """
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Decision]] = [loop.create_future() for _ in requests]
        asked = zip(requests, futures, strict=True)
        pending = [self._pending(request, future, BULK_DEADLINE) for request, future in asked]
        await asyncio.gather(*(self._bring_events(p) for p in pending if p.request.events))
        self._bulk.submit([p for p in pending if not p.answer.done()])
        answers = await asyncio.gather(*futures, return_exceptions=True)
        return [_answer(answer) for answer in answers]

    async def _bring_events(self, pending: Pending) -> None:
        """Apply the events of a request that fits; one that does not is told so, and nothing is applied."""
        try:
            self.live.checker.check(pending.request)
            await self._bringer.bring(pending)
        except InvalidRequest as error:
            pending.answer.set_exception(error)

    async def drain(self) -> None:
        """Wait until every waiting request is answered, and what it has shown of its customer is kept."""
        while self._bringing:
            await asyncio.wait(self._bringing)
        await self._batcher.drain()
        await self._bulk.drain()
        self.settle()
        await self._movements.drain()

    def settle(self) -> None:
        """Count every decision that is made."""
        self._accounts.settle()

    def _pending(self, request: DecisionRequest, answer: Waiting, default: float) -> Pending:
        arrived = time.perf_counter()
        seconds = default if request.deadline_ms is None else request.deadline_ms / 1000.0
        deadline = arrived + seconds
        written_until = deadline - min(self._reserve, seconds / 2)
        read_until = written_until - min(self._leaving.seconds, seconds / 4)
        return Pending(request, arrived, deadline, read_until, written_until, answer)

    async def _work_alone(self, batch: list[Pending], _: Release) -> None:
        """One batch after another: several at once would only make each other late."""
        await self._work(batch, lambda: None)

    async def _work(self, batch: list[Pending], release: Release) -> None:
        try:
            await self._decide_on_time(batch, release)
        except Exception as error:  # noqa: BLE001 - every request of the batch is told, whatever happened
            for pending in batch:
                if not pending.answer.done():
                    pending.answer.set_exception(error)

    async def _decide_on_time(self, batch: list[Pending], release: Release) -> None:
        """Decide everything as soon as the features are there, and each request at its deadline if they are
        not."""
        live, started = self.live, time.perf_counter()
        waiting = fitting(live, batch, self._ids)
        keys = [pending.request.customer_key for pending in waiting]
        accounts = None
        if live.snapshot.contact.reads_accounts:
            accounts = [pending.request.account_id for pending in waiting]
        foreseen = {row: pending.foreseen for row, pending in enumerate(waiting) if pending.foreseen}
        read = self._reader.start(live.store, keys, live.also, accounts, foreseen) if waiting else None
        asked: Sequence[int] = range(len(waiting))  # rows of what is read
        while waiting:
            if read is not None:
                await _heard(read, min(pending.read_until for pending in waiting), release)
            read_seconds = time.perf_counter() - started
            if read is None or read.done():
                rows = None if read is None else read.result()
                if rows is not None and len(asked) < len(keys):
                    rows = rows.take(asked)
                missing = () if rows is not None else (FEATURES_UNAVAILABLE,)
                await self._decide(live, Due(waiting, rows, missing, read_seconds), release)
                return
            now = time.perf_counter()
            late = [pending for pending in waiting if pending.read_until <= now]
            if late:
                await self._decide(live, Due(late, None, (FEATURES_TIMEOUT,), read_seconds), release)
            asked = [row for row, pending in zip(asked, waiting, strict=True) if pending.read_until > now]
            waiting = [pending for pending in waiting if pending.read_until > now]

    async def _decide(self, live: Live, due: Due, release: Release) -> None:
        """Decide what is due: for the customers of each challenger by itself, where there is any."""
        if not live.challengers:
            await self._decide_alike(live, due, release)
            return
        lanes = [
            self._decide_alike(lane, due.take(places), release)
            for lane, places in live.split(due.customer_keys)
        ]
        for failure in await asyncio.gather(*lanes, return_exceptions=True):
            if failure is not None:
                raise failure

    async def _decide_alike(self, live: Live, due: Due, release: Release) -> None:
        timer, now, snapshot = StageTimer(), clock.now(), live.snapshot
        contacts = due.contacts(snapshot)
        batch = due.batch(live, contacts, now)
        decisions = self._ledger.decide(snapshot, batch, due.real, timer.done)
        finished = time.perf_counter()
        self._reserve += 0.1 * (min(timer.total, MAX_RESERVE) - self._reserve)
        known, degraded = due.known, due.degraded(snapshot, batch.scored)
        arms = _arms(live, decisions.assigned)
        scoring = timer.seconds[Stage.PROPENSITY]
        chosen = Chosen(decisions)
        answers = [
            Decision(
                decision_id=pending.decision_id,
                request=pending.request,
                checked=pending.fit,
                snapshot=snapshot,
                chosen=chosen,
                row=row,
                known=known[row],
                degraded=degraded[row],
                decided_at=now,
                features_seconds=due.read_seconds,
                scoring_seconds=scoring,
                total_seconds=finished - pending.arrived,
                account_id=contacts.account_ids[row] if contacts else None,
                experiments=arms[row][0],
                arm=arms[row][1],
            )
            for row, pending in enumerate(due.requests)
        ]
        claims = {}
        if contacts is not None and snapshot.contact.reserving:
            claims = claimed(answers, contacts, [pending.written_until for pending in due.requests])
        leaving = self._leaving.leave(live.store, due.requests, answers, claims)
        if claims or snapshot.offers:
            with _holding_back(release):
                await leaving
        else:
            await leaving
        await asyncio.sleep(0)  # the answers leave first
        self._account(live, answers, due.rows, timer)

    def _account(
        self, live: Live, answers: Sequence[Decision], rows: CustomerRows | None, timer: StageTimer
    ) -> None:
        """Count and log the answers that are no dry runs."""
        real = [row for row, answer in enumerate(answers) if not answer.request.dry_run]
        if not real:
            return
        if len(real) < len(answers):
            answers = [answers[row] for row in real]
            rows = None if rows is None else rows.take(real)
        self._accounts.add(Made(answers, timer.seconds, rows, live.stored))
        if live.following is not None:
            live.following.note(answers)
        self.drift.note(answers)
        if self._journal is not None:
            self._journal.keep(answers)
        if rows is not None:
            self._movements.note(live, answers, rows)


async def _heard(read: Read, until: float, release: Release) -> None:
    """Wait for a read, at most until then, and let the next batch start when that takes long."""
    if not await heard(read, min(until, time.perf_counter() + PATIENCE)):
        release()
        await heard(read, until)


@contextmanager
def _holding_back(release: Release) -> Iterator[None]:
    """Wait for the store, and let the next batch start when that takes long."""
    timer = asyncio.get_running_loop().call_later(PATIENCE, release)
    try:
        yield
    finally:
        timer.cancel()


def _arms(live: Live, assigned: Assigned) -> list[tuple[Mapping[str, str], str]]:
    """The arms of each request by experiment, with those of models, and the one that it counts under; who is
    in the same ones shares them."""
    experiments = live.snapshot.experiments
    taken = [tuple(arms) for arms in assigned.arms.tolist()]
    named = {}
    for arms, row in {arms: row for row, arms in enumerate(taken)}.items():
        of_each = experiments.arms(assigned, row)
        named[arms] = {**of_each, **live.arms}, arm_of(of_each)
    return [named[arms] for arms in taken]


def _answer(answer: Decision | BaseException) -> Decision | InvalidRequest:
    if isinstance(answer, Decision | InvalidRequest):
        return answer
    raise answer
