"""The workspace of a simulation: a copy that begins without models of responses, and with a newcomer."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from service.simulation.errors import SimulationError

KEPT_OUT = ("experiments.yaml",)
"""Control groups and challengers of the workspace: here everybody is in one of two lanes."""
LEVELS = ("groups", "actions", "treatments")
OF_MODELS = ("model", "reasons")
"""What an entry says that only a model can follow."""


class Draft:
    """A copy of a workspace. Outcomes count for `window`, where the workspace does not say for how long."""

    def __init__(self, source: Path, folder: Path, *, newcomer: str, joins: float, window: str) -> None:
        """`newcomer` is an action that starts at `joins`, in epoch seconds.

        Raises:
            SimulationError: there is no such action, or one says not what its prior propensity is.
        """
        self.folder = folder
        (folder / "actions").mkdir(parents=True)
        for path in source.glob("*.yaml"):
            if path.name not in KEPT_OUT:
                shutil.copy(path, folder)
        self._documents: dict[str, Any] = {}
        found = False
        for path in sorted((source / "actions").glob("*.yaml")):
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
            document.setdefault("outcome_window", window)
            for name, action in _actions(document):
                if "propensity" not in action:
                    raise SimulationError(
                        f"{path}: '{name}' has no `propensity`: a simulation begins without models, and the "
                        "prior is all that it knows; say what share of customers you expect to respond"
                    )
                if name == newcomer:
                    found = True
                    action.pop("active", None)
                    action["start"] = datetime.fromtimestamp(joins, UTC)
            self._documents[path.name] = document
        if not found:
            raise SimulationError(f"{source / 'actions'}: there is no action '{newcomer}' to hold back")
        self._write(_without_models)

    def declare_models(self) -> None:
        """Have actions use the models that the workspace gives them."""
        self._write(lambda document: document)

    def _write(self, change: Any) -> None:
        for name, document in self._documents.items():
            text = yaml.safe_dump(change(document), allow_unicode=True, sort_keys=False)
            (self.folder / "actions" / name).write_text(text, encoding="utf-8")


def _actions(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for group in document["groups"].values():
        yield from group["actions"].items()


def _without_models(entry: dict[str, Any]) -> dict[str, Any]:
    """An issue, a group, an action or a treatment with all that is below it, without what needs models."""
    kept = {name: value for name, value in entry.items() if name not in OF_MODELS}
    for level in LEVELS:
        if level in kept:
            kept[level] = {name: _without_models(below) for name, below in kept[level].items()}
    return kept
