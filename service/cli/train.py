"""`arbiter train`: train, calibrate, evaluate, register."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from models.training import Growth
from models.workshop import TrainingReport, train_workspace
from service.cli.console import ProgressDisplay, out, table
from service.cli.demo import find_data
from service.cli.errors import explained
from service.cli.options import Seed, Workspace
from service.settings import Settings
from service.workspace.loading import load_workspace

HEADER = ("model", "rows", "positives", "trees", "AUC", "AP", "log loss", "ECE raw", "ECE", "seconds")


def train(
    workspace: Workspace,
    data: Annotated[
        Path | None,
        typer.Option(
            help="A folder with customers.parquet, decisions.parquet and outcomes.parquet.",
            show_default="those of the workspace, or its demo data",
        ),
    ] = None,
    trees: Annotated[
        int | None,
        typer.Option(
            help="Grow exactly so many trees.", min=1, max=10_000, show_default="as many as help, up to 300"
        ),
    ] = None,
    leaves: Annotated[int, typer.Option(help="Leaves of a tree at most.", min=2, max=1_024)] = Growth.leaves,
    seed: Seed = 0,
) -> None:
    """Train the models of a workspace and make them its champions."""
    with explained():
        checked = load_workspace(workspace)
        with ProgressDisplay() as display:
            tables = data or find_data(workspace, Settings().data, display.update, display.announce)
            reports = train_workspace(
                checked.specs,
                checked.schema,
                checked.action_models,
                tables,
                checked.registry,
                progress=display.update,
                seed=seed,
                growth=Growth(trees, leaves),
            )
        show_reports(reports)


def show_reports(reports: Sequence[TrainingReport]) -> None:
    """The table of metrics, measured on customers that were not trained on."""
    rows = [
        (
            report.model,
            f"{report.rows:,}",
            f"{report.positives:,}",
            str(report.trees),
            f"{report.auc:.4f}",
            f"{report.average_precision:.4f}",
            f"{report.log_loss:.4f}",
            f"{report.ece_before:.4f}",
            f"{report.ece_after:.4f}",
            f"{report.seconds:.1f}",
        )
        for report in reports
    ]
    table("Models, on customers held out of training", HEADER, rows)
    for report in reports:
        for warning in report.warnings:
            out.print(f"  {report.model}: {warning}")
