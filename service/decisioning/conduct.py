"""Conducts: the ways to decide among which experiments choose."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from service.decisioning.arbitration import Arbitration
from service.decisioning.barriers import Threshold
from service.decisioning.exploration import Exploration
from service.decisioning.stages import Stage


@dataclass(frozen=True)
class Conduct:
    """One way to decide: how candidates are arbitrated and explored, and which stages do not speak."""

    arbitration: Arbitration = field(default_factory=Arbitration)
    exploration: Exploration = field(default_factory=Exploration)
    skips: frozenset[Stage] = frozenset()


def _random_eligible(standard: Conduct) -> Conduct:
    arbitration = _without_priority_barriers(standard.arbitration)
    return replace(standard, arbitration=arbitration, exploration=Exploration("uniform"))


def _propensity_only(standard: Conduct) -> Conduct:
    arbitration = replace(
        _without_priority_barriers(standard.arbitration),
        propensity=True,
        context_weight=False,
        value=False,
        lever=False,
    )
    return replace(standard, arbitration=arbitration)


def _without_priority_barriers(arbitration: Arbitration) -> Arbitration:
    """Where the standard priority does not count, what it has to reach does not either."""
    kept = (b for b in arbitration.barriers if isinstance(b, Threshold) and b.factor == "propensity")
    return replace(arbitration, barriers=tuple(kept))


def _no_levers(standard: Conduct) -> Conduct:
    return replace(standard, arbitration=replace(standard.arbitration, lever=False))


def _eligibility_only(standard: Conduct) -> Conduct:
    return replace(standard, skips=standard.skips | {Stage.APPLICABILITY, Stage.SUITABILITY})


def _random_propensity(standard: Conduct) -> Conduct:
    arbitration = replace(standard.arbitration, propensity=True)
    return replace(standard, arbitration=arbitration, exploration=Exploration("random_propensity"))


STANDING_ARMS: Mapping[str, Callable[[Conduct], Conduct]] = {
    "random_eligible": _random_eligible,
    "propensity_only": _propensity_only,
    "no_levers": _no_levers,
    "eligibility_only": _eligibility_only,
    "random_propensity": _random_propensity,
}
"""Each leaves out one part of the standard conduct, so that the difference shows what that part is worth."""
