"""The choices of a batch: every request explores as its arm does, by its own seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.draws import Keys, branch
from service.decisioning.experiments import Assigned
from service.decisioning.exploration import Chance, Exploration, Exploring
from service.decisioning.slate_rules import NOBODY
from service.decisioning.snapshot import Snapshot
from service.decisioning.turns import Best, Choices, best_of

TURN = 1
"""The branch of a decision's seed from which its turns draw."""


class Way(NamedTuple):
    """An exploration, with the turns (T) that explore so; None: all do."""

    exploring: Exploring
    mine: NDArray[np.bool_] | None = None

    def among(self, turns: NDArray[np.intp]) -> NDArray[np.intp] | slice:
        """Which of m turns explore so."""
        return slice(None) if self.mine is None else self.mine[turns].nonzero()[0]


class Taken(NamedTuple):
    """What was chosen at m turns, and among whom (m x A)."""

    turns: NDArray[np.intp]
    scores: NDArray[np.float64]
    best: NDArray[np.intp]
    choice: NDArray[np.intp]

    def of(self, some: NDArray[np.intp] | NDArray[np.bool_] | slice) -> "Taken":
        """That of some of the turns."""
        return Taken(self.turns[some], self.scores[some], self.best[some], self.choice[some])


class Explored:
    """Who is chosen at T turns, some of which are left to chance.

    Choices are made turn by turn, as each leaves fewer candidates to the next. Their probabilities are
    computed when all is chosen, for all turns at once.
    """

    def __init__(self, ways: Sequence[Way]) -> None:
        self._ways = ways
        self._explores = np.logical_or.reduce([way.exploring.explores for way in ways])
        self._taken: list[Taken] = []

    def take(self, turns: NDArray[np.intp], scores: NDArray[np.float64]) -> NDArray[np.intp]:
        best, _ = best_of(scores)
        choice = best.copy()
        left_to_chance = (self._explores[turns] & (best != NOBODY)).nonzero()[0]
        if left_to_chance.size:
            for way in self._ways:
                at = left_to_chance[way.among(turns[left_to_chance])]
                if at.size:
                    choice[at] = way.exploring.pick(turns[at], scores[at], best[at])
        self._taken.append(Taken(turns, scores, best, choice))
        return choice

    def stated(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        probability, cost = np.ones(len(self._explores)), np.zeros(len(self._explores))
        if self._taken:
            taken = Taken(*map(np.concatenate, zip(*self._taken, strict=True)))
            some = taken.choice != NOBODY
            taken = taken if some.all() else taken.of(some)
            for way in self._ways:
                turns, scores, best, choice = taken.of(way.among(taken.turns))
                probability[turns] = way.exploring.probability(turns, scores, best, choice)
                cost[turns] = way.exploring.cost(scores, best, choice)
        return probability, cost


@dataclass(frozen=True)
class Explorer:
    """Who chooses among candidates, for all turns of a batch of n requests.

    explorations      those of the conducts, each once
    which       n     the place of each request's among them
    propensity  n x A
    """

    snapshot: Snapshot
    batch: Batch
    explorations: Sequence[Exploration]
    which: NDArray[np.intp]
    propensity: NDArray[np.float64]

    @classmethod
    def of(
        cls, snapshot: Snapshot, batch: Batch, assigned: Assigned, propensity: NDArray[np.float64]
    ) -> "Explorer":
        """By the conducts that experiments have assigned."""
        explorations = list(dict.fromkeys(conduct.exploration for conduct in assigned.conducts))
        which = np.array([explorations.index(conduct.exploration) for conduct in assigned.conducts])
        return cls(snapshot, batch, explorations, which[assigned.conduct], propensity)

    def choose(self, rows: NDArray[np.intp], slots: NDArray[np.intp], ranks: NDArray[np.intp]) -> Choices:
        """The choices of T turns of some rows of the batch, each at its slot and rank.

        A request has one turn at a slot and a rank, or else its choices would be drawn alike.
        """
        certain = self.batch.seeds is None or all(e.method == "none" for e in self.explorations)
        if certain or not rows.size:
            return Best(rows, slots, ranks)
        chance = self._chance(rows, slots, ranks)
        if len(self.explorations) == 1:
            return Explored([Way(self._exploring(self.explorations[0], chance))])
        which = self.which[rows]
        mine = [(exploration, which == number) for number, exploration in enumerate(self.explorations)]
        return Explored(
            [Way(self._exploring(exploration, chance, its), its) for exploration, its in mine if its.any()]
        )

    def at_turn(self, row: int, slot: int, rank: int) -> Exploring:
        """How one turn of a row is explored; the batch has seeds."""
        chance = self._chance(*(np.array([number], np.intp) for number in (row, slot, rank)))
        return self._exploring(self.explorations[self.which[row]], chance)

    def _exploring(
        self, exploration: Exploration, chance: Chance, mine: NDArray[np.bool_] | None = None
    ) -> Exploring:
        return Exploring(exploration, chance, self.snapshot.noise(exploration.least_evidence), mine)

    def _chance(self, rows: NDArray[np.intp], slots: NDArray[np.intp], ranks: NDArray[np.intp]) -> Chance:
        return Chance(
            keys=branch(self._seeds[rows], slots, ranks),
            rows=rows,
            actions=self.snapshot.catalogue.action_keys,
            propensity=self.propensity,
            explores=self.batch.explores,
        )

    @cached_property
    def _seeds(self) -> Keys:
        """n: what the turns of each request draw with, by slot and rank."""
        return branch(self.batch.seeds, TURN)  # type: ignore[arg-type]
