"""A workspace: the folder that holds everything a business edits or trains, read into one snapshot."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from feature_store.documents import Problem, WorkspaceError, did_you_mean, load_document
from feature_store.schema import FeatureSchema
from models.choosing import Choice
from models.errors import ModelRefused, PreloadRefused
from models.label_rules import LabelRules
from models.model import CustomerModel, PropensityModel
from models.registry import Registry
from models.spec import ModelSpec, load_specs
from service.decisioning.arbitration import Arbitration
from service.decisioning.catalogue import Action, Catalogue
from service.decisioning.scoring import BoundModel
from service.decisioning.shadows import Shadow
from service.decisioning.snapshot import Snapshot
from service.workspace.adaptation import compile_adaptation
from service.workspace.archive import Archive
from service.workspace.catalogue import CatalogueFiles, load_catalogue
from service.workspace.derived import Derivations, read_derivations
from service.workspace.experiments import load_experiments
from service.workspace.objectives import Objective, load_objectives
from service.workspace.policies import Engagement, PolicyFile, compile_engagement, read_policies
from service.workspace.reasons import Wordings, compile_reasons

Result = TypeVar("Result")

MOST_READS = 3
NO_MODEL = "no model"
"""Stands for the model of an action that has none; no model can be called that."""
ACCEPTING = ("accept", "convert")
"""The outcomes that are a response to such an action."""


class LoadedModels(NamedTuple):
    """Models by name: those of responses, and those of customers."""

    responses: Mapping[str, PropensityModel]
    customers: Mapping[str, CustomerModel]


@dataclass(frozen=True)
class Workspace:
    """What the files of a workspace say, checked as a whole; models are loaded later, from its registry."""

    folder: Path
    schema: FeatureSchema
    specs: Mapping[str, ModelSpec]
    files: CatalogueFiles
    policies: PolicyFile
    engagement: Engagement
    wordings: Wordings
    archive: Archive
    derivations: Derivations
    objectives: tuple[Objective, ...] = ()

    @property
    def catalogue(self) -> Catalogue:
        return self.files.catalogue

    @property
    def arbitration(self) -> Arbitration:
        return self.engagement.arbitration

    @property
    def registry(self) -> Registry:
        return Registry(self.folder / "models")

    @property
    def action_models(self) -> dict[str, str]:
        """The model of each action that has one."""
        return {action.name: action.model for action in self.catalogue.actions if action.model}

    @property
    def outcome_windows(self) -> dict[str, float]:
        """For how many seconds after its decision an outcome counts, of each action that says so."""
        return {a.name: a.outcome_window for a in self.catalogue.actions if a.outcome_window}

    @property
    def models(self) -> frozenset[str]:
        """The models that actions and derived features use."""
        return frozenset({*self.action_models.values(), *self.derivations.models})

    @property
    def label_rules(self) -> LabelRules:
        """What counts as a response to an action, within which time, and what was shown.

        Raises:
            ValueError: there is no model that says so.
        """
        return self._label_rules(self._families)

    @property
    def declared_priors(self) -> dict[str, float]:
        """The propensities of actions whose models may serve without a version, which a first one has to
        beat."""
        return {
            action.name: action.propensity
            for action in self.catalogue.actions
            if action.model and self.specs[action.model].starts_untrained and action.propensity is not None
        }

    @property
    def acceptance_rules(self) -> LabelRules:
        """The same for all actions: without a model that says more, `accept` and `convert` are a response."""
        return self._label_rules({**self._families, NO_MODEL: ACCEPTING}, otherwise=NO_MODEL)

    @property
    def _families(self) -> dict[str, tuple[str, ...]]:
        return {name: spec.positive for name, spec in self.specs.items() if spec.positive}

    def _label_rules(
        self, families: Mapping[str, tuple[str, ...]], otherwise: str | None = None
    ) -> LabelRules:
        return LabelRules(
            families=families,
            actions=self.action_models,
            windows=self.outcome_windows,
            impressions=[c.name for c in self.catalogue.channels if c.reports_impressions],
            otherwise=otherwise,
        )

    def snapshot(self, versions: Mapping[str, str] | None = None, scorer: Choice = "auto") -> Snapshot:
        """Everything compiled, with the champion of every model that an action needs, or these versions;
        `scorer` says what scores them, which makes no difference to any score.

        Raises:
            PreloadRefused: a model is missing, damaged or does not fit: nothing is served half loaded.
        """
        return compile_snapshot(self, self.load_models(self.registry, versions, scorer))

    def load_models(
        self, registry: Registry, versions: Mapping[str, str] | None = None, scorer: Choice = "auto"
    ) -> LoadedModels:
        """All models that the workspace uses, from a registry.

        Raises:
            PreloadRefused: with the reason of every model that is missing, damaged or does not fit.
        """
        responses: Mapping[str, PropensityModel] = {}
        customers: Mapping[str, CustomerModel] = {}
        refusals: list[ModelRefused] = []
        try:
            names = self._trained(registry, versions)
            responses = registry.preload(names, self.schema, versions, choice=scorer)
        except PreloadRefused as refused:
            refusals += refused.refusals
        try:
            customers = registry.preload_customer_models(
                self.derivations.models, self.schema, versions, choice=scorer
            )
        except PreloadRefused as refused:
            refusals += refused.refusals
        if refusals:
            raise PreloadRefused(tuple(refusals))
        return LoadedModels(responses, customers)

    def _trained(self, registry: Registry, versions: Mapping[str, str] | None) -> list[str]:
        """The models of actions, but for those that serve without a version: now, or among `versions`."""
        return [
            name
            for name in sorted(set(self.action_models.values()))
            if not self.specs[name].starts_untrained
            or (not registry.is_untrained(name) if versions is None else name in versions)
        ]


def load_workspace(folder: Path) -> Workspace:
    """Read and check all files of a workspace. One that is changed meanwhile is read again.

    Raises:
        WorkspaceError: with every problem found, each with its file and line.
    """
    for _ in range(MOST_READS):
        workspace = _load(folder)
        if Archive.of(folder).version == workspace.archive.version == workspace.catalogue.version:
            return workspace
    message = f"{folder} changed each of the {MOST_READS} times that it was read"
    raise WorkspaceError([Problem(str(folder), 0, "", message)])


def _load(folder: Path) -> Workspace:
    """Read and check all files of a workspace.

    Raises:
        WorkspaceError: with every problem found, each with its file and line.
    """
    if not (folder / "features.yaml").is_file():
        message = f"{folder} is not a workspace: it has no features.yaml"
        raise WorkspaceError([Problem(str(folder), 0, "", message)])
    archive = Archive.of(folder)
    found = _Findings()
    schema = found.try_to(lambda: FeatureSchema.load(folder / "features.yaml"))
    specs = found.try_to(lambda: load_specs(folder / "models.yaml", schema))
    files = found.try_to(lambda: load_catalogue(folder, specs))
    policies = found.try_to(lambda: read_policies(folder))
    trials = found.try_to(lambda: load_experiments(folder))
    if schema is None or specs is None or files is None or policies is None or trials is None:
        raise WorkspaceError(found.problems)
    engagement = found.try_to(lambda: compile_engagement(policies, schema, files, trials))
    wordings = found.try_to(lambda: compile_reasons(files.reasons, schema, files.catalogue, specs))
    found.problems += _model_problems(folder, specs, files)
    conditions = policies.policies.conditions
    derivations = found.try_to(lambda: read_derivations(folder, schema, specs, conditions))
    objectives = found.try_to(lambda: load_objectives(folder, files.catalogue, files.groups))
    if found.problems or engagement is None or wordings is None or derivations is None or objectives is None:
        raise WorkspaceError(found.problems)
    return Workspace(
        folder, schema, specs, files, policies, engagement, wordings, archive, derivations, objectives
    )


def compile_snapshot(
    workspace: Workspace, models: LoadedModels, shadows: Sequence[PropensityModel] = ()
) -> Snapshot:
    """Bind loaded models to the workspace's schema and catalogue, and those that score beside them."""
    catalogue, loaded = workspace.catalogue, models.responses
    bound = tuple(_bind(model, workspace) for model in loaded.values())
    priors = np.array(
        [
            action.propensity
            if action.propensity is not None
            else loaded[action.model or ""].manifest.metrics.base_rate
            for action in catalogue.actions
        ],
        dtype=np.float64,
    )
    return Snapshot(
        catalogue=catalogue,
        schema=workspace.schema,
        priors=priors,
        evidence=np.array([_evidence(action, loaded) for action in catalogue.actions], dtype=np.float64),
        models=bound,
        adaptation=compile_adaptation(catalogue, workspace.specs, bound, priors),
        derived=workspace.derivations.bound(models.customers),
        arbitration=workspace.arbitration,
        exploration=workspace.engagement.exploration,
        experiments=workspace.engagement.experiments,
        rules=workspace.engagement.rules,
        purposes=workspace.engagement.purposes,
        contact=workspace.engagement.contact,
        stopped=workspace.engagement.stopped,
        volumes=workspace.engagement.volumes,
        offers=workspace.engagement.offers,
        slate_policy=workspace.engagement.slate,
        wordings=workspace.wordings,
        shadows=tuple(Shadow.of(_bind(model, workspace), workspace.schema) for model in shadows),
    )


