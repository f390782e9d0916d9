"""Volume limits across workers: never more than they allow, hardly less, whatever happens to the workers."""

import asyncio
import contextlib
import os
import signal
import struct
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feature_store.budgets import Budgets
from feature_store.client import connect
from feature_store.embedded import EmbeddedStore
from service.decisioning.exploration import Exploration
from service.decisioning.periods import Campaign, Daily, Hourly, Period, Span
from service.decisioning.snapshot import Snapshot
from service.decisioning.volumes import UNLIMITED
from service.runtime.budgets import Ledger

from .limited import chosen, exploring_snapshot, ignore, limited_snapshot, requests

ROOT = Path(__file__).resolve().parents[3]
LONG = Campaign(Span(0.0, 4e9))
NOBODY = "unix:///nowhere/redis.sock"


def snapshot_of(at_most: int, period: Period = LONG, **parts: bool) -> Snapshot:
    """A limit that no other test has."""
    return limited_snapshot(f"t{uuid.uuid4().hex}", at_most, period, **parts)


def run(url: str, scenario: Callable[[Callable[[], Ledger]], Awaitable[None]]) -> None:
    """Run a scenario with as many workers as it makes."""

    async def main() -> None:
        client = connect(url, timeout=5)
        try:
            await scenario(lambda: Ledger(Budgets(client)))
        finally:
            await client.close()

    asyncio.run(main())


def choose(ledger: Ledger, snapshot: Snapshot, n: int = 1, *, dry: bool = False, channel: int = 0) -> int:
    """Decide for n customers; how many got the limited action."""
    real = np.full(n, not dry)
    return chosen(ledger.decide(snapshot, requests(n, channel), real, ignore))


def test_a_lone_worker_chooses_as_often_as_the_limit_allows(embedded_store_url: str) -> None:
    async def scenario(worker: Callable[[], Ledger]) -> None:
        snapshot, ledger = snapshot_of(30), worker()
        await ledger.adopt(snapshot)
        ledger.start()
        made = 0
        for _ in range(10_000):
            made += choose(ledger, snapshot)
            if made == 30:
                break
            await asyncio.sleep(0.001)
        assert made == 30
        for _ in range(50):
            assert choose(ledger, snapshot) == 0
            await asyncio.sleep(0.001)
        await ledger.stop()

    run(embedded_store_url, scenario)


def test_requests_get_what_is_left_in_the_order_of_their_arrival(embedded_store_url: str) -> None:
    async def scenario(worker: Callable[[], Ledger]) -> None:
        snapshot, ledger = snapshot_of(1500), worker()
        real = np.array([True, False, True, True, True, False])
        await ledger.adopt(snapshot)
        decisions = ledger.decide(snapshot, requests(6), real, ignore)
        assert (decisions.slate.action == 0).tolist() == [True, True, True, True, False, False]
        assert decisions.batch.budgets is not None
        assert decisions.batch.budgets.ravel().tolist() == [UNLIMITED] * 4 + [0, 0]
        ledger.unbook(snapshot, decisions, np.array([True, False, False, False, False, False]))
        assert choose(ledger, snapshot, 2) == 1

    run(embedded_store_url, scenario)


def test_what_is_taken_back_from_a_forgotten_period_frees_nothing(embedded_store_url: str) -> None:
    async def scenario(worker: Callable[[], Ledger]) -> None:
        snapshot, ledger, later = snapshot_of(4), worker(), worker()
        await ledger.adopt(snapshot)
        decisions = ledger.decide(snapshot, requests(1), np.ones(1, np.bool_), ignore)
        assert decisions.slate.action.tolist() == [0]
        await ledger.stop()
        later.unbook(snapshot, decisions, np.ones(1, np.bool_))
        chosen = 0
        for _ in range(8):
            await later.adopt(snapshot)
            chosen += choose(later, snapshot)
        assert chosen == 3

    run(embedded_store_url, scenario)


