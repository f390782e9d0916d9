"""How two models differ on the same decisions, and how sure that is: customers are drawn with all that is
theirs, for both models alike, so that they share their luck."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.evaluation.bootstrap import Interval
from models.metrics import ECE_BINS

Floats = NDArray[np.float64]

MEASURES = ("log_loss", "ece", "auc")
DRAWS = 400
"""Enough for percentiles of 95 %; each one sorts nothing, but reads all rows."""


class _Measured:
    """What the measures of one model are made of, for 0/1 labels and probabilities of shape (n,)."""

    def __init__(self, labels: Floats, probabilities: Floats) -> None:
        self._labels = labels
        certain = np.where(labels > 0, probabilities, 1.0 - probabilities)
        self._losses = -np.log(np.maximum(certain, np.finfo(np.float64).tiny))
        self._gaps = labels - probabilities
        place = np.argsort(np.argsort(probabilities, kind="stable"))
        self._bins = place * ECE_BINS // len(labels)
        self._ranks = np.unique(probabilities, return_inverse=True)[1]

    def measures(self, weights: Floats) -> Floats:
        """`MEASURES` with each row counted as often as its weight says."""
        total = weights.sum()
        log_loss = (weights * self._losses).sum() / total
        ece = np.abs(np.bincount(self._bins, weights * self._gaps)).sum() / total
        positives = np.bincount(self._ranks, weights * self._labels)
        negatives = np.bincount(self._ranks, weights * (1.0 - self._labels))
        pairs = positives.sum() * negatives.sum()
        right = (positives * (np.cumsum(negatives) - negatives / 2.0)).sum()
        return np.array([log_loss, ece, right / pairs if pairs else 0.5])


def differences(
    labels: Floats, first: Floats, second: Floats, customers: NDArray[np.intp], seed: int
) -> Mapping[str, Interval]:
    """By how much the first model's measures exceed the second's, of 0/1 labels, two models' probabilities,
    and the number of each row's customer, all of shape (n,)."""
    one, other = _Measured(labels, first), _Measured(labels, second)
    _, owner = np.unique(customers, return_inverse=True)
    count, rng = int(owner.max()) + 1, np.random.default_rng(seed)

    def difference(weights: Floats) -> Floats:
        found: Floats = one.measures(weights) - other.measures(weights)
        return found

    found = difference(np.ones(len(labels)))
    counts = (np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(DRAWS))
    drawn = np.array([difference(times[owner].astype(np.float64)) for times in counts])
    return {name: Interval.of(found[place], drawn[:, place]) for place, name in enumerate(MEASURES)}
