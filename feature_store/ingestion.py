"""Customers from a Parquet or CSV file into the store, a batch of rows at a time, in constant memory."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from feature_store.columns import ColumnErrors, TableError, columns_from_arrow
from feature_store.documents import did_you_mean
from feature_store.errors import Mendable
from feature_store.progress import Progress, silent
from feature_store.schema import STORED, FeatureSchema, Source
from feature_store.store import CustomerStore
from feature_store.tables import Batch, Table, open_table

__all__ = ["LoadReport", "RowError", "RowsRefused", "TableError", "load_customers"]

MAX_ERRORS = 100
MAX_ID_LENGTH = 128

_KEYS = ("customer_id", "account_id")


@dataclass(frozen=True, order=True)
class RowError:
    """Why a row was not loaded. Rows are counted from 1, without a header; `column` is empty for a whole
    row."""

    row: int
    column: str
    message: str

    def __str__(self) -> str:
        where = f", {self.column}:" if self.column else ""
        return f"row {self.row}{where} {self.message}"


@dataclass
class LoadReport:
    """How a load went; `errors` has the first `MAX_ERRORS` of what was wrong in the rows that were
    refused."""

    rows: int = 0
    loaded: int = 0
    refused: int = 0
    seconds: float = 0.0
    errors: list[RowError] = field(default_factory=list)


class RowsRefused(Mendable):
    """A strict load found rows that can't be loaded, and so has loaded none."""

    def __init__(self, report: LoadReport) -> None:
        self.report = report
        super().__init__(f"{report.refused} of {report.rows} rows can't be loaded, so nothing was")

    @property
    def explanation(self) -> str:
        """With the first of the rows."""
        return "\n".join([*(f"  {row}" for row in self.report.errors), str(self)])


async def load_customers(
    path: Path,
    schema: FeatureSchema,
    store: CustomerStore,
    *,
    strict: bool = False,
    progress: Progress = silent,
    now: float | None = None,
) -> LoadReport:
    """Write the customers of a Parquet file, or of a CSV file with a header, into the store.

    Columns are `customer_id`, optionally `account_id`, and features of the sources profile and behaviour; see
    `columns_from_arrow` for what they may hold. If a source has at least one column, all its features are
    replaced, and are missing where they have no column. A row with a value that can't be used is reported and
    not loaded. The last of several rows of one customer counts. `now`, epoch seconds, is when the values were
    right: the present, if left out.

    Raises:
        TableError: the file can't be read, lacks `customer_id`, or has a column that is no such feature.
        RowsRefused: with `strict`, if a row can't be loaded; the whole file is checked before the first
        write. StoreUnavailable: the store is away; rows before may have been written.
    """
    table = open_table(path)
    sources = _sources(table.names, schema)
    started = time.perf_counter()
    if strict:
        _check_all(table, schema, progress)
    report = LoadReport()
    moment = time.time() if now is None else now
    for batch in table.batches():
        X, good = _check(batch, schema, report)
        ids, accounts = (_strings(batch.data, name, good) for name in _KEYS)
        await store.write(ids or [], X[good], accounts, moment, sources)
        report.loaded += int(good.sum())
        report.seconds = time.perf_counter() - started
        progress("loading customers", report.rows, table.rows)
    return report


def _sources(names: list[str], schema: FeatureSchema) -> tuple[Source, ...]:
    """The sources that the columns of those names belong to."""
    if "customer_id" not in names:
        raise TableError([f"there is no column 'customer_id'{did_you_mean('customer_id', names)}"])
    stored = {feature.name: feature.source for feature in schema.features if feature.source in STORED}
    not_stored = {feature.name: feature.source for feature in schema.features if feature.source not in STORED}
    twice = sorted({name for name in names if names.count(name) > 1})
    problems = [f"column '{name}' is there twice" for name in twice]
    for name in names:
        if name in not_stored:
            problems.append(f"column '{name}' is a {not_stored[name]} feature, which is not stored")
        elif name not in stored and name not in _KEYS:
            problems.append(f"column '{name}' is not a feature{did_you_mean(name, [*stored, *_KEYS])}")
    if names == ["customer_id"]:
        problems.append("there is no column but 'customer_id', so there is nothing to load")
    if problems:
        raise TableError(problems)
    return tuple(source for source in STORED if any(stored.get(name) is source for name in names))


def _check_all(table: Table, schema: FeatureSchema, progress: Progress) -> None:
    report = LoadReport()
    for batch in table.batches():
        _check(batch, schema, report)
        progress("checking customers", report.rows, table.rows)
    if report.refused:
        raise RowsRefused(report)


def _check(
    batch: Batch, schema: FeatureSchema, report: LoadReport
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """X of the batch and which rows can be loaded; what is wrong with the others goes into the report."""
    X, faults = columns_from_arrow(batch.data, schema, STORED)
    faults += [fault for name in _KEYS if (fault := key_errors(batch.data, name))]
    good = np.ones(len(X), bool)
    for fault in faults:
        good[fault.rows] = False
    report.rows += len(X) + len(batch.unreadable)
    report.refused += int(len(X) - good.sum()) + len(batch.unreadable)
    if (faults or batch.unreadable) and len(report.errors) < MAX_ERRORS:
        report.errors = sorted([*report.errors, *_row_errors(batch, faults)])[:MAX_ERRORS]
    return X, good


def _row_errors(batch: Batch, faults: Sequence[ColumnErrors]) -> list[RowError]:
    errors = [RowError(number, "", message) for number, message in batch.unreadable]
    for fault in faults:
        numbers = batch.numbers[fault.rows].tolist()
        errors += [RowError(row, fault.column, why) for row, why in zip(numbers, fault.reasons, strict=False)]
    return errors


def text_column(data: pa.RecordBatch | pa.Table, name: str) -> Any:
    """A key column as an Arrow array of strings (integers are fine, too), or None if there is no such
    column.

    Raises:
        TableError: the column can't be text.
    """
    if name not in data.schema.names:
        return None
    try:
        return data.column(name).cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        kind = data.schema.field(name).type
        raise TableError([f"column '{name}' is {kind}, which is not text: {error}"]) from error


def _strings(data: pa.RecordBatch, name: str, good: NDArray[np.bool_]) -> list[Any] | None:
    column = text_column(data, name)
    return None if column is None else column.filter(pa.array(good)).to_pylist()


def key_errors(data: pa.RecordBatch, name: str) -> ColumnErrors | None:
    """The rows whose id is none; None where all are well, or where there is no such column.

    Raises:
        TableError: the column can't be text.
    """
    column = text_column(data, name)
    if column is None:
        return None
    least = 1 if name == "customer_id" else 0
    lengths = pc.utf8_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero((lengths < least) | (lengths > MAX_ID_LENGTH))
    reason = f"must have {least} to {MAX_ID_LENGTH} characters"
    return ColumnErrors(name, rows, (reason,) * min(len(rows), MAX_ERRORS)) if len(rows) else None
