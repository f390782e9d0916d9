"""Training all models of a workspace: none becomes champion before all are trained, checked and judged."""

import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from feature_store.documents import did_you_mean
from feature_store.progress import Progress, silent
from feature_store.schema import FeatureSchema
from models.card import Evidence, card
from models.customer_training import train_customer_model
from models.deriving import Derive, as_it_is
from models.errors import ModelRefused, TrainingError
from models.gate import beside_priors, first, judge, unfit, unlike
from models.labelled import labelled_table
from models.logged_history import LoggedHistory, LogSource
from models.manifest import CustomerManifest, Manifest
from models.metrics import LevelMetrics, Metrics, NumberMetrics
from models.model import CustomerModel, PropensityModel
from models.package import StagedModel
from models.promotions import How
from models.registry import Registry
from models.scorers import InvalidModel
from models.spec import ModelSpec, Target
from models.table import History, TrainingTable
from models.training import Growth, adopt, train
from models.verdict import VERDICT, Verdict


@dataclass(frozen=True)
class TrainingReport:
    """One line of the table that training prints; the metrics are those of the test part, and the verdict is
    that of the gate."""

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
    promoted: bool
    verdict: Verdict | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class CustomerReport:
    """The same of a model of customers."""

    model: str
    version: str
    target: Target
    rows: int
    trees: int
    metrics: Metrics | NumberMetrics | LevelMetrics
    seconds: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingReports:
    """What was trained: models of responses, and models of customers; and what somebody should look at in the
    log."""

    responses: list[TrainingReport]
    customers: list[CustomerReport]
    remarks: Sequence[str] = ()


class Decisions(Protocol):
    """Logged decisions, wherever they lie."""

    @property
    def remarks(self) -> Sequence[str]:
        """What somebody should look at in them."""

    def table(self, spec: ModelSpec, actions: Collection[str]) -> TrainingTable:
        """What one model learns from: the decisions of these actions, always the same in the same order."""


class Derivations(Protocol):
    """What a workspace derives."""

    @property
    def models(self) -> Sequence[str]:
        """The models that it takes, each after those that it reads from."""

    def derive(self, models: Mapping[str, CustomerModel]) -> Derive:
        """Fills in what can be made with these models."""


class _Nothing:
    models = ()

    def derive(self, models: Mapping[str, CustomerModel]) -> Derive:
        return as_it_is


NOTHING_DERIVED: Derivations = _Nothing()


@dataclass(frozen=True)
class _Trained:
    staged: StagedModel[Manifest]
    evidence: Evidence
    seconds: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _TrainedCustomers:
    staged: StagedModel[CustomerManifest]
    model: CustomerModel
    seconds: float
    warnings: tuple[str, ...]


def train_workspace(
    specs: Mapping[str, ModelSpec],
    schema: FeatureSchema,
    action_models: Mapping[str, str],
    data: Path | None,
    registry: Registry,
    *,
    log: LogSource | None = None,
    progress: Progress = silent,
    seed: int = 0,
    growth: Growth = Growth(),  # noqa: B008 - it is frozen
    derivations: Derivations = NOTHING_DERIVED,
    priors: Mapping[str, float] = MappingProxyType({}),
    force: bool = False,
) -> TrainingReports:
    """Train every model that an action or a derived feature uses, publish them, check them as serving would,
    and promote those that pass the gate; models of customers, which have no log of what came, always do.

    Args:
        specs: the declared models by name.
        schema: the live feature schema.
        action_models: the name of the model of each action that has one.
        data: the folder with customers.parquet, decisions.parquet and outcomes.parquet, and the tables of
            the models of customers. With a log and without models of customers nothing is read from it.
        registry: where the models go.
        log: the log that models of responses learn from, instead of the tables.
        progress: told of every tree.
        seed: the same one gives the same models of the same data.
        growth: how large the models get.
        derivations: the derived features; their models are trained first, because others may read them.
        priors: by action, what has served where a model that starts untrained has no champion yet: its first
            version has to be better than that. Another model's is the champion in any case, since nothing can
            be served without one.
        force: promote also what does not pass; it is recorded as forced.

    Raises:
        TrainingError, BadLog: the data or the declarations can't make the models. No champion has changed.
        ModelError: the registry can't be written, or a new model can't be loaded again.
    """
    actions = _actions_by_model(specs, action_models)
    shop = _Workshop(specs, schema, data, log, seed, growth, progress, priors)
    customers = shop.customer_models(derivations)
    derive = derivations.derive({name: item.model for name, item in customers.items()})
    history = shop.history(derive) if actions else None
    responses = shop.response_models(actions, history) if history else {}
    versions = {name: registry.publish(item.staged) for name, item in customers.items()}
    versions |= {name: registry.publish(item.staged) for name, item in responses.items()}
    for name in customers:
        registry.load_customer_model(name, schema, versions[name])
    verdicts = {
        name: shop.verdict(registry, registry.load(name, schema, versions[name]), history, actions[name])
        for name in responses
        if history
    }
    for name, verdict in verdicts.items():
        _attach(registry, responses[name], versions[name], verdict)
    for name, version in versions.items():
        passed = name in customers or verdicts[name].passed
        if passed or force:
            registry.promote(name, version, How.TRAINED if passed else How.FORCED)
    return TrainingReports(
        responses=[
            _report(item, versions[name], verdicts[name].passed or force, verdicts[name])
            for name, item in responses.items()
        ],
        customers=[_customer_report(item, versions[name]) for name, item in customers.items()],
        remarks=history.remarks if history else (),
    )


