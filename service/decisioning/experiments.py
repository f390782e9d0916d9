"""Experiments: who is decided for in which way, the same in every channel, by stable hashing.

A namespace lays every unit (customer or account) on the line from 0 to 1 by one hash, and an arm owns a part
of the line. So arms of one namespace never overlap, a share that grows moves nobody out of their arm, and
namespaces have nothing to do with one another.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch, Rows
from service.decisioning.conduct import Conduct
from service.decisioning.draws import UNKNOWN, Keys, branch, key_of, uniforms
from service.decisioning.lines import taken
from service.decisioning.removal import remove_at
from service.decisioning.stages import Removal, Stage

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


def places(units: Keys, namespaces: int | Keys) -> NDArray[np.float64]:
    """Where each unit lies on the line of a namespace, or of one for each row of units, from 0 to 1."""
    return uniforms(branch(units, namespaces))


@dataclass(frozen=True, slots=True)
class Withheld:
    """What an experiment does not offer to some rows of a batch, its control group. `number` is that of the
    experiment, `actions` A."""

    number: int
    rows: NDArray[np.intp]
    actions: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Assigned:
    """The arms of the n requests of a batch.

    conducts         the standard one, and behind it those of arms; alone where everybody is decided for so
    conduct   n      index into `conducts`
    arms      n x E  the arm of each experiment; -1 where the request takes no part
    withheld         in the order of experiments, of which the first counts
    parts            the conducts that occur, by index, each with its rows
    """

    conducts: tuple[Conduct, ...]
    conduct: NDArray[np.intp]
    arms: NDArray[np.intp]
    withheld: tuple[Withheld, ...] = ()
    parts: tuple[tuple[int, NDArray[np.intp]], ...] = ()

    def of_each(self) -> Iterator[tuple[Conduct, Rows]]:
        """The conducts that occur, with their rows."""
        if len(self.conducts) == 1:
            yield self.conducts[0], slice(None)
        for number, rows in self.parts:
            yield self.conducts[number], rows

    def of_arms(self) -> Iterator[tuple[Conduct, NDArray[np.intp]]]:
        """The same without the standard one."""
        return ((self.conducts[number], rows) for number, rows in self.parts if number)

    def skipping(self) -> Iterator[tuple[frozenset[Stage], NDArray[np.intp]]]:
        """The rows for which some stages do not speak, with these stages."""
        return ((conduct.skips, rows) for conduct, rows in self.of_arms() if conduct.skips)

    def withholds(self, row: int) -> NDArray[np.bool_]:
        """A: whether an action is withheld from a request."""
        found = [part.actions for part in self.withheld if row in part.rows]
        return np.logical_or.reduce(found) if found else np.zeros(1, np.bool_)

    def withhold(self, removed_by: NDArray[np.int32], first_code: int) -> None:
        """Take out (in place, n x A) what control groups are not offered; `first_code` is the code of the
        first experiment."""
        for part in self.withheld:
            remove_at(removed_by, part.rows, part.actions, first_code - 1 + part.number)


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

    @cached_property
    def needs_accounts(self) -> bool:
        """Whether whole accounts take part in any of them."""
        return any(experiment.by_account for experiment in self.experiments)

    @property
    def removals(self) -> tuple[Removal, ...]:
        """What each experiment says of what it withholds."""
        return tuple(experiment.removal for experiment in self.experiments)

    def assign(self, batch: Batch, standard: Conduct) -> Assigned:
        """Everybody to their arms. Whoever is in none is decided for by the `standard` conduct."""
        conduct = np.zeros(len(batch), np.intp)
        arms = np.full((len(batch), len(self.experiments)), -1, dtype=np.intp)
        rows, found = self._taken(batch)
        if not rows.size:
            return Assigned((standard,), conduct, arms)
        table = self._table
        arms[rows, table.experiment[found]] = table.number[found]
        occurring = set(found.tolist())
        withheld = tuple(
            Withheld(int(table.experiment[arm]) + 1, rows[found == arm], actions)
            for arm, actions in table.withheld
            if arm in occurring
        )
        for arm, number in table.conducts:  # of several arms with a conduct of their own the last decides
            if arm in occurring:
                conduct[rows[found == arm]] = number
        numbers = sorted(set(conduct.tolist()))
        if numbers == [0]:
            return Assigned((standard,), conduct, arms, withheld)
        parts = tuple((number, (conduct == number).nonzero()[0]) for number in numbers)
        return Assigned((standard, *self.conducts), conduct, arms, withheld, parts)

    def _taken(self, batch: Batch) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Who takes part in what: rows, and the arm of each among those of `_table`."""
        table = self._table
        if not table.number.size or (batch.units is None and batch.account_units is None):
            return np.empty(0, np.intp), np.empty(0, np.intp)
        return taken(
            self._units(batch),
            np.array(batch.now),
            table.namespaces,
            table.by_account,
            table.start,
            table.end,
            table.experiment,
            table.first,
            table.last,
        )

    def _units(self, batch: Batch) -> Keys:
        """Customers, and their accounts where an experiment is about these: 1 x n or 2 x n, of our own, since
        a record's can't be written to."""
        if batch.units is not None and not self.needs_accounts:
            return np.array(batch.units, ndmin=2)
        nobody = np.full(len(batch), UNKNOWN)
        return np.stack([nobody if u is None else u for u in (batch.units, batch.account_units)])

    @cached_property
    def _table(self) -> "_Table":
        return _Table.of(self.experiments)

    def arms(self, assigned: Assigned, row: int) -> Mapping[str, str]:
        """The experiments that a request takes part in, each with its arm."""
        taken = zip(self.experiments, assigned.arms[row].tolist(), strict=True)
        return {experiment.name: experiment.arms[arm].name for experiment, arm in taken if arm >= 0}


