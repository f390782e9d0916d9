"""The log of a workspace as tables of DuckDB, for as long as a report is made.

decision         decision_id, decided_at, customer_id, account_id, channel, experiments, models, empty
offer            the columns of the log's offers; the action's model, whether the offer was seen, clicked and
                 accepted, when (clicked_at, accepted_at), the value that it brought, and whether it is final:
                 its window is over
decided, offers  the same of the report's own period alone; objectives have theirs

Each row is there once. An offer is accepted by an outcome that its action's model counts as positive, or by
an `accept` or `convert` where the action has no model.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from feature_store.logbook.tables import DECISIONS
from models.labels import FINAL, Findings, Join, joined
from service.workspace.loading import Workspace

CLICK = "click"
BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Answers:
    """The tables, of what was decided from `since` on, as it was known at `until`; both in epoch seconds."""

    connection: "duckdb.DuckDBPyConnection"
    since: float
    until: float
    findings: Findings

    def rows(self, query: str, **parameters: object) -> list[tuple[Any, ...]]:
        """What a query finds; `$name` stands for a parameter."""
        found: list[tuple[Any, ...]] = self.connection.execute(query, parameters or None).fetchall()
        return found

    def batches(self, query: str) -> pa.RecordBatchReader:
        """The same as batches of Arrow."""
        reader: pa.RecordBatchReader = self.connection.sql(query).to_arrow_reader(BATCH_ROWS)
        return reader


@contextmanager
def open_answers(workspace: Workspace, log: Path, since: float, until: float) -> Iterator[Answers]:
    """Read a log. Of objectives that began before `since` it reads as much as they need.

    Raises:
        BadLog: there is no log, or one of its files can't be used.
    """
    rules = workspace.acceptance_rules
    longest = max([rules.default_window, *rules.windows.values()])
    earliest = min([since, *(objective.start - longest for objective in workspace.objectives)])
    with joined(log, rules, until, earliest) as join:
        findings = join.match()
        _tables(join, since)
        yield Answers(join.connection, since, until, findings)


def _tables(join: Join, since: float) -> None:
    begins = f"decided_at >= make_timestamptz({round(since * 1e6)})" if since > -inf else "true"
    join.connection.execute(
        f"""
        CREATE TEMP TABLE offer AS
            SELECT a.* EXCLUDE (family, shown, labels, responded, responded_at, response_value, state),
                a.family AS model, a.shown AS seen, k.clicked_at, k.clicked_at IS NOT NULL AS clicked,
                a.responded AS accepted, a.responded_at AS accepted_at, a.response_value AS brought,
                a.state = '{FINAL}' AS final
            FROM answered a LEFT JOIN (
                SELECT decision_id, placement, rank, min(occurred_at) AS clicked_at FROM matched
                WHERE place = 'within' AND outcome = '{CLICK}' GROUP BY ALL
            ) k USING (decision_id, placement, rank);
        CREATE TEMP TABLE decision AS
            SELECT DISTINCT ON (decision_id) decision_id, decided_at, customer_id, account_id, channel,
                experiments, models, empty
            FROM {join.reader.relation(DECISIONS, join.since, join.until)}
            WHERE decided_at < make_timestamptz({round(join.until * 1e6)})
            ORDER BY decision_id, decided_at;
        CREATE TEMP VIEW offers AS SELECT * FROM offer WHERE {begins};
        CREATE TEMP VIEW decided AS SELECT * FROM decision WHERE {begins};
        """
    )
