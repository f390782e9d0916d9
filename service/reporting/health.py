"""How models do on what they have decided, and which actions say nothing.

Only what was seen and can't be answered any more counts. A model is judged by what it has chosen itself,
among which there is less to tell apart than among all: its AUC lies below the one of its training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.metrics import LEAST_ROWS, Metrics, expected_calibration_error, reliability
from models.plots import Point
from models.registry import Registry
from service.decisioning.catalogue import Action
from service.reporting.answers import Answers
from service.workspace.loading import Workspace

LEAST_LABELS = 10
"""Responses, and others: with fewer an AUC tells more of luck than of the model."""
SURPRISING = 3.0
"""So many responses were promised where none came: chance does that one time in twenty."""


@dataclass(frozen=True)
class ModelHealth:
    """A model on what was shown of its actions.

    versions     that have decided, the oldest first
    shown, came  how many offers, and with a response
    promised     the mean propensity
    auc, ece     None where there is too little to tell, or the model promises an uplift and no response
    at_training  the AUC of the version that serves, on what it was measured on
    reliability  promised and observed shares, bin by bin
    """

    name: str
    versions: tuple[str, ...]
    shown: int
    came: int
    promised: float
    auc: float | None
    ece: float | None
    at_training: float | None
    reliability: tuple[Point, ...]


@dataclass(frozen=True)
class SilentAction:
    """An action of which nothing came: so often it was seen, and so many responses were promised."""

    action: Action
    seen: int
    promised: float

    @property
    def surprising(self) -> bool:
        """Whether that is hardly chance."""
        return self.promised >= SURPRISING


@dataclass(frozen=True)
class Health:
    """The models, and the live actions that nobody was offered, nobody has seen, or nobody has clicked or
    accepted."""

    models: tuple[ModelHealth, ...]
    never_offered: tuple[Action, ...]
    never_seen: tuple[Action, ...]
    never_answered: tuple[SilentAction, ...]


def health(answers: Answers, workspace: Workspace) -> Health:
    """Of the report's period."""
    live = [action for action in workspace.catalogue.actions if _is_live(action, answers)]
    query = (
        "SELECT action, count(*) FILTER (WHERE seen), count(*) FILTER (WHERE clicked OR accepted), "
        "coalesce(sum(propensity) FILTER (WHERE seen AND final), 0) FROM offers GROUP BY 1"
    )
    found = {name: figures for name, *figures in answers.rows(query)}
    seen = [(action, *found[action.name]) for action in live if action.name in found]
    silent = [
        SilentAction(action, shown, promised) for action, shown, came, promised in seen if shown and not came
    ]
    return Health(
        models=tuple(_models(answers, workspace)),
        never_offered=tuple(action for action in live if action.name not in found),
        never_seen=tuple(action for action, shown, *_ in seen if not shown),
        never_answered=tuple(sorted(silent, key=lambda one: -one.promised)),
    )


def _is_live(action: Action, answers: Answers) -> bool:
    return action.active and action.start < answers.until and action.end > answers.since


def _models(answers: Answers, workspace: Workspace) -> list[ModelHealth]:
    versions = _versions(answers)
    names = sorted(set(workspace.action_models.values()))
    return [_model(answers, workspace, name, versions.get(name, ())) for name in names]


def _versions(answers: Answers) -> Mapping[str, Sequence[str]]:
    """By model the versions that have decided."""
    query = """
        SELECT entry.key, list_sort(list(DISTINCT entry.value))
        FROM (SELECT unnest(map_entries(models)) AS entry FROM decided) GROUP BY 1
        """
    return dict(answers.rows(query))


def _model(answers: Answers, workspace: Workspace, name: str, versions: Sequence[str]) -> ModelHealth:
    columns = answers.connection.execute(
        "SELECT propensity, accepted::DOUBLE AS accepted FROM offers "
        "WHERE model = $name AND seen AND final AND propensity IS NOT NULL",
        {"name": name},
    ).fetchnumpy()
    promised, came = np.asarray(columns["propensity"]), np.asarray(columns["accepted"])
    of_responses = workspace.specs[name].control is None
    enough = of_responses and len(came) >= LEAST_ROWS
    return ModelHealth(
        name=name,
        versions=tuple(versions),
        shown=len(came),
        came=int(came.sum()),
        promised=float(promised.mean()) if len(came) else 0.0,
        auc=_auc(came, promised) if of_responses else None,
        ece=expected_calibration_error(came, promised) if enough else None,
        at_training=_at_training(workspace.registry, name),
        reliability=tuple(reliability(came, promised)) if enough else (),
    )


def _auc(came: NDArray[np.float64], promised: NDArray[np.float64]) -> float | None:
    if min(came.sum(), len(came) - came.sum()) < LEAST_LABELS:
        return None
    return Metrics.measure(came, np.clip(promised, 0.0, 1.0)).auc


def _at_training(registry: Registry, name: str) -> float | None:
    version = registry.serving(name)
    metrics = registry.manifest(name, version).metrics if version else None
    return metrics.auc if isinstance(metrics, Metrics) else None
