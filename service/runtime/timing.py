"""How long the stages of a batch take."""

import time

from service.decisioning.stages import Stage


class StageTimer:
    """Called by `decide` after each stage; `seconds` has the time since the stage before."""

    def __init__(self) -> None:
        self._started = self._last = time.perf_counter()
        self.seconds: dict[Stage, float] = {}

    def done(self, stage: Stage) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now

    @property
    def total(self) -> float:
        """Seconds from the start to the end of the last stage."""
        return self._last - self._started
