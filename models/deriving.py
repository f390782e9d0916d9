"""How derived features come to be."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Derive = Callable[[NDArray[np.float64], NDArray[np.float64]], None]
"""Fills derived features into X, shape (n, F), of which the others are there, at n times in epoch seconds."""


def as_it_is(X: NDArray[np.float64], now: NDArray[np.float64]) -> None:
    """For who derives nothing."""
