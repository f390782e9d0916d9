"""Scorecards: a table of points, as analysts write it by hand and regulators read it."""

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from feature_store.documents import did_you_mean
from feature_store.schema import FeatureType
from models.layout import BUILT_IN, Inputs
from models.scorers import InvalidModel


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Bin(_Part):
    """The points of numbers below a bound; the last one has none."""

    below: float | None = None
    points: float


class Characteristic(_Part):
    """What one column is worth: by `bins` where it is a number, by `levels` where it is a category.

    `otherwise` is for a value that is missing, or a level that is not listed.
    """

    column: str
    bins: tuple[Bin, ...] = ()
    levels: dict[str, float] = {}
    otherwise: float = 0.0

    @model_validator(mode="after")
    def _either(self) -> Self:
        if bool(self.bins) == bool(self.levels):
            raise ValueError("a characteristic has either bins or levels")
        bounds = [entry.below for entry in self.bins]
        known = [bound for bound in bounds[:-1] if bound is not None]
        if self.bins and (bounds[-1] is not None or len(known) < len(bounds) - 1):
            raise ValueError("every bin has a bound 'below' but the last one")
        if sorted(set(known)) != known:
            raise ValueError("the bounds of bins rise")
        return self


class Scorecard(_Part):
    """The card. A total of `base_score` points stands for odds of `base_odds` to one, and every
    `points_to_double_odds` more for twice the odds: Siddiqi, Credit Risk Scorecards (2006)."""

    base_score: float
    base_odds: float = Field(gt=0)
    points_to_double_odds: float = Field(gt=0)
    initial_points: float = 0.0
    characteristics: tuple[Characteristic, ...] = Field(min_length=1)


class ScorecardScorer:
    """Adds up points, and makes log-odds of them.

    Raises:
        InvalidModel: the content is no scorecard, or does not fit the features.
    """

    kind: ClassVar[str] = "scorecard"

    def __init__(self, model: bytes, inputs: Inputs) -> None:
        self.width = len(inputs.names)
        try:
            self._card = Scorecard.model_validate_json(model)
        except ValidationError as error:
            faults = (f"{_path(fault['loc'])}{fault['msg']}" for fault in error.errors(include_url=False))
            raise InvalidModel("the scorecard is not right: " + "; ".join(faults)) from error
        self._tables = [_Table(entry, inputs) for entry in self._card.characteristics]

    def margins(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-odds before calibration, shape (m,), of rows of shape (m, width); NaN in a row is missing."""
        totals = np.full(len(rows), self._card.initial_points - self._card.base_score)
        for table in self._tables:
            totals += table.points(rows)
        totals = self._log_odds(totals)
        totals += np.log(self._card.base_odds)
        return totals

    def contributions(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each column adds to the margins of rows of shape (m, width), of the same shape, beside a row
        of which nothing is known."""
        added = np.zeros(rows.shape)
        for table in self._tables:
            added[:, table.place] += self._log_odds(table.points(rows) - table.otherwise)
        return added

    def _log_odds(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        scaled: NDArray[np.float64] = points * (np.log(2.0) / self._card.points_to_double_odds)
        return scaled


class _Table:
    """A characteristic as a table of points: by the number of the bin, or the code of the level."""

    def __init__(self, characteristic: Characteristic, inputs: Inputs) -> None:
        name = characteristic.column
        if name not in inputs.names:
            raise InvalidModel(
                f"the scorecard reads '{name}', which is no column of its features"
                f"{did_you_mean(name, inputs.names)}"
            )
        self.place, self.otherwise = inputs.names.index(name), characteristic.otherwise
        levels = _levels(name, inputs)
        if (levels is None) == bool(characteristic.levels):
            raise InvalidModel(f"the scorecard's '{name}' needs {'bins' if levels is None else 'levels'}")
        for level in characteristic.levels:
            if level not in (levels or ()):
                hint = did_you_mean(level, levels or ())
                raise InvalidModel(f"the scorecard's '{name}' has no level '{level}'{hint}")
        self._codes = levels is not None
        self._bounds = np.array([entry.below for entry in characteristic.bins[:-1]], np.float64)
        by_level = [characteristic.levels.get(level, self.otherwise) for level in levels or ()]
        self._points = np.array([*(entry.points for entry in characteristic.bins), *by_level, self.otherwise])

    def points(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The points of each row, shape (m,)."""
        column, last = rows[:, self.place], len(self._points) - 1
        if self._codes:
            known = (column >= 0) & (column < last)
            found = np.where(known, column, last).astype(np.intp)
        else:
            found = np.where(np.isnan(column), last, np.searchsorted(self._bounds, column, side="right"))
        points: NDArray[np.float64] = self._points[found]
        return points


def _levels(name: str, inputs: Inputs) -> tuple[str, ...] | None:
    """The names behind the codes of a column; None where it holds numbers."""
    if name in BUILT_IN:
        return dict(zip(BUILT_IN, (inputs.actions, inputs.channels), strict=True))[name]
    category = {f.name: f.levels for f in inputs.schema.features if f.type is FeatureType.CATEGORY}
    return category.get(name)


def _path(places: tuple[int | str, ...]) -> str:
    return "".join(f"{place}: " for place in (".".join(map(str, places)),) if place)
