"""`arbiter`: the command line."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from service.cli.interrupts import stopped_at_once
from service.garbage import kept

with stopped_at_once():
    import typer
    from typer.core import TyperGroup
    from typer.main import get_command

MODULES = {
    "run": "run",
    "serve": "serve",
    "explain": "explain",
    "world": "world",
    "load": "load",
    "train": "train",
    "import-model": "import_model",
    "models": "models",
    "promote": "models",
    "rollback": "models",
    "shadow": "models",
    "challenge": "models",
    "withdraw": "models",
    "validate": "validate",
    "diff": "diff",
    "evaluate": "evaluate",
    "simulate": "simulate",
    "replay": "replay",
    "batch": "batch",
    "log": "log",
    "labels": "labels",
    "report": "report",
    "bench": "bench",
}
"""The commands, in the order in which they are listed, each with its module in `service.cli`."""

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "bench": {
        "add_help_option": False,
        "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True},
    }
}
"""What is special about a command."""


@cache
def _module(name: str) -> ModuleType:
    """A module of `service.cli`."""
    with stopped_at_once(), kept():
        return import_module(f"service.cli.{name}")


class Imported(Mapping[str, Any]):
    """The commands by their names, each imported when it is asked for: all together take seconds to load."""

    def __getitem__(self, name: str) -> Any:
        function: Callable[..., None] = getattr(_module(MODULES[name]), name.replace("-", "_"))
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(name, **SETTINGS.get(name, {}))(function)
        return get_command(alone)

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


class Commands(TyperGroup):
    """A group of commands that are imported one by one."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = Imported()  # type: ignore[assignment]  # nothing is added to them


app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def arbiter() -> None:
    """Real-time next best actions: one brain for marketing, sales and service."""


def main() -> None:
    """Entry point of the `arbiter` command."""
    app(prog_name="arbiter")


if __name__ == "__main__":
    main()
