"""Labels: what was offered and shown, joined with what came of it within the action's own window.

One row for each offer that was shown: in a channel that reports impressions only what has one, in the others
all that was offered. The join is made afresh each time, so a late outcome corrects what was said before. It
uses nothing that was not known at the moment that it is asked for, and the features of the decision as they
were then.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf, isinf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import duckdb
import pyarrow as pa

from feature_store.logbook.reading import open_log
from feature_store.logbook.tables import DECISIONS, FEATURES, OFFERS, OUTCOMES, LogTable
from models.label_rules import IMPRESSION, LabelRules

CLOCK_SKEW = 300.0
"""Seconds by which an outcome may seem to come before its decision: clocks differ."""
MEMORY = "1GB"
"""Beyond it, DuckDB uses the disk."""
BATCH_ROWS = 65_536
FINAL, PROVISIONAL = "final", "provisional"


@dataclass(frozen=True)
class Findings:
    """What was counted on the way.

    offers, offers_twice    how many there are, shown or not, and how many rows said the same again
    outcomes                how many belong to them, each counted once: of these came
    before_decision         so many before their decision, by more than clocks may differ
    after_window            so many when the window was over; both do not count
    outcomes_twice          rows that said the same again
    without_offer           outcomes of offers that are not among these
    without_decision        offers whose decision is not there, so that nobody knows what it was made on
    undeclared_impressions  channels with impressions that are not said to report any
    """

    offers: int
    offers_twice: int
    outcomes: int
    before_decision: int
    after_window: int
    outcomes_twice: int
    without_offer: int
    without_decision: int
    undeclared_impressions: tuple[str, ...]

    @property
    def oddities(self) -> tuple[str, ...]:
        """What somebody should look at, whatever counts as shown."""
        counted = {
            f"outcomes lie more than {CLOCK_SKEW:g} s before their decision, and do not count: a clock is "
            "wrong": self.before_decision,
            "outcomes came after the window of their action, and do not count": self.after_window,
            "outcomes are of offers that are not among these": self.without_offer,
            "offers are of decisions that are not in the log: their features are missing": (
                self.without_decision
            ),
            "offers were there twice, and count once": self.offers_twice,
            "outcomes were there twice, and count once": self.outcomes_twice,
        }
        return tuple(f"{number:,} {text}" for text, number in counted.items() if number)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What somebody should look at."""
        undeclared = (
            f"channel '{channel}' reports impressions, and channels.yaml does not say so: all that it was "
            "offered counts as shown; write `reports_impressions: true` if it reports all of them"
            for channel in self.undeclared_impressions
        )
        return (*self.oddities, *undeclared)


@dataclass(frozen=True)
class Labels:
    """The rows, in the order of their decisions, and what was found on the way.

    Columns: those of the log's `offers`, then

    labels          struct  by family whether one of its outcomes came
    responded       bool    whether one of the action's own family did; null if it has none
    response_value  float64 what the response was worth: as reported, summed up, or else the offer's value; 0
                            without a response
    state           text    `final` once the window is over, before that `provisional`
    window_ends_at  time
    features        struct  what the decision was made on, by name
    """

    rows: pa.RecordBatchReader
    findings: Findings


class Relations(Protocol):
    """Where the tables of the log are to be had."""

    def relation(self, table: LogTable, since: float = -inf, until: float = inf) -> str:
        """SQL of a relation with all columns of a table and, at least, its rows between two moments, in epoch
        seconds. A row may be there twice."""


@contextmanager
def labels(
    log: Path, rules: LabelRules, as_of: float, since: float = -inf, until: float = inf
) -> Iterator[Labels]:
    """The labels of what was decided between two moments, as they were known `as_of` a third; all in epoch
    seconds, the ends exclusive. They can be read for as long as the context lasts.

    Raises:
        BadLog: there is no log, or one of its files can't be used.
    """
    with joined(log, rules, as_of, since, until) as join:
        findings = join.match()
        yield Labels(join.rows(), findings)


@contextmanager
def joined(
    log: Path, rules: LabelRules, as_of: float, since: float = -inf, until: float = inf
) -> Iterator["Join"]:
    """The join itself, for who counts offers and not rows with features.

    Raises:
        BadLog: there is no log, or one of its files can't be used.
    """
    with open_log(log) as reader, connected() as connection:
        yield Join(connection, reader, rules, as_of, since, min(until, as_of))


