"""Training a model of customers: a LightGBM model for each of its heads, calibrated and measured together."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from feature_store.progress import Progress, silent
from feature_store.schema import FeatureType
from models.calibration import Calibration, HeadCalibration, Platt
from models.errors import TrainingError
from models.heads import Heads
from models.layout import Inputs
from models.manifest import CustomerManifest, LabelledData
from models.metrics import LevelMetrics, Metrics, NumberMetrics
from models.model import CustomerModel
from models.package import GoldenRows, StagedModel
from models.scorers import LightGBMScorer
from models.spec import ModelSpec, Target
from models.split import Split
from models.table import TrainingTable
from models.training import Growth, boost, golden_rows, library_versions, parameters_of

PERCENTS = np.arange(101)


@dataclass(frozen=True)
class TrainedCustomerModel:
    """A model of customers that is not in a registry yet, and ready to score what others learn from."""

    staged: StagedModel[CustomerManifest]
    model: CustomerModel


def train_customer_model(
    table: TrainingTable,
    spec: ModelSpec,
    target: Target,
    *,
    seed: int = 0,
    growth: Growth = Growth(),  # noqa: B008 - it is frozen
    progress: Progress = silent,
) -> TrainedCustomerModel:
    """Train, calibrate and evaluate a model, and stage it for a registry.

    The same table, seed, growth and library versions give the same trees, on any number of threads.

    Raises:
        TrainingError: a part of the table lacks a label that it needs.
    """
    split = Split.by_customer(table.customer_ids, table.customers, seed)
    labels = _head_labels(table.labels, target)
    _check(table, spec, target, split)
    objective = "regression" if target.type is FeatureType.NUMBER else "binary"
    texts, trees, most = [], 0, growth.most_trees * labels.shape[1]
    for head in range(labels.shape[1]):
        told = _telling(progress, spec.name, head * growth.most_trees, most)
        of_head = replace(table, labels=labels[:, head])
        booster = boost(of_head, spec, split, seed, growth, told, objective)
        texts.append(booster.model_to_string().encode())
        trees += booster.num_trees()
    progress(f"Training {spec.name}", most, most)
    heads = Heads(tuple(LightGBMScorer(text, threads=0) for text in texts))
    margins = heads.margins(table.rows)
    calibrations = _calibrations(margins, labels, target, split)
    scores = HeadCalibration.of(calibrations).apply(margins)
    rows = golden_rows(table.rows[split.test], seed)
    manifest = CustomerManifest(
        name=spec.name,
        version="",
        created_at=datetime.now(UTC).replace(microsecond=0),
        kind=Heads.kind,
        target=target,
        inputs=Inputs(table.schema, (), ()).names,
        features=tuple(table.schema.definition()),
        fingerprint=table.schema.fingerprint,
        calibrations=calibrations,
        percentiles=() if target.levels else tuple(np.percentile(scores[:, 0], PERCENTS).tolist()),
        data=_described(table, split),
        metrics=_measured(target, table.labels[split.test], scores[split.test]),
        trees=trees,
        parameters={**parameters_of(growth, objective), "seed": seed},
        libraries=library_versions(),
        files={},
    )
    golden = GoldenRows(rows, manifest.calibration.apply(heads.margins(rows)))
    staged = StagedModel.of(manifest, Heads.dump(texts), golden)
    return TrainedCustomerModel(staged, CustomerModel(spec.name, "", manifest, heads))


def _head_labels(labels: NDArray[np.float64], target: Target) -> NDArray[np.float64]:
    """What each head learns, shape (n, heads)."""
    if not target.levels:
        return labels[:, None]
    learned: NDArray[np.float64] = np.equal.outer(labels, np.arange(len(target.levels))).astype(np.float64)
    return learned


def _telling(progress: Progress, name: str, before: int, most: int) -> Callable[[int], None]:
    return lambda done: progress(f"Training {name}", before + done, most)


def _calibrations(
    margins: NDArray[np.float64], labels: NDArray[np.float64], target: Target, split: Split
) -> tuple[Calibration, ...]:
    if target.type is FeatureType.NUMBER:
        return ()
    heads = range(labels.shape[1])
    chosen = split.validation
    return tuple(Platt.fit(margins[chosen, head], labels[chosen, head]) for head in heads)


def _measured(
    target: Target, labels: NDArray[np.float64], scores: NDArray[np.float64]
) -> Metrics | NumberMetrics | LevelMetrics:
    match target.type:
        case FeatureType.NUMBER:
            return NumberMetrics.measure(labels, scores[:, 0])
        case FeatureType.CATEGORY:
            return LevelMetrics.measure(target.levels, labels, scores)
    return Metrics.measure(labels, scores[:, 0])


def _check(table: TrainingTable, spec: ModelSpec, target: Target, split: Split) -> None:
    for part, mask in (("training", split.training), ("validation", split.validation), ("test", split.test)):
        for problem in _lacks(table.labels[mask], target):
            raise TrainingError(
                f"model '{spec.name}': of the {int(mask.sum())} rows of {target.file} in the {part} part "
                f"{problem}; every part needs some: bring more rows"
            )


def _lacks(labels: NDArray[np.float64], target: Target) -> Iterator[str]:
    if target.type is FeatureType.NUMBER:
        if len(labels) < 2 or np.ptp(labels) == 0:
            yield f"none has another '{target.label}' than the others"
        return
    names = target.levels or ("false", "true")
    for code, name in enumerate(names):
        if not (labels == code).any():
            yield f"none has the '{target.label}' {name}"


def _described(table: TrainingTable, split: Split) -> LabelledData:
    return LabelledData(
        sha256=table.sha256,
        rows=len(table.rows),
        customers=len(table.customer_ids),
        training_rows=int(split.training.sum()),
        validation_rows=int(split.validation.sum()),
        test_rows=int(split.test.sum()),
    )
