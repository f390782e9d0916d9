"""The workspace of a simulation: a copy that begins without models of responses, and with a newcomer."""

import shutil
from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from service.simulation.errors import SimulationError

KEPT_OUT = ("experiments.yaml",)
"""Control groups and challengers of the workspace: here everybody is in one of two lanes."""


class Draft:
    """A copy of a workspace in which no action has a model until it is declared to. Reasons are left out:
    they are the words of models."""

    def __init__(self, source: Path, folder: Path, *, newcomer: str, joins: float) -> None:
        """`newcomer` is an action that starts at `joins`, in epoch seconds.

        Raises:
            SimulationError: there is no such action, or one says not what its prior propensity is.
        """
        self.folder = folder
        self._documents = {
            path.name: yaml.safe_load(path.read_text(encoding="utf-8"))
            for path in sorted((source / "actions").glob("*.yaml"))
        }
        found = False
        for file, document in self._documents.items():
            for name, action in _actions(document):
                if "propensity" not in action:
                    raise SimulationError(
                        f"{source / 'actions' / file}: '{name}' has no `propensity`: a simulation begins "
                        "without models, and that prior is all that it knows; say what share of customers "
                        "you expect to respond, for example `propensity: 0.02`"
                    )
                if name == newcomer:
                    found = True
                    action.pop("active", None)
                    action["start"] = datetime.fromtimestamp(joins, UTC)
        if not found:
            raise SimulationError(f"{source / 'actions'}: there is no action '{newcomer}' to hold back")
        (folder / "actions").mkdir(parents=True)
        for path in source.glob("*.yaml"):
            if path.name not in KEPT_OUT:
                shutil.copy(path, folder)
        self.declare({}, ())

    def declare(self, models: Mapping[str, str], ready: Collection[str]) -> None:
        """Have actions use those of their `models`, by action, that are `ready`."""
        for file, document in self._documents.items():
            declared = deepcopy(document)
            for level in (declared, *declared["groups"].values()):
                level.pop("model", None)
            for name, action in _actions(declared):
                for part in (action, *action["treatments"].values()):
                    part.pop("reasons", None)
                action.pop("model", None)
                if models.get(name) in ready:
                    action["model"] = models[name]
            text = yaml.safe_dump(declared, allow_unicode=True, sort_keys=False)
            (self.folder / "actions" / file).write_text(text, encoding="utf-8")


def _actions(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for group in document["groups"].values():
        yield from group["actions"].items()
