"""`arbiter models`, `arbiter promote`, `arbiter rollback`: which versions there are, and which one serves."""

from typing import Annotated

import typer

from models.metrics import LevelMetrics, Metrics, NumberMetrics
from models.registry import Registry
from service.cli.console import out, table
from service.cli.errors import explained
from service.cli.options import Workspace
from service.workspace import champions
from service.workspace.loading import load_workspace

HEADER = ("model", "version", "serves", "since", "how", "AUC", "log loss", "ECE")
LIVE = "a running service takes it with POST /v1/admin/reload"

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
    version: Annotated[str | None, typer.Argument(help="The version.", show_default="the newest one")] = None,
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


def _rows(registry: Registry, name: str) -> list[tuple[str, ...]]:
    promotions = {promotion.version: promotion for promotion in registry.promotions(name)}
    champion = registry.serving(name)
    rows = []
    for version in reversed(registry.versions(name)):
        metrics = registry.manifest(name, version).metrics
        promotion = promotions.get(version)
        rows.append(
            (
                name,
                version,
                "champion" if version == champion else "",
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
