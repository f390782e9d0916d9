"""What the training pipeline makes of a data set: trained by its defaults, measured on rows not seen."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from loadtests.realdata.sets import RealSet
from models.manifest import Manifest
from models.metrics import Metrics, top_lift
from models.package import StagedModel
from models.scorers import LightGBMScorer
from models.spec import ModelSpec
from models.table import TrainingTable
from models.training import train

FOLDS = 5
LEARNT = 0.8
"""The share of rows in the order of time that is learnt from."""
TOP = 0.1

_SPEC = ModelSpec("realdata", ("response",), "Whether it responds")


@dataclass(frozen=True)
class Measured:
    """The means over folds, of which each row is in one, or of the one test part of rows in order. `spread`
    is the standard deviation of the AUC over folds; NaN of one part."""

    rows: int
    positives: int
    auc: float
    spread: float
    average_precision: float
    ece: float
    lift: float


def measure(found: RealSet, seed: int = 0) -> Measured:
    """Train and test; the same seed gives the same figures."""
    parts = list(_ordered(len(found.table.labels)) if found.in_order else _folds(found.table, seed))
    scores = [_test(found.table, learn, test, seed) for learn, test in parts]
    aucs = np.array([metrics.auc for metrics, _ in scores])
    return Measured(
        rows=len(found.table.labels),
        positives=int(found.table.labels.sum()),
        auc=float(aucs.mean()),
        spread=float(aucs.std(ddof=1)) if len(aucs) > 1 else float("nan"),
        average_precision=float(np.mean([metrics.average_precision for metrics, _ in scores])),
        ece=float(np.mean([metrics.ece for metrics, _ in scores])),
        lift=float(np.mean([lift for _, lift in scores])),
    )


Part = tuple[NDArray[np.intp], NDArray[np.intp]]
"""The rows that are learnt from, and those that are measured on."""


def _ordered(rows: int) -> Iterator[Part]:
    cut = int(LEARNT * rows)
    yield np.arange(cut), np.arange(cut, rows)


def _folds(table: TrainingTable, seed: int) -> Iterator[Part]:
    fold = np.random.default_rng(seed).permutation(len(table.labels)) % FOLDS
    for number in range(FOLDS):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def _test(
    table: TrainingTable, learn: NDArray[np.intp], test: NDArray[np.intp], seed: int
) -> tuple[Metrics, float]:
    """The metrics of one test part, and the lift of its best tenth."""
    probabilities = _scored(train(taken(table, learn), _SPEC, seed=seed), table.rows[test])
    labels = table.labels[test]
    return Metrics.measure(labels, probabilities), top_lift(labels, probabilities, TOP)


def _scored(staged: StagedModel[Manifest], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return staged.manifest.calibration.apply(LightGBMScorer(staged.model).margins(rows))


def taken(table: TrainingTable, rows: NDArray[np.intp]) -> TrainingTable:
    """Some of the rows of a table."""
    return replace(
        table,
        rows=table.rows[rows],
        labels=table.labels[rows],
        now=table.now[rows],
        customers=table.customers[rows],
    )