@contextmanager
def connected() -> Iterator["duckdb.DuckDBPyConnection"]:
    """A database of its own, as the join needs it, for as long as the context lasts."""
    with TemporaryDirectory() as spill, duckdb.connect() as connection:
        connection.execute(f"SET memory_limit = '{MEMORY}'; SET temp_directory = '{spill}'")
        connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
        yield connection


@dataclass(frozen=True)
class Join:
    """The join in two steps: offers with their outcomes, which are narrow, and then the rows with features,
    which are streamed."""

    connection: "duckdb.DuckDBPyConnection"
    reader: Relations
    rules: LabelRules
    as_of: float
    since: float
    until: float

    def match(self) -> Findings:
        """Make the tables `offered`, with a row for each offer, and `matched`, with one for each outcome of
        them, of which those `within` the window count; and the view `answered`: each offer, whether it was
        `shown`, and what came of it."""
        longest = max([self.rules.default_window, *self.rules.windows.values()])
        self.connection.register("declared", self._declared())
        # offers are listed first: a decision is in its file before what it has offered
        offers = self.reader.relation(OFFERS, self.since, self.until)
        outcomes = self.reader.relation(OUTCOMES, self.since - longest, self.until + longest)
        otherwise = "NULL" if self.rules.otherwise is None else _text(self.rules.otherwise)
        self.connection.execute(
            f"""
            CREATE TEMP VIEW all_offers AS SELECT * FROM {offers}
                WHERE decided_at >= {_moment(self.since)} AND decided_at < {_moment(self.until)};
            CREATE TEMP VIEW all_outcomes AS SELECT * FROM {outcomes}
                WHERE received_at < {_moment(self.as_of)};
            CREATE TEMP TABLE offered AS
                SELECT o.*, coalesce(d.family, {otherwise}) AS family, o.decided_at
                    + to_microseconds((1e6 * coalesce(d.seconds, {self.rules.default_window}))::BIGINT)
                    AS window_ends_at
                FROM (SELECT DISTINCT ON (decision_id, placement, rank) * FROM all_offers
                      ORDER BY decision_id, placement, rank, action) o
                LEFT JOIN declared d USING (action);
            CREATE TEMP TABLE happened AS
                SELECT DISTINCT ON (outcome_id) outcome_id, decision_id, placement, action, outcome, value,
                    occurred_at
                FROM all_outcomes ORDER BY outcome_id, received_at, occurred_at;
            CREATE TEMP TABLE matched AS
                SELECT o.decision_id, o.placement, o.rank, o.family, h.outcome, h.value, h.occurred_at,
                    CASE WHEN h.occurred_at < o.decided_at - to_microseconds({int(CLOCK_SKEW * 1e6)})
                             THEN 'before'
                         WHEN h.occurred_at >= o.window_ends_at THEN 'after'
                         ELSE 'within' END AS place
                FROM happened h JOIN offered o USING (decision_id, placement, action);
            """
        )
        self.connection.execute(self._answered())
        return self._findings()

    def rows(self) -> pa.RecordBatchReader:
        """The rows, in the order of their decisions."""
        features = self._features(self.reader.relation(DECISIONS, self.since, self.until))
        rows = self.connection.sql(
            f"""
            SELECT a.* EXCLUDE (family, shown, responded_at, window_ends_at),
                a.window_ends_at{", d.features" if features else ""}
            FROM answered a
            {f"LEFT JOIN ({features}) d USING (decision_id)" if features else ""}
            WHERE a.shown
            ORDER BY a.decided_at, a.decision_id, a.placement, a.rank
            """
        )
        reader: pa.RecordBatchReader = rows.to_arrow_reader(BATCH_ROWS)
        return reader

    def _answered(self) -> str:
        """SQL that makes the view `answered`."""
        families = self.rules.families
        own = " OR ".join(
            f"(family = {_text(name)} AND outcome IN {_texts(positive)})"
            for name, positive in families.items()
        )
        came = ", ".join(
            f"{_name(name)} := bool_or(outcome IN {_texts(positive)})" for name, positive in families.items()
        )
        none = ", ".join(f"{_name(name)} := false" for name in families)
        silent = f"NOT coalesce(o.channel IN {_texts(self.rules.impressions)}, false)"
        return f"""
            CREATE TEMP VIEW answered AS
            WITH came AS (
                SELECT decision_id, placement, rank,
                    bool_or(outcome = {_text(IMPRESSION)}) AS shown,
                    struct_pack({came}) AS labels,
                    coalesce(bool_or({own}), false) AS responded,
                    min(occurred_at) FILTER (WHERE {own}) AS responded_at,
                    sum(value) FILTER (WHERE {own}) AS reported
                FROM matched WHERE place = 'within' GROUP BY ALL
            )
            SELECT o.*,
                coalesce(c.shown, false) OR {silent} AS shown,
                coalesce(c.labels, struct_pack({none})) AS labels,
                CASE WHEN o.family IS NOT NULL THEN coalesce(c.responded, false) END AS responded,
                c.responded_at,
                CASE WHEN coalesce(c.responded, false) THEN coalesce(c.reported, o.value) ELSE 0 END
                    AS response_value,
                CASE WHEN o.window_ends_at <= {_moment(self.as_of)} THEN {_text(FINAL)}
                     ELSE {_text(PROVISIONAL)} END AS state
            FROM offered o
            LEFT JOIN came c USING (decision_id, placement, rank)
            """

    def _features(self, decisions: str) -> str:
        """SQL of the features of each decision, once; empty where there are none."""
        columns = self.connection.execute(f"DESCRIBE SELECT * FROM {decisions}").fetchall()
        if FEATURES not in {name for name, *_ in columns}:
            return ""
        twice = f"SELECT count(*) > count(DISTINCT decision_id) FROM {decisions}"
        if self._number(twice):
            return (
                f"SELECT DISTINCT ON (decision_id) decision_id, {FEATURES} FROM {decisions} "
                "ORDER BY decision_id, decided_at"
            )
        return f"SELECT decision_id, {FEATURES} FROM {decisions}"

    def _declared(self) -> pa.Table:
        """By action, its family and window, null where it has none of its own."""
        names = sorted({*self.rules.actions, *self.rules.windows})
        return pa.table(
            {
                "action": pa.array(names, pa.string()),
                "family": pa.array([self.rules.actions.get(name) for name in names], pa.string()),
                "seconds": pa.array([self.rules.windows.get(name) for name in names], pa.float64()),
            }
        )

    def _findings(self) -> Findings:
        decisions = self.reader.relation(DECISIONS, self.since, self.until)
        offers = self._number("SELECT count(*) FROM offered")
        outcomes = self._number("SELECT count(*) FROM happened")
        matched = self._number("SELECT count(*) FROM matched")
        channels = self.connection.execute(
            "SELECT DISTINCT channel FROM offered JOIN matched USING (decision_id, placement, rank) "
            "WHERE outcome = $outcome ORDER BY channel",
            {"outcome": IMPRESSION},
        )
        undeclared = [channel for (channel,) in channels.fetchall() if channel not in self.rules.impressions]
        return Findings(
            offers=offers,
            offers_twice=self._number("SELECT count(*) FROM all_offers") - offers,
            outcomes=matched,
            outcomes_twice=self._number("SELECT count(*) FROM all_outcomes") - outcomes,
            before_decision=self._number("SELECT count(*) FROM matched WHERE place = 'before'"),
            after_window=self._number("SELECT count(*) FROM matched WHERE place = 'after'"),
            without_offer=outcomes - matched,
            without_decision=self._number(
                f"SELECT count(*) FROM offered ANTI JOIN {decisions} USING (decision_id)"
            ),
            undeclared_impressions=tuple(undeclared),
        )

    def _number(self, query: str) -> int:
        ((found,),) = self.connection.execute(query).fetchall()
        return int(found)


def _moment(seconds: float) -> str:
    """SQL of a moment in epoch seconds."""
    if isinf(seconds):
        return f"'{'-' if seconds < 0 else ''}infinity'::TIMESTAMPTZ"
    return f"make_timestamptz({round(seconds * 1e6)})"


def _text(value: str) -> str:
    """SQL of a text."""
    return "'" + value.replace("'", "''") + "'"


def _texts(values: Collection[str]) -> str:
    """SQL of a list of texts."""
    return f"({', '.join(map(_text, values))})" if values else "(NULL)"


def _name(value: str) -> str:
    """SQL of a name."""
    return '"' + value.replace('"', '""') + '"'
