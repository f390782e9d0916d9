"""How tastes change: by day, each action's log-odds of a response walk at random."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DAILY = 0.1
"""Deviation of a day's step, in log-odds: after nine days odds are up or down by a third, as a rule."""

MISJUDGED = 0.7
"""Deviation of the first day's log-odds from the world's, which declared priors may know: what a company
guesses is wrong by a factor of two, as a rule."""


@dataclass(frozen=True)
class Drift:
    """`shift` is (days, actions), in log-odds, beside what the world says."""

    shift: Floats

    @classmethod
    def drawn(
        cls, rng: np.random.Generator, days: int, actions: int, daily: float = DAILY, misjudged: float = 0.0
    ) -> Self:
        """Random walks with steps of a deviation `daily`, from a first day that is off by `misjudged`."""
        steps = rng.normal(size=(days, actions))
        steps[0] *= misjudged
        steps[1:] *= daily
        return cls(steps.cumsum(axis=0))

    def moved(self, probabilities: Floats, day: int, actions: NDArray[np.intp]) -> Floats:
        """What the world's probabilities (n,) of these actions (n,) are on that day, from 0."""
        odds = probabilities / (1.0 - probabilities) * np.exp(self.shift[day, actions])
        moved: Floats = odds / (1.0 + odds)
        return moved
