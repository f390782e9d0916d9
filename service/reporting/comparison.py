"""Two groups that chance has made, compared by customer (or account): lift, value, and how many it takes.

Lift is the ratio of the shares who responded, with the interval of Katz et al. 1978 (scipy's). Values differ
by Welch's interval. The size is that of a test of two shares at 5 %, two-sided, with 80 % power, for groups
whose sizes stay in the ratio that they have: Fleiss, Levin and Paik, Statistical Methods for Rates and
Proportions, 2003, section 4.4, without correction for continuity.
"""

from dataclasses import dataclass
from math import ceil, sqrt

from models.evaluation.bootstrap import CONFIDENCE, Interval

ALPHA, POWER = 1.0 - CONFIDENCE, 0.8
LEAST_RESPONDERS = 5
"""In each of two groups: an interval of fewer would promise too much."""


@dataclass(frozen=True)
class Group:
    """Customers of one arm: how many there are, how many have responded, the mean and the variance of what
    each has brought, and how many were offered anything."""

    units: int = 0
    responders: int = 0
    value: float = 0.0
    variance: float = 0.0
    offered: int = 0

    @property
    def silent(self) -> bool:
        """Whether nobody was offered anything, so that it is no luck that they have brought nothing."""
        return self.units > 1 and not self.offered

    @property
    def rate(self) -> float:
        """The share that has responded."""
        return self.responders / self.units if self.units else 0.0


def lift(group: Group, other: Group) -> Interval | None:
    """By what part of the other's share of responders the group's exceeds it: 0.1 is 10 % more. None where
    too few have responded to tell."""
    from scipy.stats.contingency import relative_risk  # only reports have the time to import it

    if min(group.responders, other.responders) < LEAST_RESPONDERS:
        return None
    found = relative_risk(group.responders, group.units, other.responders, other.units)
    low, high = found.confidence_interval(CONFIDENCE)
    return Interval(float(found.relative_risk) - 1.0, float(low) - 1.0, float(high) - 1.0)


def value_difference(group: Group, other: Group) -> Interval | None:
    """By how much more each of the group has brought, in the mean. None where too few have responded; who was
    offered nothing did not fail to."""
    from scipy.stats import t

    if any(one.responders < LEAST_RESPONDERS and not one.silent for one in (group, other)):
        return None
    one, two = group.variance / group.units, other.variance / other.units
    difference = group.value - other.value
    if not one + two:
        return Interval(difference, difference, difference)
    freedom = (one + two) ** 2 / (one**2 / (group.units - 1) + two**2 / (other.units - 1))
    margin = float(t.ppf(1.0 - ALPHA / 2, freedom)) * sqrt(one + two)
    return Interval(difference, difference - margin, difference + margin)


def units_needed(group: Group, other: Group) -> int | None:
    """Of how many customers the group has to be so that a difference as large as the one seen is told from
    chance. None where there is none to tell."""
    from scipy.stats import norm

    p, q = group.rate, other.rate
    if p == q or not group.units or not other.units:
        return None
    ratio = other.units / group.units
    pooled = (p + ratio * q) / (1 + ratio)
    by_chance = norm.ppf(1.0 - ALPHA / 2) * sqrt((1 + 1 / ratio) * pooled * (1 - pooled))
    by_power = norm.ppf(POWER) * sqrt(p * (1 - p) + q * (1 - q) / ratio)
    return ceil(float((by_chance + by_power) / (p - q)) ** 2)