def test_plenty_is_no_budget_at_all(embedded_store_url: str) -> None:
    async def scenario(worker: Callable[[], Ledger]) -> None:
        snapshot, ledger = snapshot_of(1500), worker()
        await ledger.adopt(snapshot)
        decisions = ledger.decide(snapshot, requests(3), np.ones(3, np.bool_), ignore)
        assert decisions.batch.budgets is None

    run(embedded_store_url, scenario)


def test_requests_that_choose_something_else_leave_their_share_to_others(embedded_store_url: str) -> None:
    async def scenario(worker: Callable[[], Ledger]) -> None:
        snapshot, ledger = snapshot_of(500), worker()
        await ledger.adopt(snapshot)
        excluded = np.array([[True, False]] * 4 + [[False, False]])
        batch = replace(requests(5), excluded=excluded)
        decisions = ledger.decide(snapshot, batch, np.ones(5, np.bool_), ignore)
        assert (decisions.slate.action == 0).tolist() == [False] * 4 + [True]

    run(embedded_store_url, scenario)


def test_a_limit_that_is_used_up_stays_so_when_another_one_is_just_being_used_up(
    embedded_store_url: str,
) -> None:
    async def scenario(worker: Callable[[], Ledger]) -> None:
        snapshot, ledger = snapshot_of(1), worker()
        (fibre,) = snapshot.volumes
        tv = replace(fibre, name=f"{fibre.name}_tv", actions=np.array([False, True]))
        snapshot = replace(snapshot, volumes=(fibre, tv))
        await ledger.adopt(snapshot)
        assert choose(ledger, snapshot) == 1
        decisions = ledger.decide(snapshot, requests(3), np.ones(3, np.bool_), ignore)
        assert list(zip(decisions.slate.row, decisions.slate.action, strict=True)) == [(0, 1)]

    run(embedded_store_url, scenario)


def test_a_dry_run_sees_what_is_left_and_uses_nothing(embedded_store_url: str) -> None:
    async def scenario(worker: Callable[[], Ledger]) -> None:
        snapshot, ledger = snapshot_of(1), worker()
        await ledger.adopt(snapshot)
        assert [choose(ledger, snapshot, dry=True) for _ in range(3)] == [1, 1, 1]
        assert choose(ledger, snapshot) == 1
        assert choose(ledger, snapshot, dry=True) == 0

    run(embedded_store_url, scenario)


def test_a_channel_for_which_the_limit_does_not_speak_is_free(embedded_store_url: str) -> None:
    async def scenario(worker: Callable[[], Ledger]) -> None:
        snapshot, ledger = snapshot_of(1), worker()
        await ledger.adopt(snapshot)
        assert choose(ledger, snapshot, 50, channel=1) == 50
        assert choose(ledger, snapshot) == 1

    run(embedded_store_url, scenario)


def test_what_a_worker_holds_at_its_end_is_there_for_the_others(embedded_store_url: str) -> None:
    async def scenario(worker: Callable[[], Ledger]) -> None:
        snapshot, first, second = snapshot_of(1), worker(), worker()
        await first.adopt(snapshot)
        await second.adopt(snapshot)
        assert choose(second, snapshot) == 0
        await first.stop()
        await second.adopt(snapshot)
        assert choose(second, snapshot) == 1

    run(embedded_store_url, scenario)


def test_an_idle_worker_lets_go_of_what_another_one_could_use(embedded_store_url: str) -> None:
    async def scenario(worker: Callable[[], Ledger]) -> None:
        snapshot, idle, busy = snapshot_of(2), worker(), worker()
        for ledger in (idle, busy):
            await ledger.adopt(snapshot)
            ledger.start()
        made = 0
        while made < 2:  # the test's own timeout is the judge
            made += choose(busy, snapshot)
            await asyncio.sleep(0.01)
        await idle.stop()
        await busy.stop()

    run(embedded_store_url, scenario)


