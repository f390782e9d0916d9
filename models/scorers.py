"""Scorers: what turns rows into calibrated probabilities, whatever the model behind them is."""

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from models.calibration import Calibration
from models.lightgbm_library import LightGBMError, NativeBooster


class InvalidModel(Exception):
    """The bytes of a model that no scorer can be made of, and why."""


class Scorer(Protocol):
    """A model that is ready to score."""

    @property
    def width(self) -> int:
        """How many columns its rows have."""

    def score(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated probabilities, shape (m,), of rows of shape (m, width); NaN in a row is missing."""


@runtime_checkable
class Attributing(Protocol):
    """A scorer that can also say what its scores are made of. Not every kind can."""

    def contributions(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each column adds to the calibrated log-odds of rows of shape (m, width), of the same shape."""


class LightGBMScorer:
    """The reference scorer: LightGBM's own library, all rows in one call, one thread unless told otherwise.

    Raises:
        InvalidModel: the bytes are not a LightGBM model with one output.
    """

    def __init__(self, model: bytes, calibration: Calibration, threads: int = 1) -> None:
        try:
            self._booster = NativeBooster(model, threads)
        except LightGBMError as error:
            raise InvalidModel(f"LightGBM can't read the model: {error}") from error
        self._calibration = calibration

    @property
    def width(self) -> int:
        """How many columns its rows have."""
        return self._booster.width

    def score(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated probabilities, shape (m,), of rows of shape (m, width); NaN in a row is missing."""
        return self._calibration.apply(self._booster.margins(rows))

    def contributions(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each column adds to the calibrated log-odds of rows of shape (m, width), of the same shape.

        Platt scaling is linear in log-odds, so its slope scales the trees' SHAP values.
        """
        return self._booster.contributions(rows)[:, :-1] * self._calibration.slope


SCORERS: Mapping[str, Callable[[bytes, Calibration], Scorer]] = {"lightgbm": LightGBMScorer}
"""How to make a scorer for each kind of model that a manifest can name."""
