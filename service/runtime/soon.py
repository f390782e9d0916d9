"""Work that can wait a little, and costs less for many than for each."""

import asyncio
from collections.abc import Callable


class Soon:
    """Calls `work` when so many things wait for it, and at the latest after so many seconds."""

    def __init__(self, work: Callable[[], None], *, at_once: int, within: float) -> None:
        self._work, self._at_once, self._within = work, at_once, within
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, number: int = 1) -> None:
        """So many more things wait."""
        self._waiting += number
        if self._waiting >= self._at_once:
            self.now()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._within, self.now)

    def now(self) -> None:
        """Do what waits, if anything does."""
        if self._timer is not None:
            self._timer.cancel()
        waiting, self._waiting, self._timer = self._waiting, 0, None
        if waiting:
            self._work()
