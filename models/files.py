"""Parquet tables of training data, read with errors that name file and column."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from feature_store.columns import ColumnErrors, TableError, columns_from_arrow
from feature_store.documents import did_you_mean
from feature_store.logbook.tables import FEATURES
from feature_store.schema import FeatureSchema, Source
from models.errors import TrainingError

CHANCE = "selection_probability"


def read_columns(path: Path, required: Collection[str], optional: Collection[str]) -> pa.Table:
    """The columns of a Parquet file that are needed, and those of the optional ones that it has.

    Raises:
        TrainingError: it is missing, is not Parquet, or lacks a column that is needed.
    """
    try:
        present = pq.read_schema(path).names
        if missing := [column for column in required if column not in present]:
            raise TrainingError(
                f"{path}: the column '{missing[0]}' is missing{did_you_mean(missing[0], present)}"
            )
        return pq.read_table(path, columns=[*required, *(name for name in optional if name in present)])
    except FileNotFoundError as error:
        raise TrainingError(f"{path}: there is no such file") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise TrainingError(f"{path}: can't be read as Parquet: {error}") from error


def features_of(
    file: str, table: pa.Table, schema: FeatureSchema, sources: Collection[Source]
) -> tuple[NDArray[np.float64], list[tuple[str, ColumnErrors]]]:
    """X of what a table says of the features of some sources, NaN elsewhere; and what was wrong with it."""
    try:
        X, errors = columns_from_arrow(table, schema, sources)
    except TableError as error:
        raise TrainingError("\n".join(f"{file}: {problem}" for problem in error.problems)) from error
    return X, [(file, fault) for fault in errors]


def columns_of(logged: pa.Table) -> pa.Table:
    """The features of rows of the log as columns."""
    if FEATURES not in logged.column_names:
        return pa.table({"none": pa.nulls(logged.num_rows)})
    whole: Any = logged.column(FEATURES).combine_chunks()
    return pa.table(dict(zip((field.name for field in whole.type), whole.flatten(), strict=True)))


def misfits(errors: Sequence[tuple[str, ColumnErrors]], schema: FeatureSchema) -> Iterator[str]:
    """A warning for each column of the schema with values that can't be used."""
    read = {feature.name for feature in schema.features}
    for file, fault in errors:
        if fault.column in read:
            yield (
                f"{file}: column '{fault.column}': {len(fault.rows)} values don't fit and count as missing; "
                f"the first, in row {fault.rows[0] + 1}: {fault.reasons[0]}"
            )


def text_of(table: pa.Table, column: str) -> Any:
    """A column of texts, in one piece."""
    values = table.column(column)
    try:
        return values.combine_chunks().cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TrainingError(f"column '{column}' is {values.type}; make it text") from error


def coded(names: Any) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The different names, sorted, and the index of each row's name among them; null is NaN."""
    levels = sorted(filter(None, pc.unique(names).to_pylist()))
    codes = pc.index_in(names, value_set=pa.array(levels, pa.string())).cast(pa.float64())
    return tuple(levels), codes.to_numpy(zero_copy_only=False)


def chances_of(file: str, decisions: pa.Table) -> NDArray[np.float64]:
    """With which probability each row was chosen, shape (n,); NaN where nobody says."""
    if CHANCE not in decisions.column_names:
        return np.full(decisions.num_rows, np.nan)
    column = decisions.column(CHANCE)
    try:
        found = column.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TrainingError(f"{file}: column '{CHANCE}' is {column.type}; make it a number") from error
    chances: NDArray[np.float64] = found.to_numpy(zero_copy_only=False).astype(np.float64)
    wrong = np.flatnonzero((chances <= 0.0) | (chances > 1.0))
    if len(wrong):
        raise TrainingError(
            f"{file}: column '{CHANCE}' is {chances[wrong[0]]:g} in row {wrong[0] + 1}; the probability of "
            "what was chosen lies above 0 and is 1 at most"
        )
    return chances


def epoch_of(file: str, decisions: pa.Table) -> NDArray[np.float64]:
    """When each row was decided, in epoch seconds, shape (n,)."""
    moments = decisions.column("decided_at")
    try:
        micros = moments.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TrainingError(f"{file}: column 'decided_at' is {moments.type}; make it a timestamp") from error
    if micros.null_count:
        raise TrainingError(f"{file}: column 'decided_at' is null in {micros.null_count} rows")
    seconds: NDArray[np.float64] = micros.to_numpy() / 1e6
    return seconds
