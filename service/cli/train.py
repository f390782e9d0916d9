"""`arbiter train`: train, calibrate, evaluate, register."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from feature_store.logbook.folder import LogFolder
from models.logged_history import LogSource
from models.metrics import LevelMetrics, Metrics, NumberMetrics
from models.training import Growth
from models.verdict import Verdict
from models.workshop import CustomerReport, TrainingReport, TrainingReports, train_workspace
from service.cli.console import ProgressDisplay, out, table
from service.cli.demo import find_data
from service.cli.errors import explained
from service.cli.options import Seed, Workspace
from service.settings import Settings
from service.workspace.loading import load_workspace

CUSTOMER_HEADER = ("model", "predicts", "rows", "trees", "how well", "seconds")
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
    log: Annotated[
        Path | None,
        typer.Option(
            help="Learn from this folder of the log instead of the tables.", show_default="the tables"
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Make models champions that the gate refuses; it is recorded.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Train the models of a workspace; those that are better than its champions take their places."""
    with explained():
        checked = load_workspace(workspace)
        if log is not None:
            LogFolder(log).require()  # before models of customers are trained, for half a minute
        with ProgressDisplay() as display:
            tables = data
            if data is None and (log is None or checked.derivations.models):
                tables = find_data(workspace, Settings().data, display.update, display.announce)
            reports = train_workspace(
                checked.specs,
                checked.schema,
                checked.action_models,
                tables,
                checked.registry,
                log=None if log is None else LogSource(log, checked.label_rules, time.time()),
                progress=display.update,
                seed=seed,
                growth=Growth(trees, leaves),
                derivations=checked.derivations,
                priors=checked.declared_priors,
                force=force,
            )
        show_reports(reports)


def show_reports(reports: TrainingReports) -> None:
    """The tables of metrics, measured on customers that were not trained on."""
    show_responses(reports.responses)
    for remark in reports.remarks:
        out.print(f"  {remark}")
    if not reports.customers:
        return
    rows = [
        (
            report.model,
            str(report.target.type),
            f"{report.rows:,}",
            str(report.trees),
            _quality(report.metrics),
            f"{report.seconds:.1f}",
        )
        for report in reports.customers
    ]
    table("Models of customers, on customers held out of training", CUSTOMER_HEADER, rows)
    _warn(reports.customers)


def _quality(metrics: Metrics | NumberMetrics | LevelMetrics) -> str:
    match metrics:
        case NumberMetrics():
            return f"rank correlation {metrics.rank_correlation:.4f}, MAE {metrics.mae:,.2f}"
        case LevelMetrics():
            return f"AUC {metrics.auc:.4f}, log loss {metrics.log_loss:.4f}, right {metrics.accuracy:.1%}"
    return f"AUC {metrics.auc:.4f}, log loss {metrics.log_loss:.4f}, ECE {metrics.ece:.4f}"


def show_responses(reports: Sequence[TrainingReport]) -> None:
    """The table of models of responses."""
    if not reports:
        return
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
    table("Models, on the newest decisions, held out of training", HEADER, rows)
    for report in reports:
        if report.verdict is not None:
            _say(report, report.verdict)
    _warn(reports)


def _say(report: TrainingReport, verdict: Verdict) -> None:
    if report.promoted:
        said = (
            "is the champion" if verdict.passed else "is the champion by --force, though the gate refuses it"
        )
    else:
        said = f"is not made the champion, {verdict.champion} stays (--force overrides)"
    out.print(f"  {report.model}: {report.version} {said}: {'; '.join(verdict.reasons)}")


def _warn(reports: Sequence[TrainingReport] | Sequence[CustomerReport]) -> None:
    for report in reports:
        for warning in report.warnings:
            out.print(f"  {report.model}: {warning}")
