"""The ledger of a worker: what it may still choose under volume limits.

Decisions never wait for it. It holds a small lease of every budget, and renews it in the background before it
runs out.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import structlog
from numpy.typing import NDArray

from feature_store.budgets import Budgets, Standing
from feature_store.store import StoreUnavailable
from service.decisioning.batch import Batch
from service.decisioning.pipeline import Decisions, decide
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import Stage
from service.decisioning.volumes import UNLIMITED, VolumeLimit, most_choices
from service.observability import metrics
from service.runtime.purses import Budget, Purse

log = structlog.get_logger()

REFRESH = 1.0
"""Seconds between two looks at every budget, also where nothing was spent."""
PAUSE = 0.002
"""Seconds between two round trips for leases that run low, at least."""
AHEAD = 3.0
"""Seconds before a period begins at which its first lease is taken."""

Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Plan:
    """What a snapshot's budgets are, and what its requests can take of them."""

    limits: tuple[VolumeLimit, ...]
    most: NDArray[np.int32]

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Plan":
        """The plan of a snapshot."""
        return cls(snapshot.volumes, most_choices(snapshot.catalogue, snapshot.volumes))


class Hold:
    """What is held back for the requests of a batch (`batch` has their budgets) until they are decided.

    held  n x V  of each limit; nothing for dry runs
    """

    def __init__(
        self, ledger: "Ledger", batch: Batch, real: Rows, purses: list[Purse], held: NDArray[np.int64]
    ) -> None:
        self.batch = batch
        self._ledger, self._real, self._purses, self._held = ledger, real, purses, held

    def decide(self, snapshot: Snapshot, done: Callable[[Stage], None]) -> Decisions:
        """Decide the batch and book what was chosen."""
        try:
            decisions = decide(snapshot, self.batch, done)
        except BaseException:
            self.release(self._real)
            raise
        self.settle(snapshot, decisions)
        return decisions

    def settle(self, snapshot: Snapshot, decisions: Decisions, rows: Rows | None = None) -> None:
        """Book what was decided for these rows, all if none are named, and free what they did not use."""
        if not self._purses:
            return
        rows = self._real if rows is None else rows & self._real
        self.release(rows)
        slate = decisions.slate
        booked = rows[slate.row]
        channels = self.batch.channel[slate.row]
        for limit, purse in zip(snapshot.volumes, self._purses, strict=True):
            counted = limit.actions[slate.action] & limit.channels[channels] & booked
            purse.spent += int(np.count_nonzero(counted))
        self._ledger.starved(snapshot, self._purses, self.batch, decisions.removed_by, rows)
        self._ledger.look()

    def release(self, rows: Rows) -> None:
        """Free what is held for rows that are decided elsewhere."""
        freed = self._held[rows].sum(axis=0)
        self._held[rows] = 0
        for purse, amount in zip(self._purses, freed.tolist(), strict=True):
            purse.held -= amount