@dataclass(frozen=True)
class _Workshop:
    """Trains models one after the other; the tables they learn from are the largest things in memory."""

    specs: Mapping[str, ModelSpec]
    schema: FeatureSchema
    data: Path | None
    log: LogSource | None
    seed: int
    growth: Growth
    progress: Progress
    priors: Mapping[str, float]

    def customer_models(self, derivations: Derivations) -> dict[str, _TrainedCustomers]:
        """The models of derived features; each may read what those before it say."""
        found: dict[str, _TrainedCustomers] = {}
        for name in derivations.models:
            derive = derivations.derive({name: item.model for name, item in found.items()})
            found[name] = self._customer_model(self.specs[name], derive)
        return found

    def _customer_model(self, spec: ModelSpec, derive: Derive) -> _TrainedCustomers:
        started = time.perf_counter()
        if spec.target is None:
            raise TrainingError(f"model '{spec.name}' predicts responses: nothing can be derived from it")
        if self.data is None:
            raise TrainingError(f"model '{spec.name}' learns from {spec.target.file}: say where it lies")
        table = labelled_table(self.data, spec, spec.target, self.schema, derive)
        made = train_customer_model(
            table, spec, spec.target, seed=self.seed, growth=self.growth, progress=self.progress
        )
        return _TrainedCustomers(made.staged, made.model, time.perf_counter() - started, table.warnings)

    def history(self, derive: Derive) -> Decisions:
        """What models of responses learn from: the log, or the tables."""
        self.progress("Reading the logged decisions", 0, None)
        if self.log is not None:
            found: Decisions = LoggedHistory(self.log, self.schema, derive)
        elif self.data is not None:
            found = History(self.data, self.schema, derive)
        else:
            raise TrainingError("there is neither a log nor a folder with tables to learn from")
        self.progress("Reading the logged decisions", 1, 1)
        return found

    def verdict(
        self, registry: Registry, challenger: PropensityModel, history: Decisions, actions: Sequence[str]
    ) -> Verdict:
        """What the gate says of a new version, beside the champion there is."""
        name = challenger.name
        version = registry.serving(name)
        if version is None:
            if not self.specs[name].starts_untrained:
                return first(name)
            table = history.table(self.specs[name], actions)
            return beside_priors(challenger, table, self.priors, seed=self.seed)
        try:
            champion = registry.load(name, self.schema, version)
        except ModelRefused as refusal:
            return unfit(version, str(refusal))
        if challenger.manifest.control or champion.manifest.control:
            return unlike(version)
        self.progress(f"Comparing {name} with its champion", 0, None)
        spec = self.specs[name]
        of_champion = replace(spec, features=tuple(f.name for f in champion.manifest.schema_read.features))
        table = champions = history.table(spec, actions)
        if of_champion.features != spec.reads(self.schema):
            champions = history.table(of_champion, actions)
        verdict = judge(challenger, champion, table, champions, seed=self.seed)
        self.progress(f"Comparing {name} with its champion", 1, 1)
        return verdict

    def response_models(
        self, actions: Mapping[str, Sequence[str]], history: Decisions
    ) -> dict[str, _Trained]:
        """The models of responses, each of some actions."""
        return {
            name: self._response_model(self.specs[name], history, names) for name, names in actions.items()
        }

    def _response_model(self, spec: ModelSpec, history: Decisions, actions: Sequence[str]) -> _Trained:
        started = time.perf_counter()
        table = history.table(spec, actions if spec.control is None else [*actions, spec.control])
        staged = train(table, spec, seed=self.seed, growth=self.growth, progress=self.progress)
        return _Trained(staged, Evidence.of(staged, table), time.perf_counter() - started, table.warnings)


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
    derive: Derive = as_it_is,
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
    table = History(data, schema, derive).table(specs[name], actions[name])
    try:
        staged = adopt(table, specs[name], kind, content, calibrated=calibrated, seed=seed)
    except InvalidModel as error:
        raise ModelRefused(name, None, str(error)) from error
    version = registry.publish(staged)
    registry.load(name, schema, version)
    made = _Trained(staged, Evidence.of(staged, table), time.perf_counter() - started, table.warnings)
    _attach(registry, made, version, None)
    registry.promote(name, version, How.IMPORTED)
    return _report(made, version, True, None)


def _attach(registry: Registry, made: _Trained, version: str, verdict: Verdict | None) -> None:
    """Put the card, and what the gate said, beside a version."""
    manifest = made.staged.manifest.model_copy(update={"version": version})
    files = dict(card(manifest, made.evidence, verdict))
    if verdict is not None:
        files[VERDICT] = f"{verdict.model_dump_json(indent=2)}\n".encode()
    registry.attach(manifest.name, version, files)


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


def _customer_report(trained: _TrainedCustomers, version: str) -> CustomerReport:
    manifest = trained.staged.manifest
    return CustomerReport(
        model=manifest.name,
        version=version,
        target=manifest.target,
        rows=manifest.data.rows,
        trees=manifest.trees,
        metrics=manifest.metrics,
        seconds=trained.seconds,
        warnings=trained.warnings,
    )


def _report(trained: _Trained, version: str, promoted: bool, verdict: Verdict | None) -> TrainingReport:
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
        promoted=promoted,
        verdict=verdict,
        warnings=trained.warnings,
    )
