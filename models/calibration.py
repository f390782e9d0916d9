"""Calibration: from a model's raw margins to probabilities that mean what they say."""

from collections.abc import Sequence
from dataclasses import dataclass
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
    """That of a model with heads: the slope and the intercept of each; None where the margins are the
    expected values themselves."""

    slopes: NDArray[np.float64] | None
    intercepts: NDArray[np.float64] | None

    @classmethod
    def of(cls, calibrations: Sequence[Calibration]) -> Self:
        """From the calibration of each head, or none."""
        if not calibrations:
            return cls(None, None)
        pairs = np.array([(calibration.slope, calibration.intercept) for calibration in calibrations])
        return cls(pairs[:, 0].copy(), pairs[:, 1].copy())

    def apply(self, margins: NDArray[np.float64]) -> NDArray[np.float64]:
        """What margins mean, both of shape (m, heads). Probabilities of several heads add up to 1."""
        if self.slopes is None or self.intercepts is None:
            return margins
        scores = platt(margins, self.slopes, self.intercepts)
        return scores / scores.sum(axis=1, keepdims=True) if scores.shape[1] > 1 else scores
