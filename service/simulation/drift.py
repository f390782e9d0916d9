"""How tastes change: by day, each action's log-odds of a response walk at random."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DAILY = 0.1
"""Deviation of a day's step, in log-odds: after nine days odds are up or down by a third, as a rule."""


@dataclass(frozen=True)
class Drift:
    """`shift` is (days, actions), in log-odds, 0 on the first day."""

    shift: Floats

    @classmethod
    def drawn(cls, rng: np.random.Generator, days: int, actions: int, daily: float = DAILY) -> Self:
        """Random walks with steps of that deviation."""
        steps = rng.normal(0.0, daily, (days, actions))
        steps[0] = 0.0
        return cls(steps.cumsum(axis=0))

    def moved(self, probabilities: Floats, day: int, actions: NDArray[np.intp]) -> Floats:
        """What the first day's probabilities (n,) of these actions (n,) are on that day, from 0."""
        odds = probabilities / (1.0 - probabilities) * np.exp(self.shift[day, actions])
        moved: Floats = odds / (1.0 + odds)
        return moved
