"""The tables of the log: their columns, and what identifies a row.

A file says in its metadata of which version its columns are, and a reader takes the columns by their names:
what a version adds is null in the files before it. Only a column that changes its meaning or is gone makes a
new version necessary.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from feature_store.arrow import TIME, arrow_type
from feature_store.schema import Feature

VERSION = 1
"""Of the columns below. docs/log.md says what each version has changed."""

VERSION_KEY, TABLE_KEY, REPLACES_KEY = b"arbiter.version", b"arbiter.table", b"arbiter.replaces"
"""Metadata of a file: the version of its columns, the table that it belongs to, and the names of the files
that it stands in for, as JSON."""

FEATURES = "features"
"""The column of a decision's features, each a field of the struct. A feature can't be mistaken for a column
of the log, whatever its name."""
NUMBER = pa.float32()
"""Numbers of features: an entry of the log has no more digits."""

_TEXTS: pa.DataType = pa.map_(pa.string(), pa.string())


@dataclass(frozen=True)
class LogTable:
    """One table: its columns, by which time a row finds its hour, and which columns identify a row."""

    name: str
    columns: pa.Schema
    time: str
    known_at: str
    """When this software learned of the row: what was not known then must not be used for it."""
    identity: tuple[str, ...]

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that each file has: without them its rows can't be told apart, or lie in no time."""
        return tuple(dict.fromkeys((*self.identity, self.time, self.known_at)))


def _schema(**columns: pa.DataType) -> pa.Schema:
    fields: list[pa.Field[Any]] = [pa.field(name, kind) for name, kind in columns.items()]
    return pa.schema(fields)


DECISIONS = LogTable(
    "decisions",
    _schema(
        decision_id=pa.string(),
        decided_at=TIME,
        customer_id=pa.string(),
        account_id=pa.string(),
        channel=pa.string(),
        arm=pa.string(),
        experiments=_TEXTS,
        mode=pa.string(),
        degraded=pa.list_(pa.string()),
        known=pa.bool_(),
        software=pa.string(),
        snapshot=pa.string(),
        catalogue=pa.string(),
        feature_schema=pa.string(),
        models=_TEXTS,
        empty=pa.list_(pa.struct([("placement", pa.string()), ("reason", pa.string())])),
    ),
    time="decided_at",
    known_at="decided_at",
    identity=("decision_id",),
)
"""A row for each decision; `features` comes on top, with the fields of the decision's feature schema."""

OFFERS = LogTable(
    "offers",
    _schema(
        decision_id=pa.string(),
        decided_at=TIME,
        customer_id=pa.string(),
        channel=pa.string(),
        arm=pa.string(),
        placement=pa.string(),
        rank=pa.int32(),
        issue=pa.string(),
        group=pa.string(),
        action=pa.string(),
        treatment=pa.string(),
        propensity=pa.float64(),
        context_weight=pa.float64(),
        value=pa.float64(),
        lever=pa.float64(),
        priority=pa.float64(),
        selection_probability=pa.float64(),
        predicted=pa.float64(),
        shadows=pa.map_(pa.string(), pa.float64()),
    ),
    time="decided_at",
    known_at="decided_at",
    identity=("decision_id", "placement", "rank"),
)
"""A row for each offered action of a decision."""

OUTCOMES = LogTable(
    "outcomes",
    _schema(
        outcome_id=pa.string(),
        occurred_at=TIME,
        received_at=TIME,
        decision_id=pa.string(),
        customer_id=pa.string(),
        account_id=pa.string(),
        channel=pa.string(),
        placement=pa.string(),
        issue=pa.string(),
        group=pa.string(),
        action=pa.string(),
        treatment=pa.string(),
        rank=pa.int32(),
        outcome=pa.string(),
        value=pa.float64(),
        propensity=pa.float64(),
        selection_probability=pa.float64(),
        offer=pa.string(),
        experiments=_TEXTS,
    ),
    time="occurred_at",
    known_at="received_at",
    identity=("outcome_id",),
)
"""A row for each outcome; a late one lies in the hour in which it happened."""

TABLES = {table.name: table for table in (DECISIONS, OFFERS, OUTCOMES)}


def feature_struct(features: Iterable[Feature]) -> pa.StructType:
    """The type of the column `features` for decisions of these features."""
    fields: list[pa.Field[Any]] = [
        pa.field(feature.name, arrow_type(feature, NUMBER)) for feature in features
    ]
    return pa.struct(fields)
