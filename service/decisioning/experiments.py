"""Experiments: who is decided for in which way, the same in every channel, by stable hashing.

A namespace lays every unit (customer or account) on the line from 0 to 1 by one hash, and an arm owns a part
of the line. So arms of one namespace never overlap, a share that grows moves nobody out of their arm, and
namespaces have nothing to do with one another.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.conduct import Conduct
from service.decisioning.draws import UNKNOWN, Keys, branch, key_of, uniforms
from service.decisioning.stages import STILL_IN, Removal, Stage

DEFAULT_ARM = "next_best_action"
MOST_NAMESPACES = 10
"""A customer can be in one arm of each, and a token names them all."""


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """A part of an experiment's units: those from `start` up to `end` on the line of the namespace.

    conduct     how is decided for them; None: as for everybody else
    withheld  A what they are not offered; None: nothing is withheld
    """

    name: str
    start: float
    end: float
    conduct: Conduct | None = None
    withheld: NDArray[np.bool_] | None = None
    description: str = ""


@dataclass(frozen=True)
class Experiment:
    """Arms that are compared with one another and with everybody else. `start` and `end` are epoch seconds,
    the end exclusive; by `account` whole accounts take part, else single customers."""

    name: str
    namespace: str
    arms: tuple[Arm, ...]
    start: float = float("-inf")
    end: float = float("inf")
    by_account: bool = False
    description: str = ""

    @cached_property
    def key(self) -> int:
        """What the namespace draws with."""
        return key_of(self.namespace)

    @property
    def removal(self) -> Removal:
        """What it says of what it withholds."""
        meaning = self.description or "the customer is in a control group that is not offered the action"
        return Removal(Stage.ARBITRATION, f"experiment:{self.name}", meaning, no_action="control_group")

    def assigned(self, batch: Batch) -> NDArray[np.intp]:
        """The arm of each request, n; -1 where it takes no part."""
        arms = np.full(len(batch), -1, dtype=np.intp)
        units = batch.account_units if self.by_account else batch.units
        if units is None:
            return arms
        place = places(units, self.key)
        runs = (self.start <= batch.now) & (batch.now < self.end) & (units != UNKNOWN)
        for number, arm in enumerate(self.arms):
            arms[runs & (arm.start <= place) & (place < arm.end)] = number
        return arms


def places(units: Keys, namespace: int) -> NDArray[np.float64]:
    """Where each unit lies on the line of a namespace, from 0 to 1."""
    return uniforms(branch(units, namespace))


@dataclass(frozen=True, slots=True)
class Assigned:
    """The arms of the n requests of a batch.

    conduct   n      index into `conducts`
    arms      n x E  the arm of each experiment; -1 where the request takes no part
    withheld  n x A  number, from 1, of the experiment that withholds an action from a control group; 0: none
                     does. None where nothing is withheld from anybody
    """

    conducts: tuple[Conduct, ...]
    conduct: NDArray[np.intp]
    arms: NDArray[np.intp]
    withheld: NDArray[np.int32] | None = None

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

    def withhold(self, removed_by: NDArray[np.int32], first_code: int) -> None:
        """Take out (in place, n x A) what control groups are not offered; `first_code` is the code of the
        first experiment."""
        if self.withheld is not None:
            taken = (self.withheld > 0) & (removed_by == STILL_IN)
            removed_by[taken] = first_code - 1 + self.withheld[taken]


@dataclass(frozen=True)
class Experiments:
    """All experiments of a snapshot, in the order in which they are declared."""

    experiments: tuple[Experiment, ...] = ()

    @cached_property
    def conducts(self) -> tuple[Conduct, ...]:
        """How arms decide that do so in a way of their own."""
        arms = (arm for experiment in self.experiments for arm in experiment.arms)
        return tuple(arm.conduct for arm in arms if arm.conduct is not None)

    @property
    def needs_units(self) -> bool:
        """Whether anybody takes part in any of them."""
        return bool(self.experiments)

    @property
    def needs_accounts(self) -> bool:
        """Whether whole accounts take part in any of them."""
        return any(experiment.by_account for experiment in self.experiments)

    @property
    def removals(self) -> tuple[Removal, ...]:
        """What each experiment says of what it withholds."""
        return tuple(experiment.removal for experiment in self.experiments)

    def assign(self, batch: Batch, standard: Conduct) -> Assigned:
        """Everybody to their arms. Whoever is in none is decided for by the `standard` conduct."""
        n = len(batch)
        arms = np.full((n, len(self.experiments)), -1, dtype=np.intp)
        conduct, number, withheld = np.zeros(n, np.intp), 0, None
        for place, experiment in enumerate(self.experiments):
            arms[:, place] = experiment.assigned(batch)
            for index, arm in enumerate(experiment.arms):
                rows = np.flatnonzero(arms[:, place] == index)
                if arm.conduct is not None:
                    number += 1
                    conduct[rows] = number
                if arm.withheld is not None and rows.size:
                    withheld = _withheld(withheld, rows, arm.withheld, place + 1, n)
        if not conduct.any():
            return Assigned((standard,), conduct, arms, withheld)
        return Assigned((standard, *self.conducts), conduct, arms, withheld)

    def arms(self, assigned: Assigned, row: int) -> Mapping[str, str]:
        """The experiments that a request takes part in, each with its arm."""
        taken = zip(self.experiments, assigned.arms[row].tolist(), strict=True)
        return {experiment.name: experiment.arms[arm].name for experiment, arm in taken if arm >= 0}


def arm_of(arms: Mapping[str, str]) -> str:
    """The one that stands for a request among the arms of its experiments: that of the first one declared."""
    return next((f"{experiment}.{arm}" for experiment, arm in arms.items()), DEFAULT_ARM)


def _withheld(
    known: NDArray[np.int32] | None, rows: NDArray[np.intp], actions: NDArray[np.bool_], number: int, n: int
) -> NDArray[np.int32]:
    """`known`, with some actions withheld from some rows; the first experiment counts."""
    withheld = np.zeros((n, len(actions)), dtype=np.int32) if known is None else known
    mine = withheld[rows]
    withheld[rows] = np.where(actions & (mine == 0), number, mine)
    return withheld