class Ledger:
    """Leases, holds and books, for one worker."""

    def __init__(self, budgets: Budgets, worker: str | None = None) -> None:
        self._budgets = budgets
        self._worker = worker or uuid.uuid4().hex[:16]
        self._plan = Plan((), np.empty((0, 0), np.int32))
        self._purses: dict[tuple[str, float], Purse] = {}
        self._low = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._store_away = False

    def start(self) -> None:
        """Keep the leases from now on."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def adopt(self, snapshot: Snapshot) -> None:
        """Lease what a snapshot that is about to decide needs."""
        self._plan = Plan.of(snapshot)
        await self._claim(refreshes=True)

    async def stop(self) -> None:
        """Give back everything that was not spent."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._claim(leaves=True)

    def hold(self, snapshot: Snapshot, batch: Batch, real: Rows) -> Hold:
        """Hold back what each request may use, in the order of their arrival. `real` (n) is False for dry
        runs, for which nothing is held."""
        now = float(batch.now[0])
        plan = self._plan if self._plan.limits is snapshot.volumes else Plan.of(snapshot)
        purses = [self._purse(limit, now) for limit in plan.limits]
        held = np.zeros((len(batch), len(purses)), np.int64)
        if purses:
            batch, held = self._hold_volumes(plan, purses, batch, real)
        return Hold(self, batch, real, purses, held)

    def _hold_volumes(
        self, plan: Plan, purses: list[Purse], batch: Batch, real: Rows
    ) -> tuple[Batch, NDArray[np.int64]]:
        now = float(batch.now[0])
        wanted = np.minimum(batch.limits[:, None, :], plan.most).sum(axis=2, dtype=np.int64)
        left = np.array([self._left(purse, now) for purse in purses])
        held = wanted * real[:, None]
        needed = held.sum(axis=0)
        if (wanted.sum(axis=0) > left).any():
            before = np.cumsum(held, axis=0) - held
            given = np.clip(np.floor(left) - before, 0, wanted).astype(np.int64)
            budgets = np.where(given < wanted, given, UNLIMITED).astype(np.int32)
            used = np.broadcast_to([purse.spent_by_all for purse in purses], budgets.shape)
            batch = replace(batch, budgets=budgets, volume_used=used)
            held = given * real[:, None]
            needed = held.sum(axis=0)
        for purse, amount in zip(purses, needed.tolist(), strict=True):
            purse.held += amount
        return batch, held

    def _left(self, purse: Purse, now: float) -> float:
        if not purse.span.has(now):
            return 0.0  # a campaign that has not begun, or is over
        if purse.away and purse.budget.available_without_store:
            return float(UNLIMITED)
        return max(purse.left, 0.0)

    def starved(
        self,
        snapshot: Snapshot,
        purses: list[Purse],
        batch: Batch,
        removed_by: NDArray[np.int32],
        rows: Rows,
    ) -> None:
        """Note which limits have taken something out of these rows that may be chosen a moment later."""
        if batch.budgets is None:
            return
        first = snapshot.first_code("volumes")
        for position in np.flatnonzero((batch.budgets < UNLIMITED).any(axis=0)).tolist():
            requests = int(np.count_nonzero((removed_by[rows] == first + position).any(axis=1)))
            if requests:
                purses[position].starve(float(batch.now[0]))
                metrics.VOLUME_SUPPRESSED.labels(snapshot.volumes[position].name).inc(requests)

    def look(self) -> None:
        """Renew leases at once where some run low."""
        if not self._low.is_set():
            now = time.time()
            if any(purse.can_have_more(now) for purse in self._purses.values()):
                self._low.set()

    def _purse(self, budget: Budget, now: float) -> Purse:
        span = budget.period.span(now)
        key = (budget.counter, span.start)
        purse = self._purses.get(key)
        if purse is None:
            purse = self._purses[key] = Purse(budget, span, self._worker)
        purse.budget, purse.span = budget, span  # as the snapshot says that decides now
        return purse

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
            now = time.time()
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
        for limit in self._plan.limits:
            for moment in (now, now + AHEAD):
                if limit.period.span(moment).has(moment):
                    self._purse(limit, moment)

    def _rest(self, now: float) -> None:
        """Begin afresh to watch who is idle, show what is used, and forget what is over."""
        for key, purse in list(self._purses.items()):
            purse.rest()
            if purse.settled and (now >= purse.span.end or not self._goes_on(purse)):
                del self._purses[key]
            elif purse.span.has(now):
                _show(purse)

    def _goes_on(self, purse: Purse) -> bool:
        return any(limit.counter == purse.budget.counter for limit in self._plan.limits)

    def _failed(self, failures: Sequence[StoreUnavailable]) -> None:
        if failures:
            metrics.STORE_ERRORS.labels("budgets").inc(len(failures))
            if not self._store_away:
                log.warning("store_unavailable", operation="budgets", reason=str(failures[0]))
        self._store_away = bool(failures)


def _show(purse: Purse) -> None:
    metrics.VOLUME_USED.labels(purse.budget.name).set(purse.spent_by_all)
    metrics.VOLUME_LIMIT.labels(purse.budget.name).set(purse.budget.at_most)
