"""The line-up: the snapshot of the champions with their shadows, and those of their challengers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from models.choosing import Choice
from models.errors import ModelRefused, PreloadRefused
from models.model import PropensityModel
from models.reference import Reference
from models.trials import LINE, Trial, Trials
from service.decisioning.challengers import Challenger
from service.decisioning.snapshot import Snapshot
from service.workspace.loading import LoadedModels, Workspace, compile_snapshot


@dataclass(frozen=True)
class Lineup:
    """Who decides for whom, and the trials as they were when this was compiled."""

    snapshot: Snapshot
    challengers: tuple[Challenger, ...]
    trials: Trials
    references: Mapping[str, Reference]
    """How the champions were spread in training, of those that have kept it."""

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """All by which somebody is decided for."""
        return (self.snapshot, *(challenger.snapshot for challenger in self.challengers))

    @property
    def shares(self) -> dict[tuple[str, str], float]:
        """By model and version the share of the customers for whom it decides."""
        found = dict.fromkeys(self.snapshot.model_versions.items(), 1.0)
        for one in self.challengers:
            found[one.model, self.snapshot.model_versions[one.model]] -= one.share
            found[one.model, one.version] = one.share
        return found


def line_up(workspace: Workspace, scorer: Choice = "auto") -> Lineup:
    """Everything compiled, with the champion of every model that an action needs, and what is tried out
    beside them. The trial of a version rests while that is the champion, or no action uses the model.

    Raises:
        PreloadRefused: a model is missing, damaged or does not fit: nothing is served half loaded.
        ModelError: the file of trials is damaged.
    """
    trials = workspace.registry.trials()
    models = workspace.load_models(workspace.registry, None, scorer)
    tried = list(_tried(workspace, trials, models, scorer))
    shadows = [model for trial, model in tried if not trial.parts]
    return Lineup(
        snapshot=compile_snapshot(workspace, models, shadows),
        challengers=tuple(
            _challenger(workspace, trial, model, models, shadows) for trial, model in tried if trial.parts
        ),
        trials=trials,
        references={
            name: model.manifest.reference
            for name, model in models.responses.items()
            if model.manifest.reference is not None
        },
    )


def _tried(
    workspace: Workspace, trials: Trials, models: LoadedModels, scorer: Choice
) -> Iterator[tuple[Trial, PropensityModel]]:
    """What is tried out, loaded, or every reason why something can't be."""
    refusals = []
    for trial in trials.trials:
        champion = models.responses.get(trial.model)
        if champion is None or champion.version == trial.version:
            continue
        try:
            model = workspace.registry.load(trial.model, workspace.schema, trial.version, scorer)
        except ModelRefused as refusal:
            reason = f"{refusal.reason}; or end its trial with `arbiter withdraw`"
            refusals.append(ModelRefused(trial.model, trial.version, reason))
        else:
            yield trial, model
    if refusals:
        raise PreloadRefused(tuple(refusals))


def _challenger(
    workspace: Workspace,
    trial: Trial,
    model: PropensityModel,
    champions: LoadedModels,
    shadows: list[PropensityModel],
) -> Challenger:
    decide = champions._replace(responses={**champions.responses, trial.model: model})
    return Challenger(
        model=trial.model,
        version=trial.version,
        parts=tuple((start / LINE, end / LINE) for start, end in trial.parts),
        snapshot=compile_snapshot(workspace, decide, shadows),
    )
