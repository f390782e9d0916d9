"""Barriers: what a candidate has to reach so as to be worth a contact."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.decisioning.stages import BUILT_IN_REMOVALS, DO_NOTHING, Removal, Stage

STAGE_OF = {"propensity": Stage.PROPENSITY, "priority": Stage.ARBITRATION}


@dataclass(frozen=True, slots=True, eq=False)
class Threshold:
    """The least propensity, or the least priority, of some actions (A, bool) in some channels (C, bool)."""

    name: str
    factor: Literal["propensity", "priority"]
    least: float
    actions: NDArray[np.bool_]
    channels: NDArray[np.bool_]
    description: str = ""

    @property
    def removal(self) -> Removal:
        """What a candidate says that does not reach it."""
        below = f"the {self.factor} is below {self.least:g}"
        meaning = f"{self.description} ({below})" if self.description else below
        return Removal(STAGE_OF[self.factor], self.name, meaning)

    def stops(
        self, propensity: NDArray[np.float64], priority: NDArray[np.float64], channel: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        """m x A: who does not reach it, by the scores (m x A; NaN is never stopped) and the channel (m)."""
        scores = propensity if self.factor == "propensity" else priority
        stopped: NDArray[np.bool_] = scores < self.least
        return stopped & self.actions & self.channels[channel][:, None]


@dataclass(frozen=True, slots=True, eq=False)
class ContactCost:
    """What it costs to address a customer in each channel (C; NaN: nothing is said of it), in units of value.
    Doing nothing is a candidate of that priority, and others have to exceed it."""

    channels: NDArray[np.float64]

    @property
    def removal(self) -> Removal:
        """What a candidate says that does not exceed it."""
        return BUILT_IN_REMOVALS[DO_NOTHING]

    def stops(
        self, propensity: NDArray[np.float64], priority: NDArray[np.float64], channel: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        """m x A: where doing nothing is better."""
        stopped: NDArray[np.bool_] = priority <= self.channels[channel][:, None]
        return stopped


Barrier = Threshold | ContactCost
