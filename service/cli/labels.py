"""`arbiter labels`: what was shown, with what came of it, as one table."""

import time
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from feature_store.feature import epoch_seconds
from models import labels as joined
from service.cli.console import fail, out
from service.cli.errors import explained
from service.cli.log import log_folder
from service.cli.options import Workspace, period, place_for
from service.settings import Settings
from service.workspace.loading import load_workspace
from service.world.tables import TableWriter

MOMENT = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]


def labels(
    workspace: Workspace,
    file: Annotated[Path, typer.Argument(help="The Parquet file to write.", show_default=False)],
    log: Annotated[
        Path | None, typer.Option(help="Where the log lies.", show_default="log/ in ARBITER_DATA")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(help="Decisions from then on (UTC).", formats=MOMENT, show_default="all"),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="Decisions before then (UTC).", formats=MOMENT, show_default="all")
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(help="Use only what was known before then (UTC).", formats=MOMENT, show_default="now"),
    ] = None,
) -> None:
    """Join what was shown with its outcomes, each within the window of its action."""
    known = seconds(as_of, time.time())
    bounds = (known, *period(seconds(since, -inf), min(seconds(until, inf), known)))
    place_for(file)
    with explained():
        try:
            rules = load_workspace(workspace).label_rules
        except ValueError as error:
            fail(f"{workspace}: {error}")
        place = log or log_folder(Settings())
        with joined.labels(place, rules, *bounds) as found:
            states: dict[str, int] = {joined.FINAL: 0, joined.PROVISIONAL: 0}
            with TableWriter(file, found.rows.schema) as writer:
                for batch in found.rows:
                    writer.write(pa.Table.from_batches([batch]))
                    for state in states:
                        states[state] += batch.column("state").to_pylist().count(state)
        out.print(
            f"{file}: {sum(states.values()):,} rows, {states[joined.FINAL]:,} final and "
            f"{states[joined.PROVISIONAL]:,} provisional, of {found.findings.offers:,} offers"
        )
        for line in found.findings.remarks:
            out.print(f"  {line}")


def seconds(moment: datetime | None, otherwise: float) -> float:
    """A moment that was given in epoch seconds, or what counts where none was."""
    return otherwise if moment is None else epoch_seconds(moment)