@pytest.mark.parametrize(("allowed", "expected"), [(True, 20), (False, 0)])
def test_without_the_store_a_limit_does_what_it_declares(allowed: bool, expected: int) -> None:
    async def scenario(worker: Callable[[], Ledger]) -> None:
        snapshot, ledger = snapshot_of(5, available_without_store=allowed), worker()
        await ledger.adopt(snapshot)
        assert choose(ledger, snapshot, 20) == expected
        await ledger.stop()

    run(NOBODY, scenario)


def test_what_was_leased_is_used_while_the_store_is_away(embedded_store_url: str) -> None:
    async def scenario(worker: Callable[[], Ledger]) -> None:
        snapshot, ledger = snapshot_of(5000), worker()
        await ledger.adopt(snapshot)
        ledger._budgets = Budgets(connect(NOBODY))
        await ledger.adopt(snapshot)
        assert choose(ledger, snapshot, 50) == 10
        assert choose(ledger, snapshot, 50) == 0

    run(embedded_store_url, scenario)


def test_what_was_chosen_without_the_store_is_told_when_it_is_back(embedded_store_url: str) -> None:
    async def scenario(worker: Callable[[], Ledger]) -> None:
        snapshot = snapshot_of(5, available_without_store=True)
        ledger, other = worker(), worker()
        ledger._budgets, back = Budgets(connect(NOBODY)), ledger._budgets
        await ledger.adopt(snapshot)
        assert choose(ledger, snapshot, 4) == 4
        ledger._budgets = back
        await ledger.adopt(snapshot)
        await other.adopt(snapshot)
        assert choose(ledger, snapshot, 5) == 1
        assert choose(other, snapshot, 5) == 0
        await ledger.adopt(snapshot)
        await other.adopt(snapshot)
        assert [purse.spent_by_all for purse in other._purses.values()] == [5]

    run(embedded_store_url, scenario)


def test_a_new_period_begins_anew(embedded_store_url: str) -> None:
    async def scenario(worker: Callable[[], Ledger]) -> None:
        now = time.time()
        ends = now + 0.3

        class Shifts(Hourly):
            """Two, one after the other."""

            def span(self, now: float) -> Span:
                return Span(0.0, ends) if now < ends else Span(ends, ends + 4e8)

        snapshot, ledger = snapshot_of(1, Shifts()), worker()
        await ledger.adopt(snapshot)
        ledger.start()
        assert choose(ledger, snapshot) == 1
        assert choose(ledger, snapshot) == 0
        await asyncio.sleep(max(0.0, ends - time.time()) + 0.01)
        assert choose(ledger, snapshot) == 1, "the lease of the new period was there when it began"
        await ledger.stop()

    run(embedded_store_url, scenario)


def test_a_limit_that_was_raised_goes_on_counting(embedded_store_url: str) -> None:
    async def scenario(worker: Callable[[], Ledger]) -> None:
        name, ledger = f"t{uuid.uuid4().hex}", worker()
        small, large = (limited_snapshot(name, at_most, Daily()) for at_most in (1, 3))
        await ledger.adopt(small)
        assert [choose(ledger, small) for _ in range(2)] == [1, 0]
        made = 0
        for _ in range(4):
            await ledger.adopt(large)
            made += choose(ledger, large, 2)
        assert made == 2

    run(embedded_store_url, scenario)


@pytest.mark.parametrize("number", [1, 3])
def test_exploring_ends_when_the_day_has_spent_what_it_may_cost(tmp_path: Path, number: int) -> None:
    """A turn gives up a priority of 0.8 half of the time; the last one of a worker may go over the limit."""
    snapshot = exploring_snapshot(Exploration("epsilon", epsilon=1.0, daily_cost=100.0))
    draws = np.random.default_rng(7)
    cost = 0.0

    async def scenario(worker: Callable[[], Ledger]) -> None:
        nonlocal cost
        ledgers = [worker() for _ in range(number)]
        for ledger in ledgers:
            await ledger.adopt(snapshot)
            ledger.start()
        still = 0
        while still < 200:
            for ledger in ledgers:
                seeds = draws.integers(0, 2**63, 20, dtype=np.uint64)
                batch = replace(requests(20), seeds=seeds)
                decisions = ledger.decide(snapshot, batch, np.ones(20, np.bool_), ignore)
                spent = float(decisions.slate.expected_cost.sum())
                cost, still = cost + spent, 0 if spent else still + 1
            await asyncio.sleep(0.003)
        for ledger in ledgers:
            await ledger.stop()

    with EmbeddedStore(tmp_path) as store:
        run(store.url, scenario)
    assert 90 <= cost <= 100 + 5 * number


