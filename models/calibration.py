"""Calibration: from a model's raw margins to probabilities that mean what they say.

Three forms, of which training takes the one that does best on rows that it was not fitted to:

platt     a line in log-odds. Platt, Probabilistic Outputs for Support Vector Machines, 1999
beta      a line that bends where the margin is 0. Kull et al., Beta calibration, 2017
isotonic  any rising curve. Zadrozny and Elkan, Transforming Classifier Scores into Accurate Multiclass
          Probability Estimates, 2002; its steps are joined at their centres, which leaves no ties (Oron and
          Flournoy, Centered Isotonic Regression, 2017)

None of them ever turns the order of two customers round.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Annotated, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.curves import Curve, Curves

Floats = NDArray[np.float64]

Factor = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Shift = Annotated[float, Field(allow_inf_nan=False)]

JUDGED = 0.5
"""The later share of the calibration rows, on which the forms are compared."""


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    @abstractmethod
    def curve(self) -> Curve:
        """What it does to margins."""

    def apply(self, margins: Floats) -> Floats:
        """The probabilities of raw margins (log-odds), both of shape (n,); above 0, at most 1."""
        return Curves.of([self.curve]).apply(margins[:, None])[:, 0]


class Platt(_Form):
    """`p = 1 / (1 + exp(-(slope * margin + intercept)))`."""

    method: Literal["platt"] = "platt"
    slope: Factor = 1.0
    intercept: Shift = 0.0

    @property
    def curve(self) -> Curve:
        return Curve(self.slope, self.slope, self.intercept)

    @classmethod
    def fit(cls, margins: Floats, labels: Floats, weights: Floats | None = None) -> Self:
        """The maximum-likelihood slope and intercept; margins and 0/1 labels (both present) of shape (n,).

        Where higher margins do not go with more responses, every margin gets the base rate.
        """
        slope, intercept = _rising(margins, labels, weights)
        return cls(slope=slope, intercept=intercept)


class Beta(_Form):
    """`log-odds = below * ln(s) - above * ln(1 - s) + shift`, where s is the uncalibrated probability."""

    method: Literal["beta"] = "beta"
    below: Factor
    above: Factor
    shift: Shift

    @property
    def curve(self) -> Curve:
        return Curve(self.below, self.above, self.shift)

    @classmethod
    def fit(cls, margins: Floats, labels: Floats, weights: Floats | None = None) -> Self:
        """The maximum-likelihood curve, of those that never fall."""
        sides = np.stack([-np.logaddexp(0.0, -margins), np.logaddexp(0.0, margins)], axis=1)
        (below, above), shift = _regression(sides, labels, weights)
        if below < 0 or above < 0:  # as in Kull et al.: without the side that falls
            factor, shift = _rising(sides[:, int(below < 0)], labels, weights)
            below, above = (0.0, factor) if below < 0 else (factor, 0.0)
        return cls(below=below, above=above, shift=shift)


class Isotonic(_Form):
    """Log-odds interpolated between knots, level beyond the first and the last."""

    method: Literal["isotonic"] = "isotonic"
    margins: tuple[Shift, ...] = Field(min_length=1)
    log_odds: tuple[Shift, ...]

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if len(self.margins) != len(self.log_odds):
            raise ValueError("each knot has a margin and its log-odds")
        if (np.diff(self.margins) <= 0).any() or (np.diff(self.log_odds) < 0).any():
            raise ValueError("the margins of the knots have to rise, and their log-odds must not fall")
        return self

    @property
    def curve(self) -> Curve:
        return Curve(knots=self.margins, values=self.log_odds)

    @classmethod
    def fit(cls, margins: Floats, labels: Floats, weights: Floats | None = None) -> Self:
        """The likeliest rising curve; rates are kept as far from 0 and 1 as so many rows can tell."""
        from sklearn.isotonic import IsotonicRegression  # only training has the time to import it

        weights = np.ones(len(margins)) if weights is None else weights
        edge = 1.0 / (weights.sum() + 2.0)
        fitted = IsotonicRegression(y_min=edge, y_max=1.0 - edge).fit(margins, labels, weights)
        rates, step = np.unique(fitted.predict(margins), return_inverse=True)
        centres = np.bincount(step, weights * margins) / np.bincount(step, weights)
        return cls(margins=tuple(centres.tolist()), log_odds=tuple(np.log(rates / (1.0 - rates)).tolist()))


Calibration: TypeAlias = Annotated[Platt | Beta | Isotonic, Field(discriminator="method")]
"""Any form; in a manifest `method` says which."""

_CHALLENGERS: tuple[type[Beta] | type[Isotonic], ...] = (Beta, Isotonic)


@dataclass(frozen=True)
class Calibrated:
    """The calibration that was chosen, and the log loss of each form on the rows that judged them."""

    calibration: Calibration
    log_losses: Mapping[str, float]


def best_calibration(margins: Floats, labels: Floats, now: Floats, weights: Floats) -> Calibrated:
    """Fit each form to the earlier rows, take the one with the least log loss on the later ones, and fit it
    to all of them; margins, 0/1 labels, times and weights of shape (n,).

    Platt has the fewest ways to err, so that another one has to be better by more than a standard error.
    Where a part has not both labels, there is nothing to choose by.
    """
    later = now > np.quantile(now, 1.0 - JUDGED)
    if any(len(np.unique(labels[part])) < 2 for part in (later, ~later)):
        return Calibrated(Platt.fit(margins, labels, weights), {})
    losses = {
        form: _log_losses(
            form.fit(margins[~later], labels[~later], weights[~later]), margins[later], labels[later]
        )
        for form in (Platt, *_CHALLENGERS)
    }
    best: type[Platt] | type[Beta] | type[Isotonic] = Platt
    for form in _CHALLENGERS:
        gained = losses[Platt] - losses[form]
        clearly = gained.mean() > gained.std() / np.sqrt(len(gained))
        if clearly and losses[form].mean() < losses[best].mean():
            best = form
    return Calibrated(
        best.fit(margins, labels, weights),
        {form.model_fields["method"].default: float(loss.mean()) for form, loss in losses.items()},
    )


def _log_losses(calibration: Calibration, margins: Floats, labels: Floats) -> Floats:
    """Of each row."""
    p = calibration.apply(margins)
    losses: Floats = -np.log(np.where(labels > 0, p, np.maximum(1.0 - p, np.finfo(np.float64).tiny)))
    return losses


def _rising(inputs: Floats, labels: Floats, weights: Floats | None) -> tuple[float, float]:
    """The slope and the intercept by one input, shape (n,): level at the base rate where it would fall."""
    (slope,), intercept = _regression(inputs[:, None], labels, weights)
    return (slope, intercept) if slope > 0 else (0.0, _base_log_odds(labels, weights))


def _base_log_odds(labels: Floats, weights: Floats | None) -> float:
    rate = np.average(labels, weights=weights)
    return float(np.log(rate / (1.0 - rate)))


def _regression(inputs: Floats, labels: Floats, weights: Floats | None) -> tuple[list[float], float]:
    """The factors (k) and the intercept of a logistic regression on inputs of shape (n, k); the factors are 0
    where one of them never differs."""
    from sklearn.linear_model import LogisticRegression

    centre, scale = inputs.mean(axis=0), inputs.std(axis=0)
    if not np.ptp(inputs, axis=0).all():  # the deviation of what never differs may be 1e-17
        return [0.0] * inputs.shape[1], _base_log_odds(labels, weights)
    regression = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
    regression.fit((inputs - centre) / scale, labels, weights)
    factors = regression.coef_[0] / scale
    return factors.tolist(), float(regression.intercept_[0] - factors @ centre)


@dataclass(frozen=True)
class HeadCalibration:
    """That of models with heads, side by side.

    heads     the curve of each
    expected  heads  True for those whose margins are the expected values themselves
    levels    which heads are the levels of one category: from the first to before the last number
    """

    heads: tuple[Curve, ...]
    expected: NDArray[np.bool_]
    levels: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, calibrations: Sequence[Calibration]) -> Self:
        """Of one model, from the calibration of each head; without any it has a single one, of a number."""
        heads = tuple(head.curve for head in calibrations) or (Curve(),)
        return cls(
            heads,
            np.full(len(heads), not calibrations),
            ((0, len(heads)),) if len(heads) > 1 else (),
        )

    @classmethod
    def together(cls, models: Sequence["HeadCalibration"]) -> Self:
        """Of several models, one after the other."""
        firsts = accumulate((len(model.heads) for model in models), initial=0)
        return cls(
            tuple(head for model in models for head in model.heads),
            np.concatenate([model.expected for model in models]),
            tuple(
                (first + start, first + end)
                for first, model in zip(firsts, models, strict=False)
                for start, end in model.levels
            ),
        )

    @cached_property
    def _curves(self) -> Curves:
        return Curves.of(self.heads)

    def apply(self, margins: Floats) -> Floats:
        """What margins mean, both of shape (m, heads). The probabilities of levels add up to 1."""
        scores = self._curves.apply(margins)
        np.copyto(scores, margins, where=self.expected)
        for first, end in self.levels:
            scores[:, first:end] /= scores[:, first:end].sum(axis=1, keepdims=True)
        return scores
