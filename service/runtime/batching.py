"""Natural batching: what has arrived while the last batch was being worked on is the next batch.

There is no timer: a request that comes alone is worked on at once, and under load batches grow by themselves.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from service.runtime.pace import Pace

Item = TypeVar("Item")
Release = Callable[[], None]
"""Lets the next batch start before this one is done."""

ALWAYS_TAKEN = 32
"""Items for which there is always room to wait: few enough that they make one small batch."""


class Overloaded(Exception):
    """More is waiting than can be worked off in time."""


class NaturalBatcher(Generic[Item]):
    """Hands items to `work` in batches. `work` answers each item itself, and never raises.

    A batch starts when a turn of the event loop has brought nothing new, or with `max_batch` items, and when
    the one before is done or has called the function that `work` is given beside its items: it waits for
    something else, and the next one can have the processor meanwhile.

    What can't be expected to be done `within` so many seconds is not taken in.
    """

    def __init__(
        self,
        work: Callable[[list[Item], Release], Awaitable[None]],
        *,
        max_batch: int,
        max_waiting: int,
        within: float = math.inf,
    ) -> None:
        self._work = work
        self._max_batch, self._max_waiting, self._within = max_batch, max_waiting, within
        self._waiting: deque[Item] = deque()
        self._scheduled = False
        self._seen = 0
        self._current: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._pace = Pace()
        self._began = 0.0
        self._size = 0

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._waiting)

    def has_room(self, items: int = 1) -> bool:
        """Whether so many more would be taken in."""
        waiting = len(self._waiting) + items
        ahead = waiting + (self._size if self._current is not None else 0)
        in_time = waiting <= ALWAYS_TAKEN or self._pace.expected(ahead, self._max_batch) <= self._within
        return in_time and waiting <= self._max_waiting

    def submit(self, items: list[Item]) -> None:
        """Queue items, all of them or none.

        Raises:
            Overloaded: there is no room for them.
        """
        if not self.has_room(len(items)):
            raise Overloaded
        self._waiting.extend(items)
        if self._current is None:
            self._schedule()

    async def drain(self) -> None:
        """Wait until everything that was submitted is done."""
        while self._waiting or self._running:
            await asyncio.sleep(0)
            if self._running:
                await asyncio.wait(self._running)

    def _schedule(self) -> None:
        if self._waiting and not self._scheduled:
            self._scheduled, self._seen = True, 0
            self._began = time.perf_counter()
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Start, unless the last turn of the loop has brought more: then there may be still more to come."""
        waiting = len(self._waiting)
        if self._current is None and self._seen < waiting < self._max_batch:
            self._seen = waiting
            asyncio.get_running_loop().call_soon(self._turn)
            return
        self._scheduled = False
        if self._current is None:
            self._start()

    def _start(self) -> None:
        self._size = min(len(self._waiting), self._max_batch)
        batch = [self._waiting.popleft() for _ in range(self._size)]
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._run(batch))
        self._current = task
        self._running.add(task)
        task.add_done_callback(self._finished)

    async def _run(self, batch: list[Item]) -> None:
        task = asyncio.current_task()
        await self._work(batch, lambda: self._release(task))

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._release(task)
        if not task.cancelled() and task.exception() is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a batch failed", "exception": task.exception(), "task": task}
            )

    def _release(self, task: "asyncio.Task[None] | None") -> None:
        """Let the next batch start: this one is done, or waits."""
        if self._current is task:
            self._current = None
            self._pace.learn(self._size, time.perf_counter() - self._began)
            self._schedule()
