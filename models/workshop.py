"""Training all the models of a workspace: none becomes a champion before all are trained and checked."""

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from feature_store.documents import did_you_mean
from feature_store.progress import Progress, silent
from feature_store.schema import FeatureSchema
from models.errors import ModelRefused, TrainingError
from models.package import StagedModel
from models.registry import Registry
from models.scorers import InvalidModel
from models.spec import ModelSpec
from models.table import History
from models.training import Growth, adopt, train


@dataclass(frozen=True)
class TrainingReport:
    """One line of the table that training prints; the metrics are those of the test part."""

    model: str
    version: str
    rows: int
    positives: int
    trees: int
    auc: float
    average_precision: float
    log_loss: float
    ece_before: float
    ece_after: float
    seconds: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Trained:
    staged: StagedModel
    seconds: float
    warnings: tuple[str, ...]


def train_workspace(
    specs: Mapping[str, ModelSpec],
    schema: FeatureSchema,
    action_models: Mapping[str, str],
    data: Path,
    registry: Registry,
    *,
    progress: Progress = silent,
    seed: int = 0,
    growth: Growth = Growth(),  # noqa: B008 - it is frozen
) -> list[TrainingReport]:
    """Train every model that an action uses, publish them, check them as serving would, promote them.

    Args:
        specs: the declared models by name.
        schema: the live feature schema.
        action_models: the name of the model of each action that has one.
        data: the folder with customers.parquet, decisions.parquet and outcomes.parquet.
        registry: where the models go.
        progress: told of every tree.
        seed: the same one gives the same models of the same data.
        growth: how large the models get.

    Raises:
        TrainingError: the data or the declarations can't make the models. No champion has changed then.
        ModelError: the registry can't be written, or a new model can't be loaded again.
    """
    actions = _actions_by_model(specs, action_models)
    progress("Reading the logged decisions", 0, None)
    history = History(data, schema)
    progress("Reading the logged decisions", 1, 1)
    trained = []
    for name, names in actions.items():
        started = time.perf_counter()
        control = specs[name].control
        table = history.table(specs[name], names if control is None else [*names, control])
        staged = train(table, specs[name], seed=seed, growth=growth, progress=progress)
        trained.append(_Trained(staged, time.perf_counter() - started, table.warnings))
        del table  # before the next one is built: they are the largest thing in memory
    versions = [registry.publish(item.staged) for item in trained]
    for name, version in zip(actions, versions, strict=True):
        registry.load(name, schema, version)
    for name, version in zip(actions, versions, strict=True):
        registry.promote(name, version)
    return [_report(item, version) for item, version in zip(trained, versions, strict=True)]


def import_model(
    name: str,
    kind: str,
    content: bytes,
    specs: Mapping[str, ModelSpec],
    schema: FeatureSchema,
    action_models: Mapping[str, str],
    data: Path,
    registry: Registry,
    *,
    calibrated: bool = True,
    seed: int = 0,
) -> TrainingReport:
    """Register a declared model that was made elsewhere, measured on the logged decisions of the actions that
    use it, and make it the champion.

    Raises:
        TrainingError: there is no such model, or the data can't measure it.
        ModelError: it can't be read or does not fit; the champion is the one before then.
    """
    actions = _actions_by_model(specs, action_models)
    if name not in actions:
        raise TrainingError(f"no action uses a model '{name}'{did_you_mean(name, actions)}")
    started = time.perf_counter()
    table = History(data, schema).table(specs[name], actions[name])
    try:
        staged = adopt(table, specs[name], kind, content, calibrated=calibrated, seed=seed)
    except InvalidModel as error:
        raise ModelRefused(name, None, str(error)) from error
    version = registry.publish(staged)
    registry.load(name, schema, version)
    registry.promote(name, version)
    return _report(_Trained(staged, time.perf_counter() - started, table.warnings), version)


def _actions_by_model(
    specs: Mapping[str, ModelSpec], action_models: Mapping[str, str]
) -> dict[str, list[str]]:
    """The actions of each model that is used, models in the order of models.yaml."""
    users = defaultdict(list)
    for action, model in action_models.items():
        if model not in specs:
            raise TrainingError(
                f"action '{action}' uses the model '{model}', which models.yaml does not declare"
                f"{did_you_mean(model, specs)}"
            )
        users[model].append(action)
    return {name: users[name] for name in specs if name in users}


def _report(trained: _Trained, version: str) -> TrainingReport:
    manifest = trained.staged.manifest
    return TrainingReport(
        model=manifest.name,
        version=version,
        rows=manifest.data.rows,
        positives=manifest.data.positives,
        trees=manifest.trees,
        auc=manifest.metrics.auc,
        average_precision=manifest.metrics.average_precision,
        log_loss=manifest.metrics.log_loss,
        ece_before=manifest.uncalibrated.ece,
        ece_after=manifest.metrics.ece,
        seconds=trained.seconds,
        warnings=trained.warnings,
    )
