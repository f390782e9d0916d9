"""The figures of a simulation: what of the oracle's gain was reached, and what learning has brought."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.evaluation.bootstrap import Interval, resampled
from service.simulation.circle import Night
from service.simulation.contests import ARBITER, ORACLE, POLICIES, RANDOM, Earned, gain_of, reached
from service.simulation.lift import MEASURES, lift
from service.simulation.simulation import Part, Simulated

AIM = 0.8
"""Of what an oracle earns more than chance."""
BLOCKS = 20
"""In so many parts the decisions are looked at one after the other."""


@dataclass(frozen=True)
class DayFigures:
    """One day, from 1. `gain` is by policy, `value` that of a visit: where is learnt, and where not."""

    day: int
    decisions: int
    gain: Mapping[str, float]
    explored: float
    value: tuple[float, float]
    value_lift: Interval
    newcomer: tuple[float, float]
    """Share of the offers that are the newcomer, where is learnt and where not."""


@dataclass(frozen=True)
class NightFigures:
    """The models that became champion in the night after a day, those that the gate kept back, those that
    have too little to learn from yet, and what went wrong."""

    day: int
    promoted: tuple[str, ...]
    refused: tuple[str, ...]
    waiting: tuple[str, ...]
    failed: str | None


@dataclass(frozen=True)
class Figures:
    """All figures.

    decisions   where is learnt, and where the first day's policy stays
    gain        by policy, the share of the oracle's gain over chance; `arbiter` with its interval
    last_day    the same of the last day
    blocks      after how many decisions which share was reached since the last of them
    reached     after how many decisions the share was `AIM` or more for good; None: not at the end
    lift        by measure, by how much it is higher where is learnt, from the second day on
    reward      a decision's mean by policy
    """

    decisions: tuple[int, int]
    days: int
    contests: int
    gain: Mapping[str, float]
    arbiter: Interval
    last_day: Interval
    blocks: Sequence[tuple[int, float]]
    reached: int | None
    reward: Mapping[str, float]
    explored: float
    lift: Mapping[str, Interval]
    by_day: Sequence[DayFigures]
    nights: Sequence[NightFigures]
    outcomes: Mapping[str, int]
    degraded: Mapping[str, int]

    @classmethod
    def of(cls, simulated: Simulated) -> "Figures":
        """Of what came of a simulation."""
        plan, learns, stays = simulated.plan, simulated.learns, simulated.stays
        earned, seed = learns.earned, plan.seed
        decisions = len(learns.visited.day), len(stays.visited.day)
        blocks = earned.blocks(decisions[0], BLOCKS)
        since = range(1, plan.days)
        mean = earned.rewards.mean(axis=0)
        return cls(
            decisions=decisions,
            days=plan.days,
            contests=len(earned.number),
            gain=_by_policy(earned),
            arbiter=gain_interval(earned, seed),
            last_day=gain_interval(earned.of_day(plan.days - 1), seed),
            blocks=blocks,
            reached=reached(blocks, AIM),
            reward={name: float(mean[place]) for place, name in enumerate(POLICIES)},
            explored=float(earned.explored.mean()),
            lift={name: lift(learns.outcomes, stays.outcomes, name, since, seed) for name in MEASURES},
            by_day=[_day(simulated, day) for day in range(plan.days)],
            nights=[_night(night) for night in simulated.nights],
            outcomes=_outcomes(learns, stays),
            degraded=dict(learns.degraded + stays.degraded),
        )


def gain_interval(earned: Earned, seed: int) -> Interval:
    """Arbiter's share of the oracle's gain over chance; contests are drawn with replacement."""
    drawn = resampled(earned.rewards, seed)
    possible = drawn[:, ORACLE] - drawn[:, RANDOM]
    return Interval.of(gain_of(earned.rewards.sum(axis=0)), (drawn[:, ARBITER] - drawn[:, RANDOM]) / possible)


def _by_policy(earned: Earned) -> dict[str, float]:
    total = earned.rewards.sum(axis=0)
    return {name: gain_of(total, place) for place, name in enumerate(POLICIES)}


def _day(simulated: Simulated, day: int) -> DayFigures:
    learns, stays, only = simulated.learns, simulated.stays, range(day, day + 1)
    earned = learns.earned.of_day(day)
    parts = (learns, stays)
    return DayFigures(
        day=day + 1,
        decisions=learns.visited.day.count(day),
        gain=_by_policy(earned),
        explored=float(earned.explored.mean()) if len(earned.number) else float("nan"),
        value=(learns.outcomes.rate("value", only), stays.outcomes.rate("value", only)),
        value_lift=lift(learns.outcomes, stays.outcomes, "value", only, simulated.plan.seed),
        newcomer=(_newcomer(simulated, parts[0], day), _newcomer(simulated, parts[1], day)),
    )


def _newcomer(simulated: Simulated, part: Part, day: int) -> float:
    offered = np.array(part.visited.action)[np.array(part.visited.day) == day]
    offered = offered[offered >= 0]
    newcomer = simulated.world.offers.position(simulated.world.newcomer)
    return float((offered == newcomer).mean()) if len(offered) else 0.0


def _night(night: Night) -> NightFigures:
    return NightFigures(
        day=night.day + 1,
        promoted=tuple(report.model for report in night.trained if report.promoted),
        refused=tuple(report.model for report in night.trained if not report.promoted),
        waiting=night.waiting,
        failed=night.failed,
    )


def _outcomes(*parts: Part) -> dict[str, int]:
    """Of all reports: how many there were, how often each was said again, and how often each counts."""
    return {
        "happened": sum(part.reported.sent for part in parts),
        "sent_again": sum(part.reported.repeated for part in parts),
        "accepted": sum(part.reported.accepted for part in parts),
        "duplicates": sum(part.reported.duplicates for part in parts),
        "in_the_log": sum(part.outcomes.logged for part in parts),
    }
