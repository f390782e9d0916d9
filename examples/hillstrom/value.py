"""What a policy would have earned, from a trial that was decided by lot, and how sure that is.

Inverse-propensity value (Horvitz and Thompson 1952): the customers who got in the trial the very action that
a policy picks for them stand for all, each weighted by one over the probability of its arm.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95
Floats = NDArray[np.float64]
Picks = NDArray[np.intp]


@dataclass(frozen=True)
class Estimate:
    """A value and the half-width of its 95 % interval."""

    value: float
    margin: float

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return self.value - self.margin

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self.value + self.margin


def contributions(picks: Picks, arms: Picks, outcome: Floats, propensity: float) -> Floats:
    """What each customer (n) adds to the policy's value; their mean is the value."""
    return np.where(picks == arms, outcome / propensity, 0.0)


def mean_with_interval(values: Floats) -> Estimate:
    """The mean of n independent customers with its normal interval."""
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    return Estimate(float(values.mean()), float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * error)


def over_splits(values: Sequence[float], test_share: float = 0.5) -> Estimate:
    """The mean over random splits of one data set, with an interval that knows that they share customers.

    Nadeau and Bengio (2003), the corrected resampled t-test: the variance over J splits counts
    `1/J + test/training` times instead of `1/J`, for their training and test parts overlap.
    """
    count = len(values)
    if count < 2:
        raise ValueError("an interval over splits needs at least two of them")
    variance = float(np.var(values, ddof=1)) * (1 / count + test_share / (1 - test_share))
    return Estimate(
        float(np.mean(values)), float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * math.sqrt(variance)
    )


@dataclass(frozen=True)
class Row:
    """One policy under one metric, over all splits.

    `value` is the mean over the splits, of the interval within a split too: how sure one campaign to half of
    the customers would be. `lead` is the paired difference to the baseline with its interval over splits;
    `won` counts the splits in which it was above the baseline. Both are None for the baseline itself.
    """

    policy: str
    value: Estimate
    lead: Estimate | None
    won: int | None


class Comparison:
    """Collects the value of each policy, split by split, for one metric."""

    def __init__(self, baseline: str) -> None:
        self.baseline = baseline
        self._values: dict[str, list[Estimate]] = {}
        self._leads: dict[str, list[float]] = {}

    def add(self, added: Mapping[str, Floats]) -> None:
        """One split: for each policy what each customer adds to its value, for the same customers."""
        for policy, values in added.items():
            self._values.setdefault(policy, []).append(mean_with_interval(values))
            lead = float((values - added[self.baseline]).mean())
            self._leads.setdefault(policy, []).append(lead)

    def rows(self) -> list[Row]:
        """Every policy, in the order in which they were added."""
        return [self._row(policy) for policy in self._values]

    def _row(self, policy: str) -> Row:
        estimates, leads = self._values[policy], self._leads[policy]
        value = Estimate(
            float(np.mean([estimate.value for estimate in estimates])),
            float(np.mean([estimate.margin for estimate in estimates])),
        )
        if policy == self.baseline:
            return Row(policy, value, None, None)
        return Row(policy, value, over_splits(leads), sum(lead > 0 for lead in leads))