def _evidence(action: Action, loaded: Mapping[str, PropensityModel]) -> float:
    """How many positives are known of an action: declared, or those that its model has learnt from."""
    if action.evidence is not None or action.model is None:
        return action.evidence or 0.0
    model = loaded.get(action.model)
    if model is None:
        return 0.0
    data = model.manifest.data
    return data.positives_by_action.get(action.name, 0) if data.positives_by_action else data.positives


def _bind(model: PropensityModel, workspace: Workspace) -> BoundModel:
    catalogue = workspace.catalogue
    return BoundModel(
        name=model.name,
        version=model.version,
        scorer=model.scorer,
        calibration=model.calibration,
        layout=model.bind(workspace.schema),
        action_codes=_codes(model.action_codes, [action.name for action in catalogue.actions]),
        channel_codes=_codes(model.channel_codes, [channel.name for channel in catalogue.channels]),
        # a model has nothing to say of an action that it has never seen: there the prior speaks
        actions=np.array(
            [a.model == model.name and a.name in model.action_codes for a in catalogue.actions],
            dtype=np.bool_,
        ),
    )


def _codes(codes: Mapping[str, int], names: list[str]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([codes.get(name, np.nan) for name in names], dtype=np.float64)


def _model_problems(folder: Path, specs: Mapping[str, ModelSpec], files: CatalogueFiles) -> list[Problem]:
    document = load_document(folder / "models.yaml")
    return [
        document.problem(("models", name, *where), message)
        for name, spec in specs.items()
        for where, message in _faults(spec, files)
    ]


def _faults(spec: ModelSpec, files: CatalogueFiles) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What is wrong with a model beside the catalogue, and where in its declaration."""
    actions = files.catalogue.actions
    models = {action.name: action.model for action in actions}
    if spec.control is not None and models.get(spec.control, spec.name) == spec.name:
        message = (
            "the control has to be an action that stands for doing nothing and has another model or none; "
            f"'{spec.control}' {'has this one' if spec.control in models else 'is no action'}"
            f"{did_you_mean(spec.control, models)}"
        )
        yield ("control",), message
    for place, outcome in enumerate(spec.positive):
        if outcome not in files.outcomes:
            hint = did_you_mean(outcome, files.outcomes)
            message = f"'{outcome}' is not an outcome{hint}; declare it under 'outcomes' in channels.yaml"
            yield ("positive", place), message
    silent = [a.name for a in actions if a.model == spec.name and a.propensity is None]
    if spec.starts_untrained and silent:
        message = (
            "until it is trained, its actions are taken at their `propensity`, which is missing in "
            f"{', '.join(silent[:5])}"
        )
        yield ("starts_untrained",), message


class _Findings:
    """Problems of several files, gathered so that all are told at once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def try_to(self, read: Callable[[], Result]) -> Result | None:
        try:
            return read()
        except WorkspaceError as error:
            self.problems += error.problems
            return None
