"""Experiments: who is decided for in which way, the same in every channel, by stable hashing."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.conduct import Conduct
from service.decisioning.stages import Removal, Stage

DEFAULT_ARM = "next_best_action"


@dataclass(frozen=True, slots=True)
class Assigned:
    """The arms of the n requests of a batch.

    conduct   n      index into `Experiments.conducts`
    arms      n x E  the arm of each experiment; -1 where the request takes no part
    withheld  n x A  which actions a control group is not offered; None where there is none
    """

    conducts: tuple[Conduct, ...]
    conduct: NDArray[np.intp]
    arms: NDArray[np.intp]
    withheld: NDArray[np.bool_] | None = None

    def of_each(self) -> Iterator[tuple[Conduct, NDArray[np.intp]]]:
        """The conducts that occur, with their rows."""
        if len(self.conducts) == 1:
            yield self.conducts[0], np.arange(len(self.conduct))
            return
        for number in np.unique(self.conduct).tolist():
            yield self.conducts[number], np.flatnonzero(self.conduct == number)

    def hears(self, stage: Stage) -> NDArray[np.bool_]:
        """n: for which requests a stage speaks."""
        skips = np.array([stage in conduct.skips for conduct in self.conducts])
        heard: NDArray[np.bool_] = ~skips[self.conduct]
        return heard


@dataclass(frozen=True)
class Experiments:
    """All experiments of a snapshot, and what they need."""

    @property
    def conducts(self) -> tuple[Conduct, ...]:
        """How arms decide that do so in a way of their own."""
        return ()

    @property
    def needs_units(self) -> bool:
        """Whether anybody takes part in any of them."""
        return False

    @property
    def removals(self) -> tuple[Removal, ...]:
        """What each experiment says that withholds actions."""
        return ()

    def assign(self, batch: Batch, standard: Conduct) -> Assigned:
        """Everybody to their arms. Whoever is in none is decided for by the `standard` conduct."""
        n = len(batch)
        return Assigned((standard,), np.zeros(n, np.intp), np.empty((n, 0), np.intp))
