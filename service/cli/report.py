"""`arbiter report`: what came of it all, as a page for people and as tables for pdstools."""

import time
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Annotated

import typer

from service.cli.console import out
from service.cli.errors import explained
from service.cli.labels import MOMENT, seconds
from service.cli.log import log_folder
from service.cli.options import Workspace, period, place_for
from service.reporting.answers import open_answers
from service.reporting.page import page
from service.reporting.pdstools import export
from service.reporting.report import report as found_in
from service.settings import Settings
from service.workspace.loading import load_workspace


def report(
    workspace: Workspace,
    log: Annotated[
        Path | None, typer.Option(help="Where the log lies.", show_default="log/ in ARBITER_DATA")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(help="Decisions from then on (UTC).", formats=MOMENT, show_default="all"),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            help="Decisions before then (UTC), and only what was known by then.",
            formats=MOMENT,
            show_default="now",
        ),
    ] = None,
    file: Annotated[Path, typer.Option("--out", help="The HTML file to write.")] = Path("report.html"),
    pdstools: Annotated[
        Path | None,
        typer.Option(
            help="A folder for model snapshots and the decision log in the columns of Pega's pdstools.",
            show_default="none",
        ),
    ] = None,
) -> None:
    """Write a page with the funnel, experiments, objectives and model health, from the log."""
    begins, ends = period(seconds(since, -inf), min(seconds(until, inf), time.time()))
    place_for(file)
    with explained():
        checked = load_workspace(workspace)
        with open_answers(checked, log or log_folder(Settings()), begins, ends) as answers:
            found = found_in(answers, checked, answers.findings.remarks)
            draft = file.with_name(f"{file.name}.partial")
            draft.write_text(page(found), encoding="utf-8")
            draft.replace(file)
            counts = found.funnel.counts
            numbers = f"{counts.seen:,} offers seen, {counts.accepted:,} accepted"
            out.print(f"{file}: {found.funnel.decisions:,} decisions, {numbers}")
            if pdstools is not None:
                for path, rows in export(answers, checked, pdstools).items():
                    out.print(f"{path}: {rows:,} rows")
