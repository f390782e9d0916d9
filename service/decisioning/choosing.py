"""The choices of a batch: every request explores as its arm does, by its own seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.draws import Keys, branch
from service.decisioning.experiments import Assigned
from service.decisioning.exploration import DRAWING, Chance, Exploration, Turn, choose, drawn
from service.decisioning.snapshot import Snapshot

TURN = 1
"""The branch of a decision's seed from which its turns draw."""


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

    def choose(
        self,
        rows: NDArray[np.intp],
        slots: NDArray[np.intp],
        ranks: NDArray[np.intp],
        scores: NDArray[np.float64],
    ) -> Turn:
        """One turn of some rows of the batch, each at its slot and rank (m): `scores` is their m x A, -inf
        where an action is no candidate.

        A request has one turn at a slot and a rank, or else its choices would be drawn alike.
        """
        if self.batch.seeds is None or all(e.method == "none" for e in self.explorations):
            return choose(self.explorations[0], scores)
        if len(self.explorations) == 1:
            exploration = self.explorations[0]
            return choose(exploration, scores, self.chance(exploration, rows, slots, ranks))
        turn = Turn(np.full(len(rows), -1), np.ones(len(rows)), np.zeros(len(rows)))
        for exploration, mine in self._groups(rows):
            chance = self.chance(exploration, rows[mine], slots[mine], ranks[mine])
            part = choose(exploration, scores[mine], chance)
            turn.choice[mine], turn.probability[mine] = part.choice, part.probability
            turn.expected_cost[mine] = part.expected_cost
        return turn

    def drawn(self, row: int, slot: int, rank: int) -> NDArray[np.float64]:
        """The propensities, A, with which actions compete at one turn of a row; NaN where none are drawn."""
        exploration = self.explorations[self.which[row]]
        if self.batch.seeds is None or exploration.method not in DRAWING:
            return np.full(self.propensity.shape[1], np.nan)
        found: NDArray[np.float64] = drawn(
            exploration, self.chance(exploration, np.array([row]), slot, rank)
        )[0]
        return found

    def _groups(self, rows: NDArray[np.intp]) -> Iterator[tuple[Exploration, NDArray[np.intp]]]:
        """The rows' explorations, with the places of those who explore so."""
        which = self.which[rows]
        for number, exploration in enumerate(self.explorations):
            mine = np.flatnonzero(which == number)
            if mine.size:
                yield exploration, mine

    def chance(
        self,
        exploration: Exploration,
        rows: NDArray[np.intp],
        slots: int | NDArray[np.intp],
        ranks: int | NDArray[np.intp],
    ) -> Chance:
        """What one turn of some rows of the batch, at a slot and a rank or each at its own (m), is drawn
        with; the batch has seeds."""
        batch = self.batch
        return Chance(
            keys=branch(self._seeds[rows], slots, ranks),
            actions=self.snapshot.catalogue.action_keys,
            propensity=self.propensity[rows],
            noise=self.snapshot.noise(exploration.least_evidence),
            explores=None if batch.explores is None else batch.explores[rows],
        )

    @cached_property
    def _seeds(self) -> Keys:
        """n: what the turns of each request draw with, by slot and rank."""
        return branch(self.batch.seeds, TURN)  # type: ignore[arg-type]
