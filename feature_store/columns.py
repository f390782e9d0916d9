"""Arrow tables to X, a column at a time."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds
from numpy.typing import NDArray

from feature_store.errors import Mendable
from feature_store.feature import FIRST_SECOND, LAST_SECOND, Feature, FeatureType, Source
from feature_store.schema import FeatureSchema

MAX_REASONS = 100

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Array: TypeAlias = "pa.Array[Any]"


@dataclass(frozen=True)
class ColumnErrors:
    """Rows (from 0, ascending) whose value in a column can't be used, and the first `MAX_REASONS` reasons."""

    column: str
    rows: NDArray[np.intp]
    reasons: tuple[str, ...]


class TableError(Mendable):
    """A table whose columns can't be features at all; `problems` has one line for each of them."""

    def __init__(self, problems: Collection[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def columns_from_arrow(
    table: pa.Table | pa.RecordBatch, schema: FeatureSchema, sources: Collection[Source]
) -> tuple[Floats, list[ColumnErrors]]:
    """X of shape (rows, schema.width) from the table's columns that are named as features of `sources`.

    Null is missing, and so is a column that the table has not. Columns that are no features are left alone.
    Numbers may be of any numeric type, flags boolean or 0/1, categories strings, sets lists of strings,
    timestamps any Arrow timestamp (without a zone it is UTC) or date. A text column can hold any type, as in
    CSV: sets as `a|b` (`|` alone is the empty set), timestamps as ISO-8601, flags as true/false/1/0, and an
    empty text is missing.

    A value that doesn't fit is NaN in X and reported.

    Raises:
        TableError: a column's Arrow type can't hold its feature.
    """
    features = [f for f in schema.features if f.source in sources and f.name in table.schema.names]
    problems = [problem for f in features if (problem := type_problem(f, table.schema.field(f.name).type))]
    if problems:
        raise TableError(problems)
    X = np.full((table.num_rows, schema.width), np.nan)
    errors = []
    for feature in features:
        column = _array(table.column(feature.name))
        values, bad = _converter(feature, column.type)(feature, column)
        if bad.any():
            values[bad] = np.nan
            errors.append(_errors(feature, column, np.flatnonzero(bad)))
        X[:, schema.slice(feature.name)] = values
    return X, errors


def type_problem(feature: Feature, kind: pa.DataType) -> str | None:
    """Why a column of that Arrow type can't hold the feature, or None if it can."""
    if _is_text(kind) or kinds.is_null(kind) or _FITS[feature.type](kind):
        return None
    return f"column '{feature.name}' is {kind}, but the feature is a {feature.type}: {_WANTED[feature.type]}"


def parse_text(feature: Feature, text: str) -> object:
    """The value that a text stands for, ready for `Feature.encode`; a text that it can't be stays a text."""
    match feature.type:
        case FeatureType.NUMBER:
            try:
                return pa.scalar(text).cast(pa.float64()).as_py()
            except pa.ArrowInvalid:
                return text
        case FeatureType.FLAG:
            return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
        case FeatureType.SET:
            return [member for member in text.split("|") if member]
        case _:
            return text


def _is_text(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.DictionaryType):
        kind = kind.value_type
    return kinds.is_string(kind) or kinds.is_large_string(kind)


def _is_number(kind: pa.DataType) -> bool:
    return kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind)


def _is_list(kind: pa.DataType) -> bool:
    if not isinstance(kind, pa.ListType | pa.LargeListType):
        return False
    return _is_text(kind.value_type) or kinds.is_null(kind.value_type)


_FITS: dict[FeatureType, Callable[[pa.DataType], bool]] = {
    FeatureType.NUMBER: _is_number,
    FeatureType.FLAG: lambda kind: kinds.is_boolean(kind) or _is_number(kind),
    FeatureType.CATEGORY: lambda kind: False,
    FeatureType.SET: _is_list,
    FeatureType.TIMESTAMP: lambda kind: kinds.is_timestamp(kind) or kinds.is_date(kind),
}
_WANTED = {
    FeatureType.NUMBER: "make it a numeric column",
    FeatureType.FLAG: "make it a boolean column",
    FeatureType.CATEGORY: "make it a string column",
    FeatureType.SET: "make it a list of strings",
    FeatureType.TIMESTAMP: "make it a timestamp column",
}

_TICKS = {"s": 1.0, "ms": 1e3, "us": 1e6}


def _array(column: Any) -> Array:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # what combine_chunks makes of no chunks at all, in some versions
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], column.type)
    return array.dictionary_decode() if isinstance(array, pa.DictionaryArray) else array


