"""Natural batching: what has arrived while the last batch was being worked on is the next batch.

There is no timer: a request that comes alone is worked on at once, and under load batches grow by themselves.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")

PATIENCE = 0.005
"""Seconds for which a batch holds back the next one: a slow store delays its own batch, not all that
follow."""


class Overloaded(Exception):
    """More is waiting than can be worked off in time."""


class NaturalBatcher(Generic[Item]):
    """Hands items to `work` in batches. `work` answers each item itself, and never raises.

    A `patient` one lets each batch take as long as it does; another starts the next after `PATIENCE`.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], Awaitable[None]],
        *,
        max_batch: int,
        max_waiting: int,
        patient: bool = False,
    ) -> None:
        self._work = work
        self._patient = patient
        self._max_batch, self._max_waiting = max_batch, max_waiting
        self._waiting: deque[Item] = deque()
        self._scheduled = False
        self._current: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._waiting)

    def submit(self, items: list[Item]) -> None:
        """Queue items, all of them or none.

        Raises:
            Overloaded: there is no room for them.
        """
        if len(self._waiting) + len(items) > self._max_waiting:
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
        """Start after the other callbacks of this turn, so that what arrives in one turn goes together."""
        if self._waiting and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._scheduled = False
        if self._current is not None:
            return
        size = min(len(self._waiting), self._max_batch)
        batch = [self._waiting.popleft() for _ in range(size)]
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._run(batch))
        self._current = task
        self._running.add(task)
        if not self._patient:
            loop.call_later(PATIENCE, self._release, task)
        task.add_done_callback(self._finished)

    async def _run(self, batch: list[Item]) -> None:
        await self._work(batch)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._release(task)
        if not task.cancelled() and task.exception() is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a batch failed", "exception": task.exception(), "task": task}
            )

    def _release(self, task: "asyncio.Task[None]") -> None:
        """Let the next batch start: this one is done, or has taken long enough."""
        if self._current is task:
            self._current = None
            self._schedule()
