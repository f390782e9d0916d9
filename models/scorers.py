"""Scorers: what turns rows into log-odds, whatever the model behind them is."""

from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from models.forest import Forest
from models.lightgbm_library import LightGBMError, NativeBooster
from models.quickscorer import QuickScorer


class InvalidModel(Exception):
    """The bytes of a model that no scorer can be made of, and why."""


class Scorer(Protocol):
    """A model that is ready to score."""

    @property
    def kind(self) -> str:
        """Which of the scorers it is."""

    @property
    def width(self) -> int:
        """How many columns its rows have."""

    def margins(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-odds before calibration, shape (m,), of rows of shape (m, width); NaN in a row is missing."""


@runtime_checkable
class Attributing(Protocol):
    """A scorer that can also say what its scores are made of. Not every kind can."""

    def contributions(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each column adds to the margins of rows of shape (m, width), of the same shape."""


class LightGBMScorer:
    """The reference scorer: LightGBM's own library, all rows in one call, one thread unless told otherwise.

    Raises:
        InvalidModel: the bytes are not a LightGBM model with one output.
    """

    kind: ClassVar[str] = "lightgbm"

    def __init__(self, model: bytes, threads: int = 1) -> None:
        try:
            self._booster = NativeBooster(model, threads)
        except LightGBMError as error:
            raise InvalidModel(f"LightGBM can't read the model: {error}") from error

    @property
    def width(self) -> int:
        """How many columns its rows have."""
        return self._booster.width

    def margins(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-odds before calibration, shape (m,), of rows of shape (m, width); NaN in a row is missing."""
        return self._booster.margins(rows)

    def contributions(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each column adds to the margins of rows of shape (m, width), of the same shape."""
        return self._booster.contributions(rows)[:, :-1]


class CompiledScorer:
    """A LightGBM model scored by machine code of ours, bit for bit as LightGBM scores it; its library still
    says what scores are made of.

    Raises:
        UnsupportedForest: the model is none for it.
    """

    kind: ClassVar[str] = "compiled"

    def __init__(self, reference: LightGBMScorer, model: bytes) -> None:
        self.forest = Forest.parse(model)
        self.margins = QuickScorer(self.forest).margins
        self.contributions = reference.contributions

    @property
    def width(self) -> int:
        """How many columns its rows have."""
        return self.forest.width
