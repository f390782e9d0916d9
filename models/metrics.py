"""How good probabilities are, measured on labels that they have not seen."""

from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

ECE_BINS = 20
LEAST_ROWS = 200
"""Of an action in a channel: fewer would tell more of luck than of calibration."""
ROWS_OF_BIN = 50


class Metrics(BaseModel):
    """Measures of ranking (`auc`, `average_precision`) and of probabilities (`log_loss`, `brier`, `ece`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    auc: float
    average_precision: float
    log_loss: float
    brier: float
    ece: float
    base_rate: float

    @classmethod
    def measure(cls, labels: NDArray[np.float64], probabilities: NDArray[np.float64]) -> Self:
        """The metrics of probabilities for 0/1 labels, both of shape (n,), with both labels present."""
        from sklearn import metrics  # only training has the time to import it

        return cls(
            auc=float(metrics.roc_auc_score(labels, probabilities)),
            average_precision=float(metrics.average_precision_score(labels, probabilities)),
            log_loss=float(metrics.log_loss(labels, probabilities)),
            brier=float(np.mean((probabilities - labels) ** 2)),
            ece=expected_calibration_error(labels, probabilities),
            base_rate=float(labels.mean()),
        )


class CellMetrics(BaseModel):
    """How well an action is calibrated in a channel: what was promised and what came, in the mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: str
    channel: str
    rows: int
    positives: int
    promised: float
    ece: float

    @classmethod
    def measure(
        cls, action: str, channel: str, labels: NDArray[np.float64], probabilities: NDArray[np.float64]
    ) -> Self:
        """Of probabilities for 0/1 labels, both of shape (n,)."""
        bins = min(ECE_BINS, max(1, len(labels) // ROWS_OF_BIN))
        return cls(
            action=action,
            channel=channel,
            rows=len(labels),
            positives=int(labels.sum()),
            promised=float(probabilities.mean()),
            ece=expected_calibration_error(labels, probabilities, bins),
        )


class UpliftMetrics(BaseModel):
    """Of a model of uplift, each a value with its interval: the uplift of all, of the 10, 20 and 30 % with
    the highest scores, and the Qini coefficient; by tenths of the score, what was `promised` and `observed`;
    and the Qini `curve`, in steps of 1 %."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    whole: tuple[float, float, float]
    at_10: tuple[float, float, float]
    at_20: tuple[float, float, float]
    at_30: tuple[float, float, float]
    qini: tuple[float, float, float]
    promised: tuple[float, ...]
    observed: tuple[float, ...]
    curve: tuple[float, ...]


def expected_calibration_error(
    labels: NDArray[np.float64], probabilities: NDArray[np.float64], bins: int = ECE_BINS
) -> float:
    """The mean distance between what was promised and what came, over bins of equally many rows.

    Equal counts instead of equal widths, because most propensities lie near zero: the adaptive calibration
    error of Nixon et al., Measuring Calibration in Deep Learning (2019).
    """
    order = np.argsort(probabilities, kind="stable")
    gaps = [
        abs(float(labels[part].mean() - probabilities[part].mean())) * len(part)
        for part in np.array_split(order, bins)
        if len(part)
    ]
    return sum(gaps) / len(labels)


def reliability(
    labels: NDArray[np.float64], probabilities: NDArray[np.float64]
) -> Iterator[tuple[float, float]]:
    """The promised and the observed share of positives, bin by bin of equally many rows."""
    for part in np.array_split(np.argsort(probabilities, kind="stable"), ECE_BINS):
        if len(part):
            yield float(probabilities[part].mean()), float(labels[part].mean())


class NumberMetrics(BaseModel):
    """How far expected values are from what came (`rmse`, `mae`, `r_squared`), and how well they tell who has
    more (`rank_correlation`, Spearman's). `mean` is that of what came."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rmse: float
    mae: float
    r_squared: float
    rank_correlation: float
    mean: float

    @classmethod
    def measure(cls, labels: NDArray[np.float64], expected: NDArray[np.float64]) -> Self:
        """The metrics of expected values for labels that are not all the same, both of shape (n,)."""
        from scipy.stats import rankdata  # only training has the time to import it

        errors = expected - labels
        ranks = np.corrcoef(rankdata(labels), rankdata(expected))[0, 1] if np.ptp(expected) > 0 else 0.0
        return cls(
            rmse=float(np.sqrt(np.mean(errors**2))),
            mae=float(np.mean(np.abs(errors))),
            r_squared=float(1.0 - np.mean(errors**2) / np.var(labels)),
            rank_correlation=float(ranks),
            mean=float(labels.mean()),
        )


class LevelMetrics(BaseModel):
    """How good the probabilities of several levels are: together, and those of each level against the
    others. `auc` is the mean of the levels' own, `accuracy` how often the most probable one was it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    log_loss: float
    auc: float
    accuracy: float
    levels: dict[str, Metrics]

    @classmethod
    def measure(
        cls, levels: Sequence[str], labels: NDArray[np.float64], probabilities: NDArray[np.float64]
    ) -> Self:
        """The metrics of probabilities (n, K) for the codes of levels (n,), each of which is there."""
        codes = labels.astype(np.intp)
        of_each = {
            level: Metrics.measure((codes == code).astype(np.float64), probabilities[:, code])
            for code, level in enumerate(levels)
        }
        chosen = probabilities[np.arange(len(codes)), codes]
        return cls(
            log_loss=float(-np.log(np.maximum(chosen, np.finfo(np.float64).tiny)).mean()),
            auc=float(np.mean([metrics.auc for metrics in of_each.values()])),
            accuracy=float(np.mean(probabilities.argmax(axis=1) == codes)),
            levels=of_each,
        )


def top_lift(labels: NDArray[np.float64], scores: NDArray[np.float64], share: float) -> float:
    """How many times as many respond among the share with the highest scores as among all."""
    top = np.argsort(-scores, kind="stable")[: max(1, round(share * len(scores)))]
    return float(labels[top].mean() / labels.mean())
