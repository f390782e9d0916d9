"""How much each logged choice counts: the less likely it was made, the more others it stands for."""

import numpy as np
from numpy.typing import NDArray

MOST = 5.0
"""The weight beyond which none goes: a choice of one in a thousand would else speak for all others. Where
chance chooses one in twenty, a limit of 20 leaves a fifth of the sample, one of 5 two thirds."""


def inverse_chances(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of n choices by the probabilities that they were made with, NaN where that is not known: the
    inverse, at most `MOST`, and 1 for what chance had no part in; scaled to 1 in the mean."""
    weights = np.minimum(1.0 / np.where(np.isnan(chances), 1.0, chances), MOST)
    scaled: NDArray[np.float64] = weights / weights.mean()
    return scaled
