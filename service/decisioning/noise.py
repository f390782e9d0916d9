"""Noise: what drawn propensities are made with, M equally likely values for each action."""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from service.decisioning.turns import LEVELS

WITHIN, OF_DRAWS, POSITIVES = 0.10, 0.90, 200.0
"""How widely is drawn: 90 % of draws lie within 10 % of the model's propensity if 200 positives are known."""
SHAPE_PER_POSITIVE = (NormalDist().inv_cdf((1 + OF_DRAWS) / 2) / WITHIN) ** 2 / POSITIVES
"""Of the gamma distribution: its standard deviation is 1/sqrt(shape) of its mean."""


def noise(evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """By what Thompson sampling multiplies the propensity of each action, A x M, ascending, of mean 1.

    The M middle quantiles of a gamma distribution of mean 1 whose shape grows with the positives known of the
    action (`evidence`, A, at least 1), by the cube of Wilson and Hilferty (The distribution of chi-square,
    PNAS 17, 1931): shape k has the quantile (1 - 1/(9k) + z/(3 sqrt(k)))^3 where the normal one is z.
    """
    shape = (SHAPE_PER_POSITIVE * np.maximum(evidence, 1.0))[:, None]
    z = np.array([NormalDist().inv_cdf((level + 0.5) / LEVELS) for level in range(LEVELS)])
    quantiles = np.maximum(1.0 - 1.0 / (9.0 * shape) + z / (3.0 * np.sqrt(shape)), 0.0) ** 3
    return np.asarray(quantiles / quantiles.mean(axis=1, keepdims=True))


def random_noise(actions: int) -> NDArray[np.float64]:
    """A propensity that nothing is known of, A x M: the middle quantiles of (0, 1)."""
    return np.tile((np.arange(LEVELS) + 0.5) / LEVELS, (actions, 1))
