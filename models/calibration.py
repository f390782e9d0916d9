"""Calibration: from a model's raw margins to probabilities that mean what they say."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

_FINITE = 700.0
"""Log-odds whose exponential is still a finite float64."""


def platt(
    margins: NDArray[np.float64],
    slopes: float | NDArray[np.float64],
    intercepts: float | NDArray[np.float64],
) -> NDArray[np.float64]:
    """`p = 1 / (1 + exp(-(slope * margin + intercept)))` for raw margins (log-odds), of the same shape; above
    0, at most 1."""
    against = margins * np.negative(slopes)
    against -= intercepts
    np.minimum(against, _FINITE, out=against)
    np.exp(against, out=against)
    against += 1.0
    return np.reciprocal(against, out=against)


class Calibration(BaseModel):
    """Platt scaling, see `platt`.

    Platt, Probabilistic Outputs for Support Vector Machines (1999). The slope is never negative, so that
    calibration never turns the order of two customers round.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["platt"] = "platt"
    slope: float = Field(default=1.0, ge=0.0, allow_inf_nan=False)
    intercept: float = Field(default=0.0, allow_inf_nan=False)

    def apply(self, margins: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probabilities of raw margins (log-odds), of the same shape; above 0, at most 1."""
        return platt(margins, self.slope, self.intercept)

    @classmethod
    def fit(cls, margins: NDArray[np.float64], labels: NDArray[np.float64]) -> Self:
        """The maximum-likelihood slope and intercept; margins and 0/1 labels (both present) of shape (n,).

        Where higher margins do not go with more responses, every margin gets the base rate.
        """
        from sklearn.linear_model import LogisticRegression  # only training has the time to import it

        if np.ptp(margins) > 0:
            centre, scale = margins.mean(), margins.std()
            regression = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
            regression.fit(((margins - centre) / scale).reshape(-1, 1), labels)
            slope = float(regression.coef_[0, 0] / scale)
            if slope > 0:
                return cls(slope=slope, intercept=float(regression.intercept_[0]) - slope * centre)
        rate = labels.mean()
        return cls(slope=0.0, intercept=float(np.log(rate / (1.0 - rate))))


@dataclass(frozen=True)
class HeadCalibration:
    """That of models with heads, side by side.

    slopes, intercepts  heads
    expected            heads  True for those whose margins are the expected values themselves
    levels              which heads are the levels of one category: from the first to before the last number
    """

    slopes: NDArray[np.float64]
    intercepts: NDArray[np.float64]
    expected: NDArray[np.bool_]
    levels: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, calibrations: Sequence[Calibration]) -> Self:
        """Of one model, from the calibration of each head; without any it has a single one, of a number."""
        heads = calibrations or (Calibration(),)
        return cls(
            np.array([head.slope for head in heads]),
            np.array([head.intercept for head in heads]),
            np.full(len(heads), not calibrations),
            ((0, len(heads)),) if len(heads) > 1 else (),
        )

    @classmethod
    def together(cls, models: Sequence["HeadCalibration"]) -> Self:
        """Of several models, one after the other."""
        firsts = accumulate((len(model.slopes) for model in models), initial=0)
        return cls(
            np.concatenate([model.slopes for model in models]),
            np.concatenate([model.intercepts for model in models]),
            np.concatenate([model.expected for model in models]),
            tuple(
                (first + start, first + end)
                for first, model in zip(firsts, models, strict=False)
                for start, end in model.levels
            ),
        )

    def apply(self, margins: NDArray[np.float64]) -> NDArray[np.float64]:
        """What margins mean, both of shape (m, heads). The probabilities of levels add up to 1."""
        scores = platt(margins, self.slopes, self.intercepts)
        np.copyto(scores, margins, where=self.expected)
        for first, end in self.levels:
            scores[:, first:end] /= scores[:, first:end].sum(axis=1, keepdims=True)
        return scores
