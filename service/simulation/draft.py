"""The workspace of a simulation: a copy whose models begin untrained, and with a newcomer."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from service.simulation.errors import SimulationError

KEPT_OUT = ("experiments.yaml",)
"""Control groups and challengers of the workspace: here everybody is in one of two lanes."""
MODELS = "models.yaml"


def write_draft(source: Path, folder: Path, *, newcomer: str, joins: float) -> None:
    """Copy a workspace, without models. Those of responses start untrained, `newcomer` is an action that
    starts at `joins`, in epoch seconds, and reasons are left out: they are the words of models.

    Raises:
        SimulationError: there is no such action, or one says not what its prior propensity is.
    """
    documents = {path.name: _read(path) for path in sorted((source / "actions").glob("*.yaml"))}
    actions = {
        name: (source / "actions" / file, action)
        for file, document in documents.items()
        for group in document["groups"].values()
        for name, action in group["actions"].items()
    }
    for name, (path, action) in actions.items():
        _check_prior(path, name, action)
        for part in (action, *action["treatments"].values()):
            part.pop("reasons", None)
    if newcomer not in actions:
        raise SimulationError(f"{source / 'actions'}: there is no action '{newcomer}' to hold back")
    _, late = actions[newcomer]
    late.pop("active", None)
    late["start"] = datetime.fromtimestamp(joins, UTC)
    (folder / "actions").mkdir(parents=True)
    for path in source.glob("*.yaml"):
        if path.name not in KEPT_OUT:
            shutil.copy(path, folder)
    for file, document in documents.items():
        _write(folder / "actions" / file, document)
    models = _read(folder / MODELS)
    for model in models["models"].values():
        if "positive" in model and "control" not in model:
            model["starts_untrained"] = True
    _write(folder / MODELS, models)


def write_that_stays(draft: Path, folder: Path) -> None:
    """Copy a draft whose propensities stay as they are, whatever comes of them."""
    shutil.copytree(draft, folder)
    models = _read(folder / MODELS)
    for model in models["models"].values():
        model.pop("adapts", None)
    _write(folder / MODELS, models)


def _check_prior(path: Path, name: str, action: dict[str, Any]) -> None:
    if "propensity" not in action:
        raise SimulationError(
            f"{path}: '{name}' has no `propensity`: a simulation begins without models, and that is all "
            "that it knows; say what share of customers you expect to respond: `propensity: 0.02`"
        )


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _write(path: Path, document: Any) -> None:
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")
