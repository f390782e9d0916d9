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
from service.decisioning.turns import Best, Choices, Turns, or_nobody

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
    choice: NDArray[np.intp]

    def of(self, some: NDArray[np.intp] | NDArray[np.bool_] | slice) -> "Taken":
        """That of some of the turns."""
        return Taken(self.turns[some], self.scores[some], self.choice[some])


class Explored:
    """Who is chosen at T turns, some of which are left to chance.

    What everybody competes with is drawn for all turns ahead. Choices are made turn by turn, as each leaves
    fewer candidates to the next; their probabilities are computed when all is chosen, for all at once.
    """

    def __init__(self, ways: Sequence[Way], visit: NDArray[np.intp], scores: NDArray[np.float64]) -> None:
        """`visit` (T) and `scores` (V x A) are as `Turns` and `Chooser` have them."""
        self._ways = ways
        self._explores = np.logical_or.reduce([way.exploring.explores for way in ways])
        self._place = self._explores.cumsum() - 1
        self._values = np.empty((self._explores.sum(), scores.shape[1]))
        for way in ways:
            turns = way.exploring.explores.nonzero()[0]
            if turns.size:
                self._values[self._place[turns]] = way.exploring.values(turns, scores[visit[turns]])
        self._taken: list[Taken] = []

    def take(self, turns: NDArray[np.intp], scores: NDArray[np.float64]) -> NDArray[np.intp]:
        choice: NDArray[np.intp] = scores.argmax(axis=1)
        at = self._explores[turns].nonzero()[0]
        if at.size:
            candidates = scores[at] > -np.inf
            values = self._values[self._place[turns[at]]]
            for way in self._ways:
                some = way.exploring.liable[turns[at]].nonzero()[0]
                if some.size:
                    values[some] = way.exploring.mixed(turns[at[some]], candidates[some], values[some])
            choice[at] = np.where(candidates, values, -np.inf).argmax(axis=1)
        choice = or_nobody(choice, scores)
        self._taken.append(Taken(turns, scores, choice))
        return choice

    def stated(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        probability, cost = np.ones(len(self._explores)), np.zeros(len(self._explores))
        if self._taken:
            taken = Taken(*map(np.concatenate, zip(*self._taken, strict=True)))
            some = taken.choice != NOBODY
            taken = taken if some.all() else taken.of(some)
            for way in self._ways:
                turns, scores, choice = taken.of(way.among(taken.turns))
                best = scores.argmax(axis=1)
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

    def choose(self, turns: Turns, scores: NDArray[np.float64]) -> Choices:
        """Who is chosen at some turns of the batch, as `Chooser` says.

        A request has one turn at a slot and a rank, or else its choices would be drawn alike.
        """
        if not len(turns) or self.batch.seeds is None or all(e.method == "none" for e in self.explorations):
            return Best(turns, scores)
        rows = turns.row[turns.visit]
        chance = self._chance(rows, turns.slot[turns.visit], turns.rank)
        if len(self.explorations) == 1:
            ways = [Way(self._exploring(self.explorations[0], chance))]
        else:
            which = self.which[rows]
            mine = [(exploration, which == number) for number, exploration in enumerate(self.explorations)]
            ways = [
                Way(self._exploring(exploration, chance, its), its) for exploration, its in mine if its.any()
            ]
        return Explored(ways, turns.visit, scores)

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