def arm_of(arms: Mapping[str, str]) -> str:
    """The one that stands for a request among the arms of its experiments: that of the first one declared."""
    return next((f"{experiment}.{arm}" for experiment, arm in arms.items()), DEFAULT_ARM)


@dataclass(frozen=True, slots=True)
class _Table:
    """All experiments as columns, E, and their arms, r in all, experiment by experiment.

    namespaces, by_account, start, end   E  namespaces as keys
    experiment, number                   r  which an arm belongs to, and its number there
    first, last                          r  its part of the line
    withheld                                the arms that withhold something, with what (A, bool)
    conducts                                the arms with a conduct of their own, with its number from 1
    """

    namespaces: Keys
    by_account: NDArray[np.intp]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    experiment: NDArray[np.intp]
    number: NDArray[np.intp]
    first: NDArray[np.float64]
    last: NDArray[np.float64]
    withheld: tuple[tuple[int, NDArray[np.bool_]], ...]
    conducts: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, experiments: Sequence[Experiment]) -> "_Table":
        """From their declarations."""
        arms = [
            (place, number, arm)
            for place, experiment in enumerate(experiments)
            for number, arm in enumerate(experiment.arms)
        ]
        own = (arm for arm, (_, _, declared) in enumerate(arms) if declared.conduct is not None)
        return cls(
            namespaces=np.array([experiment.key for experiment in experiments], np.uint64),
            by_account=np.array([experiment.by_account for experiment in experiments], np.intp),
            start=np.array([experiment.start for experiment in experiments], np.float64),
            end=np.array([experiment.end for experiment in experiments], np.float64),
            experiment=np.array([place for place, _, _ in arms], np.intp),
            number=np.array([number for _, number, _ in arms], np.intp),
            first=np.array([arm.start for _, _, arm in arms], np.float64),
            last=np.array([arm.end for _, _, arm in arms], np.float64),
            withheld=tuple(
                (at, arm.withheld) for at, (_, _, arm) in enumerate(arms) if arm.withheld is not None
            ),
            conducts=tuple((arm, number) for number, arm in enumerate(own, start=1)),
        )
