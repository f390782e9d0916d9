"""Intervals by bootstrap: customers are drawn with all that is theirs, with replacement.

Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentile intervals); by clusters:
Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
DRAWS = 1_000


@dataclass(frozen=True)
class Interval:
    """A value, and between what it lies with 95 % confidence."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float | NDArray[np.float64], drawn: NDArray[np.float64]) -> "Interval":
        """With the percentiles of what was drawn."""
        tail = (1.0 - CONFIDENCE) / 2
        low, high = np.quantile(drawn, (tail, 1.0 - tail))
        return cls(float(value), float(low), float(high))


def cluster_sums(terms: NDArray[np.float64], clusters: NDArray[np.intp]) -> NDArray[np.float64]:
    """The sums of terms (n, k) by cluster (n), shape (clusters, k)."""
    _, place = np.unique(clusters, return_inverse=True)
    return np.column_stack([np.bincount(place, column) for column in terms.T])


def resampled(sums: NDArray[np.float64], seed: int, draws: int = DRAWS) -> NDArray[np.float64]:
    """The sums of as many clusters as there are, drawn so often: shape (draws, k), of (clusters, k)."""
    rng = np.random.default_rng(seed)
    count = len(sums)
    counts = (np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(draws))
    return np.array([drawn @ sums for drawn in counts])
