"""`arbiter models` and what changes them: which version serves, and which are tried out beside it."""

from fractions import Fraction
from typing import Annotated

import typer

from models.listing import ListedVersion, Role, listed
from service.cli.console import fail, out, table
from service.cli.errors import explained
from service.cli.options import Workspace
from service.workspace import champions, trials
from service.workspace.loading import load_workspace

HEADER = ("model", "version", "serves", "since", "how", "AUC", "log loss", "ECE")
LIVE = "a running service takes it with POST /v1/admin/reload"

Version = Annotated[str | None, typer.Argument(help="The version.", show_default="the newest one")]
ModelName = Annotated[str, typer.Argument(help="The model's name in models.yaml.", show_default=False)]


def models(workspace: Workspace) -> None:
    """List the versions of all models, the newest first, which one of each serves, and what is tried out."""
    with explained():
        rows = [_row(found) for found in listed(load_workspace(workspace).registry)]
        table("Models, measured on what they were not trained on", HEADER, rows)


def promote(
    workspace: Workspace,
    name: ModelName,
    version: Version = None,
) -> None:
    """Make a version of a model the champion, after all the checks of serving."""
    with explained():
        chosen = champions.promote(load_workspace(workspace), name, version)
        out.print(f"{name}: {chosen} is the champion; {LIVE}")


def rollback(workspace: Workspace, name: ModelName) -> None:
    """Make the version that served before the champion of a model again; doing it twice goes further back."""
    with explained():
        chosen = champions.roll_back(load_workspace(workspace), name)
        out.print(f"{name}: {chosen} is the champion again; {LIVE}")


def shadow(workspace: Workspace, name: ModelName, version: Version = None) -> None:
    """Have a version of a model score beside the champion and be logged, without deciding anything."""
    with explained():
        trial = trials.try_out(load_workspace(workspace), name, version, Fraction(0))
        out.print(f"{name}: {trial.version} is a shadow; {LIVE}")


def challenge(
    workspace: Workspace,
    name: ModelName,
    share: Annotated[str, typer.Option(help="Of the customers, such as 10%.", show_default=False)],
    version: Version = None,
) -> None:
    """Have a version of a model decide for a share of the customers, the same ones in every channel."""
    with explained():
        chosen = load_workspace(workspace)
        try:
            wanted = trials.challenging(share)
        except ValueError as error:
            fail(f"--share: {error}")
        trial = trials.try_out(chosen, name, version, wanted)
        share = f"{100 * trial.share:g}%"
        out.print(f"{name}: {trial.version} decides for {share} of the customers; {LIVE}")


def withdraw(
    workspace: Workspace,
    name: ModelName,
    version: Annotated[
        str | None, typer.Argument(help="The version.", show_default="the only one on trial")
    ] = None,
) -> None:
    """End the trial of a version of a model, be it a shadow or a challenger."""
    with explained():
        chosen = trials.withdraw(load_workspace(workspace), name, version)
        out.print(f"{name}: {chosen} is not on trial any more; {LIVE}")


def _row(found: ListedVersion) -> tuple[str, ...]:
    serves = found.role.value if found.role else ""
    if found.role is Role.CHALLENGER:
        serves += f" {100 * found.share:g}%"
    return (
        found.model,
        found.version,
        serves,
        f"{found.since:%Y-%m-%d %H:%M}" if found.since else "",
        found.how.value if found.how else "",
        *("" if value is None else f"{value:.4f}" for value in (found.auc, found.log_loss, found.ece)),
    )
