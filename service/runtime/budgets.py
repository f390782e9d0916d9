"""The ledger of a worker: what it may still choose under volume limits, and what exploring may still cost.

Decisions never wait for it. It holds a small lease of every budget, and renews it in the background before it
runs out.
"""

import asyncio
import math
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from feature_store.budgets import Budgets, Standing
from feature_store.store import StoreUnavailable
from service import clock
from service.decisioning.batch import Batch
from service.decisioning.periods import Period, Span
from service.decisioning.pipeline import Decisions, decide
from service.decisioning.snapshot import Snapshot
from service.decisioning.spending import ExplorationCost
from service.decisioning.stages import Stage
from service.decisioning.volumes import UNLIMITED
from service.observability import metrics
from service.runtime.plans import Counts, Plan, Rows
from service.runtime.purses import Budget, Purse

log = structlog.get_logger()

REFRESH = 1.0
"""Seconds between two looks at every budget, also where nothing was spent."""
PAUSE = 0.002
"""Seconds between two round trips for leases that run low, at least."""
AHEAD = 3.0
"""Seconds before a period begins at which its first lease is taken."""

REMEMBERED = 1000
"""Of about so many requests it is known what exploring has cost on average."""


class Ledger:
    """Leases and books, for one worker."""

    def __init__(self, budgets: Budgets, worker: str | None = None) -> None:
        self._budgets = budgets
        self._worker = worker or uuid.uuid4().hex[:16]
        nothing = np.empty((0, 0), np.bool_)
        self._plan = Plan((), nothing.astype(np.int32), nothing, nothing, None)
        self._purses: dict[tuple[str, float], Purse] = {}
        self._spans: dict[Period, Span] = {}
        self._low = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._store_away = False
        self._explored = self._explored_cost = 0.0

    def start(self) -> None:
        """Keep the leases from now on."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def adopt(self, snapshot: Snapshot) -> None:
        """Lease what a snapshot that is about to decide needs."""
        self._plan = Plan.of(snapshot)
        await self._claim(refreshes=True)

    async def provide(self, snapshot: Snapshot, batch: Batch) -> None:
        """Lease all that a large batch could use, as far as it is there: it can wait for that, and what is
        held for requests that can't would do for some of its own only."""
        plan, now = self._plan_of(snapshot), float(batch.now[0])
        purses = {self._purse(budget, now): -1.0 for budget in plan.budgets}
        wanted = [*plan.wanted(batch).sum(axis=0).tolist(), len(batch) * self._cost_of_one]
        for purse, needed in zip(purses, wanted, strict=False):
            purse.needed = needed
        while any(purse.left < purse.needed and purse.leased > held for purse, held in purses.items()):
            purses = {purse: purse.leased for purse in purses}
            await self._claim(refreshes=True)

    async def stop(self) -> None:
        """Give back everything that was not spent."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._claim(leaves=True)

    def decide(
        self, snapshot: Snapshot, batch: Batch, real: Rows, done: Callable[[Stage], None]
    ) -> Decisions:
        """Decide a batch within what is left, and book it. `real` (n) is False for dry runs: they see what is
        left and use nothing of it.

        Where less is left than the requests could use, it goes to those that came first. Who would have
        chosen what is not there is decided for again, without it.
        """
        plan = self._plan_of(snapshot)
        batch = self._affordable(plan, batch, real)
        if not plan.limits:
            decisions = decide(snapshot, batch, done)
        else:
            decisions = self._within_limits(plan, snapshot, batch, real, done)
        self._book(plan, decisions, real, 1)
        self._starved(plan, snapshot, decisions, real)
        self._look()
        return decisions

    def unbook(self, snapshot: Snapshot, decisions: Decisions, rows: Rows) -> None:
        """Take back what was booked for rows that are decided for once more."""
        self._book(self._plan_of(snapshot), decisions, rows, -1)

    def _plan_of(self, snapshot: Snapshot) -> Plan:
        return self._plan if self._plan.limits is snapshot.volumes else Plan.of(snapshot)

    @property
    def _cost_of_one(self) -> float:
        """What exploring has cost a request lately."""
        return self._explored_cost / max(1.0, self._explored)

    def _within_limits(
        self, plan: Plan, snapshot: Snapshot, batch: Batch, real: Rows, done: Callable[[Stage], None]
    ) -> Decisions:
        now = float(batch.now[0])
        purses = [self._purse(limit, now) for limit in plan.limits]
        lefts = [_left(purse, now) for purse in purses]
        if all(len(batch) * most <= left for most, left in zip(plan.most_of_one, lefts, strict=True)):
            return decide(snapshot, batch, done)
        left, wanted = np.array(lefts), plan.wanted(batch)
        if (wanted.sum(axis=0) <= left).all():
            return decide(snapshot, batch, done)
        used = np.broadcast_to([purse.spent_by_all for purse in purses], wanted.shape)
        budgets = np.where((wanted > 0) & (left < 1), 0, UNLIMITED).astype(np.int32)
        if not budgets.all():
            batch = replace(batch, budgets=budgets, volume_used=used)
        decisions = decide(snapshot, batch, done)
        again = _in_turn(plan.picks(decisions), wanted, real, left)
        if again is None:
            return decisions
        budgets = np.minimum(budgets, again)  # who keeps their picks does so by the same budgets
        return decide(snapshot, replace(batch, budgets=budgets, volume_used=used), done)

    def _affordable(self, plan: Plan, batch: Batch, real: Rows) -> Batch:
        """The batch with who may explore: as many as can be paid for, by what it has cost lately."""
        if plan.cost is None:
            return batch
        now = float(batch.now[0])
        left = _left(self._purse(plan.cost, now), now)
        each = self._cost_of_one
        if left > 0 and left >= each * np.count_nonzero(real):
            return batch
        affordable = math.ceil(left / each) if left > 0 else 0
        return replace(batch, explores=_before(real) < affordable)

    def _book(self, plan: Plan, decisions: Decisions, rows: Rows, sign: int) -> None:
        now = float(decisions.batch.now[0])
        if plan.limits:
            for limit, amount in zip(plan.limits, plan.booked(decisions, rows), strict=True):
                if amount:
                    self._spend(limit, now, sign * amount)
        if plan.cost is not None:
            cost = sign * float(decisions.slate.expected_cost[rows[decisions.slate.row]].sum())
            self._spend(plan.cost, now, cost)
            explored = rows if decisions.batch.explores is None else rows & decisions.batch.explores
            self._learn(cost, sign * int(np.count_nonzero(explored)))

    def _spend(self, budget: Budget, now: float, amount: float) -> None:
        """Book an amount. What is taken back from a period that is over and forgotten is of no use to it."""
        if amount > 0 or (budget.counter, self._span(budget, now).start) in self._purses:
            self._purse(budget, now).spent += amount

    def _learn(self, cost: float, requests: int) -> None:
        """Remember what exploring has cost the last requests."""
        fades = 0.5 if self._explored > REMEMBERED else 1.0
        self._explored = fades * self._explored + requests
        self._explored_cost = fades * self._explored_cost + cost

    def _starved(self, plan: Plan, snapshot: Snapshot, decisions: Decisions, real: Rows) -> None:
        """Note which budgets have kept something from these requests that may be there a moment later."""
        batch = decisions.batch
        now = float(batch.now[0])
        if batch.explores is not None and plan.cost is not None:
            self._purse(plan.cost, now).starve(now)
        if batch.budgets is None:
            return
        first = snapshot.first_code("volumes")
        for position in np.flatnonzero((batch.budgets < UNLIMITED).any(axis=0)).tolist():
            out = (decisions.removed_by[real] == first + position).any(axis=1)
            if out.any():
                self._purse(plan.limits[position], now).starve(now)
                metrics.VOLUME_SUPPRESSED.labels(plan.limits[position].name).inc(int(np.count_nonzero(out)))

    def _look(self) -> None:
        """Renew leases at once where some run low."""
        if not self._low.is_set():
            now = clock.now()
            if any(purse.can_have_more(now) for purse in self._purses.values()):
                self._low.set()

    def _purse(self, budget: Budget, now: float) -> Purse:
        span = self._span(budget, now)
        key = (budget.counter, span.start)
        purse = self._purses.get(key)
        if purse is None:
            purse = self._purses[key] = Purse(budget, span, self._worker)
        purse.budget, purse.span = budget, span  # as the snapshot says that decides now
        return purse

    def _span(self, budget: Budget, now: float) -> Span:
        """The period that counts, remembered until it is over: a midnight takes as long as a stage."""
        span = self._spans.get(budget.period)
        if span is None or not span.has(now):
            span = self._spans[budget.period] = budget.period.span(now)
        return span

    async def _run(self) -> None:
        refreshed = 0.0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(PAUSE, refreshed + REFRESH - time.monotonic())):
                    await self._low.wait()
            self._low.clear()
            due = time.monotonic() >= refreshed + REFRESH
            if due:
                refreshed = time.monotonic()
            try:
                await self._claim(refreshes=due)
            except Exception:
                log.exception("budgets_failed")
            await asyncio.sleep(REFRESH / 4 if self._store_away else PAUSE)

    async def _claim(self, *, refreshes: bool = False, leaves: bool = False) -> None:
        """Make the claims that are due: all at a refresh and when it leaves, else those that run low."""
        async with self._one_at_a_time:
            now = clock.now()
            if refreshes:
                self._prepare(now)
            everything = refreshes or leaves
            purses = [p for p in self._purses.values() if everything or p.can_have_more(now)]
            if not purses:
                return
            claims = [purse.claim(now, leaves=leaves or not self._goes_on(purse)) for purse in purses]
            standings: Sequence[Standing | StoreUnavailable]
            try:
                standings = await self._budgets.claim(claims)
            except StoreUnavailable as error:
                standings = [error] * len(claims)
            for purse, claim, standing in zip(purses, claims, standings, strict=True):
                purse.heard(claim, standing, now)
            self._failed([s for s in standings if isinstance(s, StoreUnavailable)])
            if refreshes:
                self._rest(now)

    def _prepare(self, now: float) -> None:
        """Have a purse for every budget, also of the period that is about to begin."""
        for budget in self._plan.budgets:
            for moment in (now, now + AHEAD):
                if budget.period.span(moment).has(moment):
                    self._purse(budget, moment)

    def _rest(self, now: float) -> None:
        """Begin afresh to watch who is idle, show what is used, and forget what is over."""
        for key, purse in list(self._purses.items()):
            purse.rest()
            if purse.settled and (now >= purse.span.end or not self._goes_on(purse)):
                del self._purses[key]
            elif purse.span.has(now):
                _show(purse)

    def _goes_on(self, purse: Purse) -> bool:
        return any(budget.counter == purse.budget.counter for budget in self._plan.budgets)

    def _failed(self, failures: Sequence[StoreUnavailable]) -> None:
        if failures:
            metrics.STORE_ERRORS.labels("budgets").inc(len(failures))
            if not self._store_away:
                log.warning("store_unavailable", operation="budgets", reason=str(failures[0]))
        self._store_away = bool(failures)


def _left(purse: Purse, now: float) -> float:
    if not purse.span.has(now):
        return 0.0  # a campaign that has not begun, or is over
    if purse.away and purse.budget.available_without_store:
        return float(UNLIMITED)
    return max(purse.left, 0.0)


def _in_turn(
    picks: Counts, wanted: Counts, real: Rows, left: NDArray[np.float64]
) -> NDArray[np.int32] | None:
    """The budgets (n x V) under which the requests, in their order, don't use more than is left; None where
    their `picks` are within it.

    Who came early enough keeps their picks. The others share what remains by what they could want, as they
    may choose something else that is limited, too.
    """
    booked = picks * real[:, None]
    late: Rows = np.any(_before(booked) + picks > left, axis=1)
    if not late.any():
        return None
    rest = left - booked[~late].sum(axis=0)
    claimed = wanted * (late & real)[:, None]
    given = np.clip(np.floor(rest - _before(claimed)), 0, wanted)
    scarce = late[:, None] & (given < wanted)
    return np.where(scarce, given, UNLIMITED).astype(np.int32)


def _before(amounts: NDArray[Any]) -> Counts:
    """What those before each row have together."""
    sums: Counts = np.cumsum(amounts, axis=0, dtype=np.int64) - amounts
    return sums


def _show(purse: Purse) -> None:
    if isinstance(purse.budget, ExplorationCost):
        metrics.EXPLORATION_COST.set(purse.spent_by_all)
    else:
        metrics.VOLUME_USED.labels(purse.budget.name).set(purse.spent_by_all)
        metrics.VOLUME_LIMIT.labels(purse.budget.name).set(purse.budget.at_most)
