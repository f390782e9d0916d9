"""X to Arrow, a feature at a time: `columns` undone."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from feature_store.schema import Feature, FeatureSchema, FeatureType

TIME = pa.timestamp("us", tz="UTC")

_ARROW: dict[FeatureType, pa.DataType] = {
    FeatureType.FLAG: pa.bool_(),
    FeatureType.CATEGORY: pa.string(),
    FeatureType.SET: pa.list_(pa.string()),
    FeatureType.TIMESTAMP: TIME,
}


def arrow_type(feature: Feature, number: pa.DataType) -> pa.DataType:
    """The type of a feature's values, with `number` for numbers."""
    return _ARROW.get(feature.type, number)


def arrow_columns(
    X: NDArray[np.float64],
    schema: FeatureSchema,
    features: Iterable[Feature],
    number: "pa.DataType | None" = None,
) -> "list[pa.Array[Any]]":
    """One Arrow array for each of the features, from the columns of X; NaN becomes null. Numbers are float64,
    unless `number` says otherwise."""
    kind = number or pa.float64()
    return [
        _arrow(feature, np.ascontiguousarray(X[:, schema.slice(feature.name)]), kind) for feature in features
    ]


def _arrow(feature: Feature, values: NDArray[np.float64], number: pa.DataType) -> "pa.Array[Any]":
    if feature.type is FeatureType.SET:
        return _sets(feature, values)
    column = values[:, 0]
    missing = np.isnan(column)
    match feature.type:
        case FeatureType.NUMBER:
            return pa.array(column, mask=missing).cast(number)
        case FeatureType.FLAG:
            flags: Any = pa.array(column == 1.0, mask=missing)
            return cast("pa.Array[Any]", flags)
        case FeatureType.CATEGORY:
            return named(feature.levels, np.where(missing, 0, column).astype(np.intp), missing)
        case _:
            return times(column)


def _sets(feature: Feature, values: NDArray[np.float64]) -> "pa.Array[Any]":
    missing = np.isnan(values[:, 0])
    rows, members = np.nonzero(values == 1.0)
    counts = np.bincount(rows, minlength=len(values))
    offsets: Any = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    lists: Any = pa.ListArray.from_arrays(offsets, named(feature.members, members), mask=pa.array(missing))
    return cast("pa.Array[Any]", lists)


def named(
    names: "Sequence[str] | pa.Array[Any]",
    positions: NDArray[np.intp],
    missing: NDArray[np.bool_] | None = None,
) -> "pa.Array[Any]":
    """The name at each position; null where `missing`."""
    indices: Any = pa.array(positions, mask=missing)
    texts: Any = names if isinstance(names, pa.Array) else pa.array(names, pa.string())
    return cast("pa.Array[Any]", texts.take(indices))


def times(seconds: NDArray[np.float64]) -> "pa.Array[Any]":
    """Epoch seconds as Arrow timestamps in UTC; NaN becomes null."""
    missing = np.isnan(seconds)
    ticks = np.rint(np.where(missing, 0.0, seconds) * 1e6).astype(np.int64)
    return pa.array(ticks, mask=missing).cast(TIME)
