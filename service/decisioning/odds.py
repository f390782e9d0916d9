"""Odds: how likely the candidates of a turn were to be chosen, where that is left to chance."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan

import numpy as np
from numpy.typing import NDArray

from service.decisioning.choosing import chance
from service.decisioning.pipeline import Decisions
from service.decisioning.retracing import RetracedTurn
from service.decisioning.snapshot import Snapshot
from service.decisioning.turns import NOBODY, odds

MOST_RIVALS = 10
"""Of how many candidates of a turn the odds are told: those with the highest priorities."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One turn that chance had a say in, for one candidate: with which `probability` it was chosen or would
    have been, the drawn `propensity` that it competed with (None where the method draws none, or the turn did
    not explore), and whether it was the `best`, and the one `chosen`."""

    placement: str
    rank: int
    probability: float
    propensity: float | None
    best: bool
    chosen: bool


class Odds:
    """The odds of the turns of a batch."""

    def __init__(self, snapshot: Snapshot, decisions: Decisions) -> None:
        self._decisions = decisions
        self._chance = None
        if decisions.batch.seeds is not None:
            factors = decisions.factors
            self._chance = chance(snapshot, decisions.batch, decisions.assigned, factors.propensity)

    def leaves_to_chance(self, row: int) -> bool:
        """Whether anything of a request was."""
        assigned = self._decisions.assigned
        conduct = assigned.conducts[int(assigned.conduct[row])]
        return self._chance is not None and conduct.exploration.method != "none"

    def of(
        self, row: int, turn: RetracedTurn, among: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """With which probability a turn takes each of k candidates, and the drawn propensities that these
        compete with, NaN where none is drawn."""
        probability, competed = np.empty((2, len(among)))
        if self._chance is None or not self.leaves_to_chance(row):
            return (among == turn.best).astype(np.float64), np.full(len(among), np.nan)
        odds(self._chance, row, turn.slot, turn.rank, turn.scores, among, probability, competed)
        return probability, competed


def draws(
    snapshot: Snapshot, decisions: Decisions, row: int, turns: Iterable[RetracedTurn]
) -> dict[int, list[Draw]]:
    """The draws that each candidate of a request took part in, by its index: of every turn those of the best
    candidates, and of the chosen one. None where nothing was left to chance."""
    known = Odds(snapshot, decisions)
    if not known.leaves_to_chance(row):
        return {}
    found: dict[int, list[Draw]] = {}
    for turn in turns:
        if turn.choice == NOBODY:
            continue
        among = _told(turn)
        probability, competed = known.of(row, turn, among)
        placement = snapshot.catalogue.slots[turn.slot].placement.id
        for action, likely, with_ in zip(
            among.tolist(), probability.tolist(), competed.tolist(), strict=True
        ):
            propensity = None if isnan(with_) else with_
            draw = Draw(placement, turn.rank, likely, propensity, action == turn.best, action == turn.choice)
            found.setdefault(action, []).append(draw)
    return found


def _told(turn: RetracedTurn) -> NDArray[np.intp]:
    """The best candidates of a turn, and who was chosen."""
    order = np.argsort(-turn.scores, kind="stable")[:MOST_RIVALS]
    candidates = order[turn.scores[order] > -np.inf]
    return candidates if turn.choice in candidates else np.append(candidates, turn.choice)
