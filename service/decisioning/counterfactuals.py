"""Break-evens: what would have been enough for a candidate that lost, in closed form.

What it had to exceed is known (see `rivals`), and the priority is a product; so what one factor would have
had to be, all else being as it is, follows by division: L = priority / (P x C x V).
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from service.decisioning.barriers import Threshold
from service.decisioning.conduct import Conduct
from service.decisioning.exploration import STANDING
from service.decisioning.pipeline import Decisions
from service.decisioning.rivals import Rivals
from service.decisioning.snapshot import Snapshot
from service.decisioning.turns import NOBODY

FACTORS = ("propensity", "context_weight", "value", "lever")


@dataclass(frozen=True, slots=True)
class BreakEven:
    """What a candidate has to exceed so as to be chosen. At exactly this, ties decide.

    `beats` is the action whose place it would take in `placement`, None where a place is free. Each of the
    others is what that factor alone would have to be; None where nothing would do, or where the factor is
    switched off. `lever_percent` is what has to be added to the percents of issue, group and action, and
    `value` is before scaling.
    """

    priority: float
    beats: str | None
    placement: str
    lever: float | None
    lever_percent: float | None
    value: float | None
    context_weight: float | None
    propensity: float | None


def break_evens(snapshot: Snapshot, decisions: Decisions, row: int, rivals: Rivals) -> dict[int, BreakEven]:
    """The break-even of each candidate of a request that reached arbitration and lost, by its index.

    There is none for who can't win by any priority: a better tier fills its placements, a limit is used up
    before its turn, a bundle is not complete. Nor is there one where priorities do not decide, as in control
    groups that choose at random, or where the candidate was the best and the draw was against it. Where
    choices are left to chance, a break-even is what makes it the best of a turn.
    """
    assigned = decisions.assigned
    conduct = assigned.conducts[int(assigned.conduct[row])]
    if conduct.exploration.method in STANDING:
        return {}
    actions = np.flatnonzero(rivals.priority < np.inf)
    least_priority, least_propensity = _least(conduct, int(decisions.batch.channel[row]), actions)
    needed = np.maximum(rivals.priority[actions], least_priority)
    beaten = np.where(rivals.priority[actions] >= least_priority, rivals.best[actions], NOBODY)
    wins_ties = (beaten == NOBODY) | (actions < beaten)
    would_do = _by_factor(conduct, decisions, row, actions, needed, wins_ties, least_propensity)
    percent = (would_do["lever"] - decisions.factors.lever[row, actions]) * 100.0
    others = (would_do[name] for name in ("value", "context_weight", "propensity"))
    catalogue = snapshot.catalogue
    return {
        action: BreakEven(
            priority,
            None if beats == NOBODY else catalogue.actions[beats].name,
            catalogue.slots[slot].placement.id,
            *factors,
        )
        for action, priority, beats, slot, *factors in zip(
            actions.tolist(),
            needed.tolist(),
            beaten.tolist(),
            rivals.slot[actions].tolist(),
            *map(_or_none, (would_do["lever"], percent, *others)),
            strict=True,
        )
    }


def _least(
    conduct: Conduct, channel: int, actions: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The least priority and the least propensity of some actions, whoever else is there."""
    priority, propensity = np.zeros((2, len(actions)))
    for barrier in conduct.arbitration.barriers:
        if barrier.removal.stage in conduct.skips:
            continue
        if isinstance(barrier, Threshold):
            least = propensity if barrier.factor == "propensity" else priority
            covered = barrier.actions[actions] & barrier.channels[channel]
            least[covered] = np.maximum(least[covered], barrier.least)
        elif not np.isnan(barrier.channels[channel]):
            np.maximum(priority, barrier.channels[channel], out=priority)
    return priority, propensity


def _by_factor(
    conduct: Conduct,
    decisions: Decisions,
    row: int,
    actions: NDArray[np.intp],
    needed: NDArray[np.float64],
    wins_ties: NDArray[np.bool_],
    least_propensity: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    """What each factor alone would have to be, NaN where nothing would do."""
    arbitration, factors = conduct.arbitration, decisions.factors
    numbers = {name: getattr(factors, name)[row, actions] for name in FACTORS}
    counted = [name for name in FACTORS if getattr(arbitration, name)]
    found = {name: np.full(len(actions), np.nan) for name in FACTORS}
    for name in counted:
        rest = np.prod(
            [np.ones(len(actions)), *(numbers[other] for other in counted if other != name)], axis=0
        )
        np.divide(needed, rest, out=found[name], where=rest > 0.0)
    unlikely = numbers["propensity"] < least_propensity  # only a higher propensity helps
    for name in ("context_weight", "value", "lever"):
        found[name][unlikely] = np.nan
    with np.errstate(over="ignore"):
        found["value"] = arbitration.valuation.scaling.unscaled(found["value"])
    # where the priority does not depend on it, or is 0 whatever it is, the least propensity may be enough
    own = factors.priority[row, actions]
    enough = unlikely & np.isnan(found["propensity"]) & ((own > needed) | ((own == needed) & wins_ties))
    found["propensity"][enough] = 0.0
    found["propensity"] = np.maximum(found["propensity"], least_propensity)
    found["propensity"][found["propensity"] > 1.0] = np.nan
    return found


def _or_none(column: NDArray[np.float64]) -> list[float | None]:
    """As a list, None where there is no number."""
    return [number if isfinite(number) else None for number in column.tolist()]
