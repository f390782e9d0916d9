"""`arbiter models` and what changes them: which version serves, and which are tried out beside it."""

from fractions import Fraction
from typing import Annotated

import typer

from models.metrics import LevelMetrics, Metrics, NumberMetrics
from models.registry import Registry
from service.cli.console import fail, out, table
from service.cli.errors import explained
from service.cli.options import Workspace
from service.workspace import champions, trials
from service.workspace.loading import load_workspace
from service.workspace.shapes.experiments import share_of

HEADER = ("model", "version", "serves", "since", "how", "AUC", "log loss", "ECE")
LIVE = "a running service takes it with POST /v1/admin/reload"

Version = Annotated[str | None, typer.Argument(help="The version.", show_default="the newest one")]
ModelName = Annotated[str, typer.Argument(help="The model's name in models.yaml.", show_default=False)]


def models(workspace: Workspace) -> None:
    """List the versions of all models, the newest first, and which one of each serves."""
    with explained():
        registry = load_workspace(workspace).registry
        rows = [row for name in registry.names() for row in _rows(registry, name)]
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
            wanted = share_of(share)
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


def _serves(registry: Registry, name: str) -> dict[str, str]:
    """What each version is for, of those that are for anything."""
    roles = {
        version: f"challenger {100 * trial.share:g}%" if trial.parts else "shadow"
        for version, trial in registry.trials().of(name).items()
    }
    champion = registry.serving(name)
    return roles if champion is None else {**roles, champion: "champion"}


def _rows(registry: Registry, name: str) -> list[tuple[str, ...]]:
    promotions = {promotion.version: promotion for promotion in registry.promotions(name)}
    serves = _serves(registry, name)
    rows = []
    for version in reversed(registry.versions(name)):
        metrics = registry.manifest(name, version).metrics
        promotion = promotions.get(version)
        rows.append(
            (
                name,
                version,
                serves.get(version, ""),
                f"{promotion.at:%Y-%m-%d %H:%M}" if promotion else "",
                promotion.how.value if promotion else "",
                *_measured(metrics),
            )
        )
    return rows


def _measured(metrics: Metrics | NumberMetrics | LevelMetrics) -> tuple[str, ...]:
    """AUC, log loss and ECE, as far as that kind of model has them."""
    names = ("auc", "log_loss", "ece")
    return tuple(f"{getattr(metrics, name):.4f}" if hasattr(metrics, name) else "" for name in names)
