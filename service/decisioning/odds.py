"""Odds: how likely the candidates of a turn were to be chosen, where that is left to chance."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan

import numpy as np
from numpy.typing import NDArray

from service.decisioning.choosing import Explorer
from service.decisioning.pipeline import Decisions
from service.decisioning.retracing import RetracedTurn
from service.decisioning.slate_rules import NOBODY
from service.decisioning.snapshot import Snapshot

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


def draws(
    snapshot: Snapshot, decisions: Decisions, row: int, turns: Iterable[RetracedTurn]
) -> dict[int, list[Draw]]:
    """The draws that each candidate of a request took part in, by its index: of every turn those of the best
    candidates, and of the chosen one. None where nothing was left to chance."""
    conduct = decisions.assigned.conducts[int(decisions.assigned.conduct[row])]
    if conduct.exploration.method == "none" or decisions.batch.seeds is None:
        return {}
    explorer = Explorer.of(snapshot, decisions.batch, decisions.assigned, decisions.factors.propensity)
    found: dict[int, list[Draw]] = {}
    for turn in turns:
        if turn.choice == NOBODY:
            continue
        among = _told(turn)
        exploring = explorer.at_turn(row, turn.slot, turn.rank)
        probability = exploring.odds(turn.scores, among)
        competed = exploring.drawn()[0, among]
        placement = snapshot.catalogue.slots[turn.slot].placement.id
        for action, likely, with_ in zip(
            among.tolist(), probability.tolist(), competed.tolist(), strict=True
        ):
            propensity = None if isnan(with_) else with_
            draw = Draw(placement, turn.rank, likely, propensity, action == turn.best, action == turn.choice)
            found.setdefault(action, []).append(draw)
    return found


def odds(
    snapshot: Snapshot, decisions: Decisions, row: int, turn: RetracedTurn
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Who might be chosen at a turn of a request that has candidates, and with which probability, k each."""
    conduct = decisions.assigned.conducts[int(decisions.assigned.conduct[row])]
    if conduct.exploration.method == "none" or decisions.batch.seeds is None:
        return np.array([turn.best]), np.ones(1)
    explorer = Explorer.of(snapshot, decisions.batch, decisions.assigned, decisions.factors.propensity)
    candidates = np.flatnonzero(turn.scores > -np.inf)
    return candidates, explorer.at_turn(row, turn.slot, turn.rank).odds(turn.scores, candidates)


def _told(turn: RetracedTurn) -> NDArray[np.intp]:
    """The best candidates of a turn, and who was chosen."""
    order = np.argsort(-turn.scores, kind="stable")[:MOST_RIVALS]
    candidates = order[turn.scores[order] > -np.inf]
    return candidates if turn.choice in candidates else np.append(candidates, turn.choice)
