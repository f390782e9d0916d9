"""Arbitration: priority = P x C x V x L, each factor of which can be switched off."""

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.snapshot import Snapshot


def context_weights(snapshot: Snapshot, batch: Batch) -> NDArray[np.float64]:
    """C of every action, n x A: 1 + the sum of the matching context weights / 100, never below 0."""
    percent = np.zeros((len(batch), len(snapshot.catalogue.actions)), dtype=np.float64)
    if snapshot.arbitration.context_weight:
        for weight in snapshot.arbitration.context_weights:
            matches = np.ones(len(batch), dtype=np.bool_)
            for column, value in weight.when:
                matches &= batch.X[:, column] == value
            if matches.any():
                percent += np.where(matches[:, None] & weight.actions, weight.percent, 0.0)
    return np.maximum(1.0 + percent / 100.0, 0.0)


def priorities(
    snapshot: Snapshot, propensity: NDArray[np.float64], context_weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Priority of every candidate, n x A; NaN where the propensity is. A factor that is off counts as 1."""
    switches, catalogue = snapshot.arbitration, snapshot.catalogue
    P = propensity if switches.propensity else np.where(np.isnan(propensity), np.nan, 1.0)
    weights = np.ones(len(catalogue.actions), dtype=np.float64)
    if switches.value:
        weights = weights * catalogue.values
    if switches.lever:
        weights = weights * catalogue.levers
    return P * context_weight * weights
