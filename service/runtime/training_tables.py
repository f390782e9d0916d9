"""The tables that models are trained on, as if they were the tables of the log."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from feature_store.logbook import tables
from feature_store.logbook.tables import FEATURES, LogTable
from feature_store.schema import FeatureSchema, Source
from models.errors import TrainingError
from models.files import CHANCE, read_columns, text_of
from models.label_rules import LabelRules
from models.labels import Join, connected
from models.profiles import CUSTOMERS
from models.table import DECISIONS, OUTCOMES

_OFFERED = ("decision_id", "placement", "rank", "action", CHANCE, "customer_id", "decided_at", "channel")
_CAME = ("decision_id", "action", "outcome", "value", "occurred_at")


@contextmanager
def joined_tables(
    folder: Path, schema: FeatureSchema, rules: LabelRules, as_of: float, since: float, until: float
) -> Iterator[Join]:
    """The join of `customers.parquet`, `decisions.parquet` and `outcomes.parquet`: the very one of the log.

    Raises:
        TrainingError: a file is missing, is not Parquet, or lacks a column that it needs.
    """
    with connected() as connection:
        for name, rows in _as_log(folder, schema).items():
            connection.register(name, rows)
        yield Join(connection, _Registered(), rules, as_of, since, min(until, as_of))


class _Registered:
    """The relations of a database that has tables under the names of those of the log."""

    def relation(self, table: LogTable, since: float = -inf, until: float = inf) -> str:
        return _name(table)


def _name(table: LogTable) -> str:
    return f"{table.name}_of_training"


def _as_log(folder: Path, schema: FeatureSchema) -> Mapping[str, pa.Table]:
    """By the names of their relations. Outcomes belong to the first placement that offers their action."""
    context = [feature.name for feature in schema.by_source(Source.CONTEXT)]
    others = [feature.name for feature in schema.features if feature.source is not Source.CONTEXT]
    shown = read_columns(folder / DECISIONS, _OFFERED, context)
    customers = read_columns(folder / CUSTOMERS, ("customer_id",), others)
    came = read_columns(folder / OUTCOMES, _CAME, ())
    owner = pc.index_in(text_of(shown, "customer_id"), value_set=text_of(customers, "customer_id"))
    features = {name: shown[name] for name in context if name in shown.column_names}
    features |= {name: customers[name].take(owner) for name in others if name in customers.column_names}
    offer = pc.index_in(_offers(came), value_set=_offers(shown))
    outcomes = came.append_column("placement", shown["placement"].take(offer))
    outcomes = outcomes.append_column("received_at", came["occurred_at"])
    outcomes = outcomes.append_column("outcome_id", pa.array(range(came.num_rows)).cast(pa.string()))
    return {
        _name(tables.DECISIONS): _like(tables.DECISIONS, folder / DECISIONS, shown).append_column(
            FEATURES, _struct(features)
        ),
        _name(tables.OFFERS): _like(tables.OFFERS, folder / DECISIONS, shown),
        _name(tables.OUTCOMES): _like(tables.OUTCOMES, folder / OUTCOMES, outcomes),
    }


def _like(table: LogTable, path: Path, rows: pa.Table) -> pa.Table:
    """The rows with the columns of a table of the log; null where they have none."""
    return pa.table(
        {
            field.name: _cast(path, rows, field)
            if field.name in rows.column_names
            else pa.nulls(rows.num_rows, field.type)
            for field in table.columns
        }
    )


def _cast(path: Path, rows: pa.Table, field: "pa.Field[Any]") -> Any:
    column = rows[field.name]
    try:
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TrainingError(
            f"{path}: column '{field.name}' is {column.type}; make it {field.type}"
        ) from error


def _struct(columns: Mapping[str, Any]) -> Any:
    values = [column.combine_chunks() for column in columns.values()]
    return pa.StructArray.from_arrays(values, names=list(columns))


def _offers(rows: pa.Table) -> Any:
    """What identifies an offer to its outcomes."""
    join: Any = pc.binary_join_element_wise
    return join(text_of(rows, "decision_id"), text_of(rows, "action"), "\x1f")