def _converter(feature: Feature, kind: pa.DataType) -> Callable[[Feature, Array], tuple[Floats, Bools]]:
    if kinds.is_null(kind):
        return _from_nothing
    if _is_text(kind):
        return {FeatureType.NUMBER: _from_numeric_text, FeatureType.CATEGORY: _from_levels}.get(
            feature.type, _from_text
        )
    return {
        FeatureType.NUMBER: _from_numbers,
        FeatureType.FLAG: _from_flags,
        FeatureType.SET: _from_lists,
        FeatureType.TIMESTAMP: _from_timestamps,
    }[feature.type]


def _from_nothing(feature: Feature, column: Array) -> tuple[Floats, Bools]:
    return np.full((len(column), feature.width), np.nan), np.zeros(len(column), bool)


def _floats(column: Array) -> Floats:
    """Shape (n, 1); null is NaN."""
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.array(values, np.float64).reshape(-1, 1)


def _is_empty(column: Array) -> pa.BooleanArray:
    return pc.equal(column, pa.scalar("", column.type))


def _nulls(column: Array) -> Bools:
    nulls: Bools = column.is_null().to_numpy(zero_copy_only=False)
    return nulls


def _from_numbers(feature: Feature, column: Array) -> tuple[Floats, Bools]:
    values = _floats(column)
    return values, np.isinf(values[:, 0])  # a NaN is how pandas writes what is missing


def _from_flags(feature: Feature, column: Array) -> tuple[Floats, Bools]:
    values = _floats(column)
    known = values[:, 0]
    return values, ~(np.isnan(known) | (known == 0.0) | (known == 1.0))


def _from_timestamps(feature: Feature, column: Array) -> tuple[Floats, Bools]:
    kind = column.type if isinstance(column.type, pa.TimestampType) else pa.timestamp("s")
    if kind.unit == "ns":
        kind = pa.timestamp("us", kind.tz)  # a float64 holds microseconds exactly, nanoseconds not
    ticks = column.cast(kind, safe=False).cast(pa.int64())
    values = _floats(ticks) / _TICKS[kind.unit]
    seconds = values[:, 0]
    return values, (seconds < FIRST_SECOND) | (seconds > LAST_SECOND)


def _from_levels(feature: Feature, column: Array) -> tuple[Floats, Bools]:
    codes = pc.index_in(column, value_set=pa.array(feature.levels, column.type))
    values = _floats(codes)
    empty = _is_empty(column).fill_null(True).to_numpy(zero_copy_only=False)
    return values, np.isnan(values[:, 0]) & ~empty


def _from_lists(feature: Feature, column: Array) -> tuple[Floats, Bools]:
    values = np.zeros((len(column), feature.width))
    values[_nulls(column)] = np.nan
    owners = pc.list_parent_indices(column).to_numpy()
    named = pc.list_flatten(column).cast(pa.string())
    codes = _floats(pc.index_in(named, value_set=pa.array(feature.members, pa.string())))[:, 0]
    found = ~np.isnan(codes)
    values[owners[found], codes[found].astype(np.intp)] = 1.0
    bad = np.zeros(len(column), bool)
    bad[owners[~found]] = True
    return values, bad


def _from_numeric_text(feature: Feature, column: Array) -> tuple[Floats, Bools]:
    filled = pc.if_else(_is_empty(column), None, column)
    try:
        values = _floats(filled.cast(pa.float64()))
    except pa.ArrowInvalid:  # some row is no number: find out which
        return _from_text(feature, column)
    return values, ~_nulls(filled) & ~np.isfinite(values[:, 0])


def _from_text(feature: Feature, column: Array) -> tuple[Floats, Bools]:
    """Any type, one parse for each different text."""
    encoded = column.dictionary_encode()
    rows = [_text_row(feature, text) for text in cast(list[str], encoded.dictionary.to_pylist())]
    missing = [math.nan] * feature.width
    table = np.array([*(row or missing for row in rows), missing])
    refused = np.array([*(row is None for row in rows), False])
    picks = encoded.indices.fill_null(len(rows)).to_numpy(zero_copy_only=False)
    return table[picks], refused[picks]


def _text_row(feature: Feature, text: str) -> list[float] | None:
    try:
        return list(feature.encode(parse_text(feature, text) if text else None))
    except ValueError:
        return None


def _errors(feature: Feature, column: Array, rows: NDArray[np.intp]) -> ColumnErrors:
    return ColumnErrors(
        feature.name, rows, tuple(_reason(feature, column[int(row)]) for row in rows[:MAX_REASONS])
    )


def _reason(feature: Feature, scalar: "pa.Scalar[Any]") -> str:
    try:
        value = scalar.as_py()
        feature.encode(parse_text(feature, value) if isinstance(value, str) else value)
    except (ValueError, OverflowError) as error:
        return str(error)
    return f"{value!r} can't be used"
