"""Natural batching: who comes alone is served at once, who comes together is served together."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from service.runtime.batching import ALWAYS_TAKEN, NaturalBatcher, Overloaded, Release


class Work:
    """Takes batches, notes them, and finishes each when it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.finished: list[asyncio.Event] = []
        self.releases: list[Release] = []
        self._started = asyncio.Queue[None]()

    async def __call__(self, batch: list[int], release: Release) -> None:
        done = asyncio.Event()
        self.batches.append(batch)
        self.finished.append(done)
        self.releases.append(release)
        self._started.put_nowait(None)
        await done.wait()

    def batcher(self, max_batch: int = 100, max_waiting: int = 100) -> NaturalBatcher[int]:
        return NaturalBatcher(self, max_batch=max_batch, max_waiting=max_waiting)

    async def next_batch(self) -> list[int]:
        await self._started.get()
        return self.batches[-1]


async def turns(number: int = 10) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_a_lone_item_is_worked_on_in_the_next_turn_of_the_loop() -> None:
    async def scenario() -> None:
        work = Work()
        work.batcher().submit([1])
        await turns()
        assert work.batches == [[1]]

    run(scenario)


def test_what_arrives_in_one_turn_goes_together() -> None:
    async def scenario() -> None:
        work = Work()
        batcher = work.batcher()
        for item in (1, 2, 3):
            batcher.submit([item])
        await turns()
        assert work.batches == [[1, 2, 3]]

    run(scenario)


def test_what_arrives_during_a_batch_is_the_next_one() -> None:
    async def scenario() -> None:
        work = Work()
        batcher = work.batcher()
        batcher.submit([1])
        await turns()
        for item in (2, 3, 4):
            batcher.submit([item])
            await turns()
        assert (work.batches, len(batcher)) == ([[1]], 3)
        work.finished[0].set()
        await turns()
        assert (work.batches, len(batcher)) == ([[1], [2, 3, 4]], 0)

    run(scenario)


def test_no_batch_is_larger_than_the_most_and_the_order_stays() -> None:
    async def scenario() -> None:
        batches: list[list[int]] = []

        async def work(batch: list[int], _: Release) -> None:
            batches.append(batch)

        batcher = NaturalBatcher(work, max_batch=4, max_waiting=100)
        batcher.submit(list(range(10)))
        await batcher.drain()
        assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]

    run(scenario)


def test_beyond_the_room_all_items_of_a_call_are_refused_or_none() -> None:
    async def scenario() -> None:
        work = Work()
        batcher = work.batcher(max_waiting=5)
        batcher.submit([1, 2, 3])
        with pytest.raises(Overloaded):
            batcher.submit([4, 5, 6])
        assert len(batcher) == 3
        batcher.submit([4, 5])
        await turns()
        assert work.batches == [[1, 2, 3, 4, 5]]

    run(scenario)


def test_a_batch_that_lets_go_does_not_keep_the_next_one_from_starting() -> None:
    async def scenario() -> None:
        work = Work()
        batcher = work.batcher()
        for item in (1, 2, 3):
            batcher.submit([item])
            assert await work.next_batch() == [item]
            work.releases[-1]()
        assert not any(event.is_set() for event in work.finished)

    run(scenario)


def test_the_end_of_a_batch_that_has_let_go_does_not_let_two_others_run_at_once() -> None:
    async def scenario() -> None:
        work = Work()
        batcher = work.batcher()
        batcher.submit([1])
        await work.next_batch()
        work.releases[0]()
        batcher.submit([2])
        await work.next_batch()
        work.releases[0]()
        work.finished[0].set()
        batcher.submit([3])
        await turns()
        assert work.batches == [[1], [2]]
        work.finished[1].set()
        await turns()
        assert work.batches == [[1], [2], [3]]

    run(scenario)


def test_draining_waits_for_what_runs_and_what_waits() -> None:
    async def scenario() -> None:
        work = Work()
        batcher = work.batcher(max_batch=1)
        batcher.submit([1, 2])
        draining = asyncio.create_task(batcher.drain())
        for number in (1, 2):
            assert await work.next_batch() == [number]
            await turns()
            assert not draining.done()
            work.finished[number - 1].set()
        await draining
        assert (work.batches, len(batcher)) == ([[1], [2]], 0)

    run(scenario)


def test_a_batch_that_fails_is_reported_and_the_next_one_is_worked_on() -> None:
    async def scenario() -> None:
        reports: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))
        worked: list[int] = []

        async def work(batch: list[int], _: Release) -> None:
            if batch == [1]:
                raise ZeroDivisionError
            worked.extend(batch)

        batcher = NaturalBatcher(work, max_batch=1, max_waiting=10)
        batcher.submit([1, 2])
        await batcher.drain()
        await turns()
        assert worked == [2]
        assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]

    run(scenario)


def test_a_batch_waits_for_what_every_turn_of_the_loop_brings() -> None:
    async def scenario() -> None:
        work = Work()
        batcher = work.batcher()
        for item in range(8):
            batcher.submit([item])
            await asyncio.sleep(0)
        await turns()
        assert work.batches == [list(range(8))]

    run(scenario)


def test_a_full_batch_waits_for_nothing() -> None:
    async def scenario() -> None:
        work = Work()
        batcher = work.batcher(max_batch=4)
        for item in range(8):
            batcher.submit([item])
            await asyncio.sleep(0)
        assert await work.next_batch() == [0, 1, 2, 3]
        work.finished[0].set()
        assert await work.next_batch() == [4, 5, 6, 7]

    run(scenario)


class SlowWork(Work):
    """Takes 5 ms for each item, in batches of 4."""

    async def __call__(self, batch: list[int], _: Release) -> None:
        self.batches.append(batch)
        self._started.put_nowait(None)
        await asyncio.sleep(0.005 * len(batch))

    def within(self, seconds: float) -> NaturalBatcher[int]:
        return NaturalBatcher(self, max_batch=4, max_waiting=1000, within=seconds)


def test_what_can_t_be_done_in_time_is_refused_once_it_is_known() -> None:
    async def scenario() -> None:
        work = SlowWork()
        batcher = work.within(0.1)
        batcher.submit(list(range(100)))  # nothing is known of it yet
        for _ in range(2):
            await work.next_batch()
        assert not batcher.has_room()
        with pytest.raises(Overloaded):
            batcher.submit([1])
        await batcher.drain()
        assert batcher.has_room()

    run(scenario)


def test_a_few_are_always_taken() -> None:
    async def scenario() -> None:
        batcher = SlowWork().within(0.0)
        batcher.submit(list(range(30)))
        await batcher.drain()
        batcher.submit(list(range(ALWAYS_TAKEN)))
        with pytest.raises(Overloaded):
            batcher.submit([1])
        await batcher.drain()

    run(scenario)


def test_without_a_limit_of_time_everything_is_taken_that_there_is_room_for() -> None:
    async def scenario() -> None:
        work = Work()
        batcher = work.batcher(max_batch=20, max_waiting=40)
        batcher.submit(list(range(40)))
        await work.next_batch()
        work.finished[0].set()
        await work.next_batch()
        batcher.submit(list(range(40)))
        work.finished[1].set()
        for number in (2, 3):
            await work.next_batch()
            work.finished[number].set()

    run(scenario)