@contextlib.contextmanager
def workers(url: str, number: int, at_most: int, folder: Path, pace: str = "") -> Iterator["Crew"]:
    counts = folder / f"t{uuid.uuid4().hex}.counts"
    counts.write_bytes(struct.pack(f"{number}d", *[-1.0] * number))
    program = Path(__file__).parent / "limited.py"
    words = [
        [sys.executable, str(program), url, str(at_most), str(counts), str(n), pace] for n in range(number)
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    processes = [subprocess.Popen(command, env=environment) for command in words]
    try:
        crew = Crew(counts, processes)
        crew.until(lambda: min(crew.made) == 0)
        yield crew
    finally:
        for process in processes:
            process.kill()
            process.wait(10)


class Crew:
    """Worker processes and what each has chosen so far; -1 before it began."""

    def __init__(self, counts: Path, processes: list["subprocess.Popen[bytes]"]) -> None:
        self._counts, self.processes = counts, processes

    def begin(self, span: Span) -> None:
        """Let the campaign take place then."""
        draft = self._counts.with_suffix(".draft")
        draft.write_bytes(struct.pack("dd", span.start, span.end))
        draft.rename(self._counts.with_suffix(".span"))

    @property
    def made(self) -> list[float]:
        raw = self._counts.read_bytes()
        return list(struct.unpack(f"{len(raw) // 8}d", raw))

    @property
    def total(self) -> float:
        return sum(made for made in self.made if made > 0)

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < deadline, f"the workers have chosen {self.made}"
            assert all(process.poll() in (None, -signal.SIGKILL) for process in self.processes)
            time.sleep(0.005)

    def rest(self) -> float:
        """Wait until nothing more is chosen; what was chosen then."""
        while True:
            before = self.total
            time.sleep(1.5)
            if self.total == before:
                return before


def test_workers_under_full_load_choose_as_often_as_allowed_and_not_once_more(
    embedded_store_url: str, tmp_path: Path
) -> None:
    with workers(embedded_store_url, 4, 10_000, tmp_path) as crew:
        crew.begin(LONG.dates)
        crew.until(lambda: crew.total >= 9_900)
        made = crew.rest()
    assert 9_900 <= made <= 10_000


def test_workers_that_are_killed_take_less_than_one_percent_with_them(
    embedded_store_url: str, tmp_path: Path
) -> None:
    with workers(embedded_store_url, 4, 10_000, tmp_path) as crew:
        crew.begin(LONG.dates)
        crew.until(lambda: min(crew.made) > 500)
        for process in crew.processes[:3]:
            process.kill()
        crew.until(lambda: crew.total >= 9_900)
        made = crew.rest()
    assert 9_900 <= made <= 10_000


def test_an_even_pace_follows_the_clock_over_several_workers(embedded_store_url: str, tmp_path: Path) -> None:
    with workers(embedded_store_url, 3, 1500, tmp_path, "even") as crew:
        begins = time.time() + 0.2
        span = Span(begins, begins + 6)
        limit = limited_snapshot("pace", 1500, Campaign(span), even=True).volumes[0]
        crew.begin(span)
        seen = []
        while time.time() < span.end + 0.2:
            made = crew.total
            seen.append((time.time(), made))  # the clock is read later, so it allows more
            time.sleep(0.02)
    assert all(made <= limit.ceiling(at) for at, made in seen if span.has(at))
    halfway = max(made for at, made in seen if span.share(at) <= 0.5)
    assert halfway >= 500, "it waits for nothing but the clock"
    assert 1400 <= seen[-1][1] <= 1500
