"""Training one model: LightGBM with early stopping, calibration, honest metrics and golden rows."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from feature_store.feature import GIVEN
from feature_store.progress import Progress, silent
from feature_store.schema import FeatureType, Source
from models.calibration import Calibrated, Calibration, Platt, best_calibration
from models.errors import TrainingError
from models.evaluation.estimators import effective_sample_size
from models.evaluation.uplift import uplift_found
from models.files import CHANCE
from models.kinds import KINDS
from models.layout import BUILT_IN, Inputs
from models.manifest import Manifest, TrainingData
from models.metrics import LEAST_ROWS, CellMetrics, Metrics
from models.package import GoldenRows, StagedModel
from models.reference import Reference
from models.scorers import InvalidModel, LightGBMScorer, Scorer
from models.spec import ModelSpec
from models.split import Split
from models.table import TrainingTable
from models.uplift import UPLIFT_PARAMETERS, logged_trial, pseudo_outcomes, uplift_forest
from models.uplift import calibrated as uplift_calibrated
from models.weights import inverse_chances

if TYPE_CHECKING:
    import lightgbm  # brings scikit-learn and SciPy along, 1.5 s and 90 MB: only who trains has use for them

MAX_TREES = 300
PATIENCE = 20
"""How many trees in a row may fail to help the validation part before training stops."""
STRANGERS = 0.01
"""The share of training rows that lose what comes from one source, for each source, and from all of them."""
GOLDEN_ROWS = 100
"""How many real rows are kept with their scores; rows with holes and edge cases come on top."""

PARAMETERS: dict[str, bool | int | float | str] = {
    "learning_rate": 0.08,
    "max_bin": 63,
    "min_sum_hessian_in_leaf": 2.0,  # rare responses: a leaf stands on at least about two expected ones
    "lambda_l2": 30.0,
    "deterministic": True,
    "force_row_wise": True,
}

_METRICS = {"binary": "binary_logloss", "regression": "l2"}
"""By objective, what more trees have to help."""


@dataclass(frozen=True)
class Growth:
    """How large a model grows: up to `leaves` a tree, and exactly so many `trees`, or as many as help."""

    trees: int | None = None
    leaves: int = 15

    @property
    def most_trees(self) -> int:
        """How many trees are grown at most."""
        return self.trees or MAX_TREES


def train(
    table: TrainingTable,
    spec: ModelSpec,
    *,
    seed: int = 0,
    growth: Growth = Growth(),
    progress: Progress = silent,
) -> StagedModel[Manifest]:
    """Train, calibrate and evaluate a model, and stage it for a registry.

    The same table, seed, growth and library versions give the same trees, on any number of threads.

    Raises:
        TrainingError: a part of the table has no response, or nothing but responses.
    """
    split = split_of(table, seed)
    _check(table, spec, split)
    if spec.control is not None:
        return _uplift(table, spec, split, seed, growth, progress)
    most = growth.most_trees
    booster = boost(
        table, spec, split, seed, growth, lambda done: progress(f"Training {spec.name}", done, most)
    )
    progress(f"Training {spec.name}", most, most)
    content = booster.model_to_string().encode()
    parameters = {**parameters_of(growth), "seed": seed}
    scorer = LightGBMScorer(content, threads=0)
    return _staged(table, spec, split, scorer, content, parameters, trees=booster.num_trees())


def adopt(
    table: TrainingTable,
    spec: ModelSpec,
    kind: str,
    content: bytes,
    *,
    calibrated: bool = True,
    seed: int = 0,
) -> StagedModel[Manifest]:
    """Stage a model that was made elsewhere: `calibrated` on the part of the table that calibrates ours, or
    with its own probabilities, and measured on the part that measures ours.

    Raises:
        InvalidModel: the content is not a model of that kind, or does not fit the table.
        TrainingError: a part of the table has no response, or nothing but responses.
    """
    split = split_of(table, seed)
    _check(table, spec, split)
    scorer = KINDS[kind].make(content, Inputs(table.schema, table.actions, table.channels))
    if scorer.width != table.layout.width:
        raise InvalidModel(f"it reads {scorer.width} columns, and has to read {table.layout.width}")
    own = None if calibrated else Calibrated(Platt(), {})
    return _staged(table, spec, split, scorer, content, {"seed": seed}, calibrated=own)


def split_of(table: TrainingTable, seed: int) -> Split:
    """Which rows of a table train a model, tune it, and test it."""
    return Split.of_decisions(table.now, table.customer_ids, table.customers, seed)


def _staged(
    table: TrainingTable,
    spec: ModelSpec,
    split: Split,
    scorer: Scorer,
    content: bytes,
    parameters: dict[str, bool | int | float | str],
    *,
    trees: int = 0,
    calibrated: Calibrated | None = None,
) -> StagedModel[Manifest]:
    """Calibrate, unless it is `calibrated`, measure, and take golden rows."""
    found = calibrated or _calibrated(table, split.validation, scorer)
    calibration = found.calibration
    margins, labels = scorer.margins(table.rows[split.test]), table.labels[split.test]
    scores = calibration.apply(margins)
    rows = golden_rows(table.rows[split.test], int(parameters["seed"]))
    manifest = Manifest(
        name=spec.name,
        version="",
        created_at=datetime.now(UTC).replace(microsecond=0),
        kind=scorer.kind,
        positive=spec.positive,
        inputs=Inputs(table.schema, table.actions, table.channels).names,
        features=tuple(table.schema.definition()),
        fingerprint=table.schema.fingerprint,
        actions=table.actions,
        channels=table.channels,
        calibration=calibration,
        data=_described(table, split),
        calibration_losses=found.log_losses,
        monotone=spec.monotone,
        metrics=Metrics.measure(labels, scores),
        cells=tuple(_cells(table, split.test, scores)),
        uncalibrated=Metrics.measure(labels, Platt().apply(margins)),
        trees=trees,
        parameters=parameters,
        libraries=library_versions(),
        files={},
        reference=_reference(table, ~split.training, scorer, calibration),
    )
    golden = GoldenRows(rows, calibration.apply(scorer.margins(rows)))
    return StagedModel.of(manifest, content, golden)


def _calibrated(table: TrainingTable, part: NDArray[np.bool_], scorer: Scorer) -> Calibrated:
    return best_calibration(
        scorer.margins(table.rows[part]),
        table.labels[part],
        table.now[part],
        inverse_chances(table.chances[part]),
    )


def _reference(
    table: TrainingTable, part: NDArray[np.bool_], scorer: Scorer, calibration: Calibration
) -> Reference:
    rows = table.rows[part]
    return Reference.of(table.schema.columns, rows, calibration.apply(scorer.margins(rows)))


def _cells(
    table: TrainingTable, part: NDArray[np.bool_], scores: NDArray[np.float64]
) -> Iterator[CellMetrics]:
    """How well each action is calibrated in each channel, where there are enough rows to tell."""
    codes, labels = table.rows[part, -len(BUILT_IN) :], table.labels[part]
    for action, action_name in enumerate(table.actions):
        for channel, channel_name in enumerate(table.channels):
            cell = (codes[:, 0] == action) & (codes[:, 1] == channel)
            if cell.sum() >= LEAST_ROWS:
                yield CellMetrics.measure(action_name, channel_name, labels[cell], scores[cell])


def _uplift(
    table: TrainingTable, spec: ModelSpec, split: Split, seed: int, growth: Growth, progress: Progress
) -> StagedModel[Manifest]:
    """Train a model of uplift, calibrate it by pseudo-outcomes, and measure it by what was chosen by lot."""
    control = spec.control or ""
    if control not in table.actions or len(table.actions) == 1:
        raise TrainingError(
            f"model '{spec.name}': the log has no decision of its control '{control}' beside its actions: "
            "uplift is learnt from both"
        )
    if np.isnan(table.chances).any():
        raise TrainingError(
            f"model '{spec.name}': {CHANCE} has to be there for every decision: uplift is learnt from "
            "choices whose probability is known"
        )
    learn = np.flatnonzero(split.training | split.validation)
    pseudo = pseudo_outcomes(table, learn, control, _categories(table), seed)
    training = split.training[pseudo.logged]
    most = growth.most_trees
    forest = uplift_forest(
        pseudo,
        training,
        _categories(table),
        {**parameters_of(growth), **_directions(table, spec), "seed": seed},
        most,
        None if growth.trees else PATIENCE,
        lambda done: progress(f"Training {spec.name}", done, most),
    )
    progress(f"Training {spec.name}", most, most)
    content = forest.model_to_string().encode()
    scorer = LightGBMScorer(content, threads=0)
    calibration = uplift_calibrated(scorer.margins(pseudo.rows[~training]), pseudo.phi[~training])
    parameters = {**parameters_of(growth), **UPLIFT_PARAMETERS, "seed": seed}
    staged = _staged(
        table,
        spec,
        split,
        scorer,
        content,
        parameters,
        trees=forest.num_trees(),
        calibrated=Calibrated(calibration, {}),
    )
    trial = logged_trial(table, np.flatnonzero(split.test), control, scorer, calibration)
    found = uplift_found(trial, seed=seed).metrics()
    metrics = staged.manifest.metrics.model_copy(update={"base_rate": max(found.whole[0], 0.0)})
    update = {"control": control, "uplift": found, "metrics": metrics, "cells": ()}
    return replace(staged, manifest=staged.manifest.model_copy(update=update))


def _check(table: TrainingTable, spec: ModelSpec, split: Split) -> None:
    parts = {"training": split.training, "validation": split.validation, "test": split.test}
    for part, mask in parts.items():
        labels = table.labels[mask]
        if not (0 < labels.sum() < len(labels)):
            outcomes = ", ".join(spec.positive)
            raise TrainingError(
                f"model '{spec.name}': {int(labels.sum())} of the {len(labels)} decisions in the {part} part "
                f"have a positive outcome ({outcomes}), {int(table.labels.sum())} of {len(table.labels)} in "
                "all; every part needs some with and some without: log more decisions, or see whether "
                "`positive` in models.yaml names the outcomes that are logged"
            )


def parameters_of(growth: Growth, objective: str = "binary") -> dict[str, bool | int | float | str]:
    """What LightGBM is told."""
    return {"objective": objective, **PARAMETERS, "num_leaves": growth.leaves}


def library_versions() -> dict[str, str]:
    """What a model was trained with."""
    return {name: version(name) for name in ("lightgbm", "numpy", "scikit-learn")}


def boost(
    table: TrainingTable,
    spec: ModelSpec,
    split: Split,
    seed: int,
    growth: Growth,
    progress: Callable[[int], None],
    objective: str = "binary",
) -> "lightgbm.Booster":
    """Trees for the labels of a table, as many as help or as the growth says; `progress` hears of each."""
    import lightgbm

    _silence()
    parameters: dict[str, Any] = {
        **parameters_of(growth, objective),
        "seed": seed,
        "verbosity": -1,
        "metric": _METRICS[objective],
        **_directions(table, spec),
    }
    categories = _categories(table)
    training = lightgbm.Dataset(
        _with_strangers(table, split, seed),
        table.labels[split.training],
        weight=inverse_chances(table.chances[split.training]),
        categorical_feature=categories,
        params=parameters,
    )
    validation = lightgbm.Dataset(
        table.rows[split.validation],
        table.labels[split.validation],
        weight=inverse_chances(table.chances[split.validation]),
        reference=training,
        categorical_feature=categories,
        params=parameters,
    )
    booster = lightgbm.train(
        parameters,
        training,
        growth.most_trees,
        valid_sets=[validation],
        callbacks=[
            *([lightgbm.early_stopping(PATIENCE, verbose=False)] if growth.trees is None else []),
            lambda state: progress(state.iteration),
        ],
    )
    text = booster.model_to_string(num_iteration=booster.best_iteration)  # 0 without a stop: all of them
    return lightgbm.Booster(model_str=text)


def _directions(table: TrainingTable, spec: ModelSpec) -> dict[str, list[int]]:
    """What LightGBM is told of the way that each column of a row may move the prediction: 1 up, -1 down, 0
    any."""
    if not spec.monotone:
        return {}
    directions = np.zeros(table.layout.width, np.intp)
    for feature, direction in spec.monotone.items():
        directions[table.schema.slice(feature)] = 1 if direction == "increasing" else -1
    return {"monotone_constraints": directions.tolist()}


def _categories(table: TrainingTable) -> list[int]:
    """The positions in a row that hold codes: category features, the action and the channel."""
    width = table.layout.width
    coded = [feature for feature in table.schema.features if feature.type is FeatureType.CATEGORY]
    return [*(table.schema.slice(feature.name).start for feature in coded), width - 2, width - 1]


def _with_strangers(table: TrainingTable, split: Split, seed: int) -> NDArray[np.float64]:
    """The training rows, a few of them without what a source knows.

    A new visitor, a store that is away, a profile too old to count: at serving time everything from a source
    can be missing together. LightGBM takes a missing value for zero unless it has met missing ones.
    """
    rows = table.rows[split.training]
    now = table.now[split.training]
    generator = np.random.default_rng(seed)
    given = ((source,) for source in GIVEN)
    for sources in (*given, tuple(Source), (Source.DERIVED,)):  # without any, draws stay as they were
        columns = _places(table, sources)
        picked = np.flatnonzero(generator.random(len(rows)) < STRANGERS)
        if not len(columns):
            continue
        rows[np.ix_(picked, columns)] = table.schema.defaults[columns]
        moments = np.intersect1d(columns, table.layout.timestamps)
        rows[np.ix_(picked, moments)] -= now[picked, None]
    return rows


def _places(table: TrainingTable, sources: tuple[Source, ...]) -> NDArray[np.intp]:
    columns = np.arange(table.schema.width)
    features = [feature for feature in table.schema.features if feature.source in sources]
    return np.concatenate(
        [np.empty(0, np.intp), *(columns[table.schema.slice(feature.name)] for feature in features)]
    )


def golden_rows(rows: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Some real rows, the same ones with holes, and the edges: nothing known, zeros, codes never seen."""
    generator = np.random.default_rng(seed)
    real = rows[generator.choice(len(rows), min(GOLDEN_ROWS, len(rows)), replace=False)]
    holed = np.where(generator.random(real.shape) < 0.3, np.nan, real)[:20]
    edges = np.stack([np.full(rows.shape[1], value) for value in (np.nan, 0.0, -1.0, 1e12)])
    unseen = real[:1].copy()
    unseen[:, -len(BUILT_IN) :] = np.nan
    return np.concatenate([real, holed, edges, unseen])


def _described(table: TrainingTable, split: Split) -> TrainingData:
    chances = table.chances[split.training]
    return TrainingData(
        explored_rows=int((chances < 1.0).sum()),
        effective_rows=effective_sample_size(inverse_chances(chances)),
        seen_until=datetime.fromtimestamp(float(table.now[~split.test].max()), UTC),
        sha256=table.sha256,
        rows=len(table.rows),
        positives=int(table.labels.sum()),
        positives_by_action=table.positives_by_action,
        customers=len(table.customer_ids),
        training_rows=int(split.training.sum()),
        validation_rows=int(split.validation.sum()),
        test_rows=int(split.test.sum()),
        first_decision=datetime.fromtimestamp(float(table.now.min()), UTC),
        last_decision=datetime.fromtimestamp(float(table.now.max()), UTC),
    )


def _silence() -> None:
    """Send what LightGBM's Python package says to a logger that nobody hears unless they ask for it."""
    import lightgbm

    logger = logging.getLogger("models.lightgbm")
    logger.setLevel(logging.ERROR)
    lightgbm.register_logger(logger)
