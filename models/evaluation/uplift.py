"""How well scores find those whom a treatment moves, measured where it was given with known probabilities.

Whoever was treated stands for all with 1 / e, e the probability of the treatment, and who was not with
1 / (1 - e): the difference of the two weighted means of a group is its uplift without bias. The Qini curve
adds up what is gained by treating more and more, the highest scores first (Radcliffe, Using Control Groups to
Target on Predicted Lift, 2007); the Qini coefficient is the area between it and treating as many at random.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.evaluation.bootstrap import Interval
from models.evaluation.logged import Floats
from models.metrics import UpliftMetrics

SHARES = (0.1, 0.2, 0.3)
DRAWS = 200
DECILES = 10


@dataclass(frozen=True)
class Trial:
    """n customers: a `score` each, whether the treatment was given (`treated`), how likely that was
    (`probability`, of what was given), and the `outcome`."""

    score: Floats
    treated: NDArray[np.bool_]
    probability: Floats
    outcome: Floats

    def take(self, rows: NDArray[np.intp]) -> "Trial":
        """Some of the customers, as often as they are named."""
        return Trial(self.score[rows], self.treated[rows], self.probability[rows], self.outcome[rows])

    @property
    def best_first(self) -> NDArray[np.intp]:
        """The customers in the order of their scores, the highest first."""
        return np.argsort(-self.score, kind="stable")


@dataclass(frozen=True)
class UpliftFound:
    """Of a trial: the `whole` uplift of treating everybody, that of each share of `SHARES` with the highest
    scores, the `qini` coefficient (for each customer), the `curve` (what is gained for each customer of all
    when 0, 1 %, ... 100 % are treated), and by tenths of the score, the lowest first, `promised` and
    `observed`."""

    whole: Interval
    at: tuple[Interval, ...]
    qini: Interval
    curve: Floats
    promised: Floats
    observed: Floats

    def metrics(self) -> UpliftMetrics:
        """As a manifest keeps them."""
        names = ("whole", "at_10", "at_20", "at_30", "qini")
        intervals = zip(names, (self.whole, *self.at, self.qini), strict=True)
        return UpliftMetrics(
            **{name: (found.value, found.low, found.high) for name, found in intervals},
            promised=tuple(self.promised.tolist()),
            observed=tuple(self.observed.tolist()),
            curve=tuple(self.curve.tolist()),
        )


def uplift_found(trial: Trial, *, seed: int = 0) -> UpliftFound:
    """Measure, with 95 % intervals by bootstrap of the customers."""
    rng, n = np.random.default_rng(seed), len(trial.score)
    drawn = np.array([_figures(trial.take(rng.integers(n, size=n))) for _ in range(DRAWS)])
    whole, *at, qini = (
        Interval.of(value, column) for value, column in zip(_figures(trial), drawn.T, strict=True)
    )
    tenths = np.array_split(trial.best_first[::-1], DECILES)
    return UpliftFound(
        whole,
        tuple(at),
        qini,
        curve(trial),
        np.array([trial.score[rows].mean() for rows in tenths]),
        np.array([uplift(trial.take(rows)) for rows in tenths]),
    )


def uplift(trial: Trial) -> float:
    """The difference of the means of treated and untreated, each weighted by one over its probability."""
    weight = 1.0 / trial.probability
    means = []
    for group in (trial.treated, ~trial.treated):
        total = weight[group].sum()
        means.append(float((weight * trial.outcome)[group].sum() / total) if total else np.nan)
    return means[0] - means[1]


def curve(trial: Trial) -> Floats:
    """What treating the best 0, 1 %, ... 100 % gains for each customer of all, 101 values."""
    order, n = trial.best_first, len(trial.score)
    weight = 1.0 / trial.probability
    treated = np.where(trial.treated, weight, 0.0)
    untreated = weight - treated
    share = treated / treated.sum() - untreated / untreated.sum()
    gained = np.append(0.0, (share * trial.outcome)[order].cumsum())
    found: Floats = gained[np.rint(np.linspace(0, n, 101)).astype(np.intp)]
    return found


def _figures(trial: Trial) -> list[float]:
    order = trial.best_first
    at = [uplift(trial.take(order[: max(1, round(share * len(order)))])) for share in SHARES]
    gained = curve(trial)
    qini = float((gained - gained[-1] * np.linspace(0, 1, len(gained))).mean())
    return [uplift(trial), *at, qini]
