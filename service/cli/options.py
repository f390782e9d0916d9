"""Arguments and options that several commands share, and what they say of themselves."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated

import typer

from feature_store.documents import did_you_mean
from service.cli.console import fail

Workspace = Annotated[Path, typer.Argument(help="A workspace folder.", show_default=False)]
WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace", help="A workspace folder.", show_default="ARBITER_WORKSPACE, or examples/telco"
    ),
]
RedisUrl = Annotated[
    str | None,
    typer.Option(
        "--redis-url",
        help="The store: redis://, rediss://, unix:// or redis-cluster://host:port,... "
        "[env: ARBITER_REDIS_URL]",
        show_default=False,
    ),
]
Host = Annotated[
    str | None, typer.Option("--host", help="The address to listen on.", show_default="127.0.0.1")
]
Port = Annotated[int | None, typer.Option("--port", help="The port to listen on.", show_default="8080")]
Workers = Annotated[int | None, typer.Option("--workers", help="How many processes serve.", show_default="1")]
Seed = Annotated[
    int, typer.Option("--seed", min=0, max=2**31 - 1, help="The same seed gives the same result.")
]


def context_values(given: Sequence[str], known: Collection[str]) -> dict[str, str]:
    """The values of context features that were given as KEY=VALUE; ends the command where one is no such
    thing."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            fail(f"--context {text}: write KEY=VALUE")
        if name not in known:
            fail(f"--context {text}: there is no context feature '{name}'{did_you_mean(name, known)}")
        found[name] = value
    return found


def place_for(file: Path) -> Path:
    """A file that is to be written; ends the command where there is no place for it, before any work."""
    if not file.parent.is_dir():
        fail(f"{file}: there is no folder {file.parent}; make it first")
    if file.is_dir():
        fail(f"{file}: is a folder; name a file")
    return file


def period(since: float, until: float) -> tuple[float, float]:
    """A stretch of time in epoch seconds; ends the command where there is nothing in it."""
    if since >= until:
        fail("--since is not before --until, or not before now: there is nothing in between")
    return since, until
