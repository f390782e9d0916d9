"""Table files, Parquet or CSV, read a batch of rows at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from feature_store.columns import TableError

_BATCH_ROWS = 10_000
_BLOCK_BYTES = 4 * 2**20
_BUFFER_BYTES = 256 * 1024
"""Of a column that are read ahead: without it a whole row group is, and that may be the whole file."""


@dataclass(frozen=True)
class Batch:
    """Rows of a table, with the number of each (from 1, a header not counted), and the rows that were no
    rows."""

    data: pa.RecordBatch
    numbers: NDArray[np.int64]
    unreadable: tuple[tuple[int, str], ...] = ()


class Table(Protocol):
    """A file of rows; `rows` is how many it has, if that is known."""

    names: list[str]
    schema: pa.Schema
    rows: int | None

    def batches(self, columns: Sequence[str] | None = None, skip: int = 0) -> Iterator[Batch]:
        """The rows from the first on, at every call; those columns of them (None: all) that it names, and
        without the first `skip` readable rows.

        Raises:
            TableError: the file can't be read to its end.
        """


def open_table(path: Path) -> Table:
    """A Parquet file, or, by the ending `.csv`, a CSV file.

    Raises:
        TableError: there is no such file, or it is not what it should be.
    """
    try:
        return CsvTable(path) if path.suffix.lower() == ".csv" else ParquetTable(path)
    except FileNotFoundError as error:
        raise TableError([f"there is no file {path}"]) from error
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


class ParquetTable:
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with pq.ParquetFile(path) as file:
            self.schema: pa.Schema = file.schema_arrow
            self.names: list[str] = self.schema.names
            self.rows: int | None = file.metadata.num_rows

    def batches(self, columns: Sequence[str] | None = None, skip: int = 0) -> Iterator[Batch]:
        """The rows after the first `skip`. Row groups that are skipped as a whole are not read, and of the
        others no more at a time than is given out, however large they are."""
        try:
            with pq.ParquetFile(self._path, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
                first, groups = _groups_after(file.metadata, skip)
                wanted = None if columns is None else list(columns)
                for data in file.iter_batches(_BATCH_ROWS, groups, columns=wanted):
                    rest = data.slice(_clipped(skip - first, data.num_rows))
                    first += data.num_rows
                    if rest.num_rows:
                        yield Batch(rest, np.arange(first - rest.num_rows, first) + 1)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self._path, error) from error


class CsvTable:
    """A CSV file with a header, in UTF-8; all its columns are text."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: int | None = None
        self.names: list[str] = []
        with self._open(lambda row: "skip") as reader:
            self.names = reader.schema.names
        self.schema: pa.Schema = pa.schema(dict.fromkeys(self.names, pa.string()))

    def batches(self, columns: Sequence[str] | None = None, skip: int = 0) -> Iterator[Batch]:
        """The rows after the first `skip` readable ones; a row with too many or too few values is
        unreadable."""
        odd: list[tuple[int, str]] = []

        def pass_over(row: Any) -> str:
            odd.append((row.number - 1, f"has {row.actual_columns} values, not {row.expected_columns}"))
            return "skip"

        first = reported = 0
        try:
            with self._open(pass_over) as reader:
                for data in reader:
                    numbers = _numbers(first, data.num_rows, odd)
                    rest = _clipped(skip - first, data.num_rows)
                    first += data.num_rows
                    if first >= skip:
                        passed = int(numbers[rest - 1]) if rest else 0
                        unreadable = tuple(row for row in odd[reported:] if row[0] > passed)
                        chosen = data if columns is None else data.select(list(columns))
                        yield Batch(chosen.slice(rest), numbers[rest:], unreadable)
                    reported = len(odd)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self._path, error) from error

    def _open(self, skip: Any) -> pa_csv.CSVStreamingReader:
        return pa_csv.open_csv(
            self._path,
            pa_csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),  # threads lose the rows' numbers
            pa_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            pa_csv.ConvertOptions(column_types=dict.fromkeys(self.names, pa.string())),
        )


def _clipped(rows: int, most: int) -> int:
    return min(max(rows, 0), most)


def _groups_after(metadata: pq.FileMetaData, skip: int) -> tuple[int, list[int]]:
    """The row groups that are needed without the first `skip` rows, and how many rows are before them."""
    first, groups = 0, range(metadata.num_row_groups)
    for group in groups:
        rows = metadata.row_group(group).num_rows
        if first + rows > skip:
            return first, list(groups[group:])
        first += rows
    return first, []


def _numbers(first: int, count: int, odd: list[tuple[int, str]]) -> NDArray[np.int64]:
    """The numbers of `count` readable rows after the first ones, between which the odd rows lie."""
    readable = np.arange(first, first + count)
    gaps = np.array([number - 1 - before for before, (number, _) in enumerate(odd)], np.int64)
    return 1 + readable + np.searchsorted(gaps, readable, side="right")


def _unreadable(path: Path, error: Exception) -> TableError:
    is_csv = path.suffix.lower() == ".csv"
    kind = "CSV file in UTF-8" if is_csv else "Parquet file (a CSV file must end in .csv)"
    return TableError([f"{path} is not a readable {kind}: {str(error).splitlines()[0]}"])
