"""The data tables as Parquet: customers, decisions and outcomes, written chunk by chunk."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from feature_store.arrow import TIME, arrow_columns, arrow_type
from feature_store.schema import STORED, Feature, FeatureSchema, Source

CELLS = 2_000_000
"""How many numbers of X are held at a time."""

_OUTCOME_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("decision_id", pa.string()),
    pa.field("action", pa.string()),
    pa.field("outcome", pa.string()),
    pa.field("occurred_at", TIME),
    pa.field("value", pa.float64()),
]
OUTCOMES = pa.schema(_OUTCOME_FIELDS)
"""The columns of outcomes.parquet."""


def customers_schema(schema: FeatureSchema) -> pa.Schema:
    """The columns of customers.parquet: ids, then the profile and behaviour features."""
    ids: list[pa.Field[Any]] = [pa.field(name, pa.string()) for name in ("customer_id", "account_id")]
    return pa.schema(ids + _fields(stored_features(schema)))


def decisions_schema(schema: FeatureSchema) -> pa.Schema:
    """The columns of decisions.parquet: what was shown to whom, the context features, and the truth."""
    texts = ("channel", "placement", "issue", "group", "action", "treatment")
    columns: list[pa.Field[Any]] = [
        pa.field("decision_id", pa.string()),
        pa.field("customer_id", pa.string()),
        pa.field("decided_at", TIME),
        *(pa.field(name, pa.string()) for name in texts),
        pa.field("rank", pa.int32()),
        pa.field("propensity", pa.float64()),
        pa.field("selection_probability", pa.float64()),
        *_fields(schema.by_source(Source.CONTEXT)),
        pa.field("true_probability", pa.float64()),
    ]
    return pa.schema(columns)


def _fields(features: Iterable[Feature]) -> "list[pa.Field[Any]]":
    return [pa.field(feature.name, arrow_type(feature, pa.float64())) for feature in features]


def stored_features(schema: FeatureSchema) -> tuple[Feature, ...]:
    """The features that are kept for a customer, in order."""
    return tuple(f for f in schema.features if f.source in STORED)


def customers_table(
    X: NDArray[np.float64], schema: FeatureSchema, customer_ids: "pa.Array[Any]", account_ids: "pa.Array[Any]"
) -> pa.Table:
    """Rows of customers.parquet from X of shape (n, schema.width); NaN becomes null."""
    features = arrow_columns(X, schema, stored_features(schema))
    return pa.Table.from_arrays([customer_ids, account_ids, *features], schema=customers_schema(schema))


def numbered(prefix: str, numbers: NDArray[np.int64]) -> "pa.Array[Any]":
    """Ids such as `c17`: the prefix and each number."""
    texts = pa.array(numbers).cast(pa.string())
    join: Any = pc.binary_join_element_wise
    return cast("pa.Array[Any]", join(pa.scalar(prefix), texts, pa.scalar("")))


class TableWriter:
    """Writes one Parquet file chunk by chunk; the file appears under its name only when it is complete."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        self._writer = pq.ParquetWriter(self._partial, schema, compression="zstd", compression_level=1)

    def write(self, table: pa.Table) -> None:
        """Append the rows of `table`, which has the columns of the schema."""
        self._writer.write_table(table)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        if kind is None:
            self._partial.replace(self._path)
        else:
            self._partial.unlink(missing_ok=True)
