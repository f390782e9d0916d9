"""Table files, Parquet or CSV, read a batch of rows at a time."""

from collections.abc import Iterator
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
    rows: int | None

    def batches(self) -> Iterator[Batch]:
        """The rows from the first on, at every call.

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
            self.names: list[str] = file.schema_arrow.names
            self.rows: int | None = file.metadata.num_rows

    def batches(self) -> Iterator[Batch]:
        """The rows from the first on."""
        first = 1
        try:
            with pq.ParquetFile(self._path) as file:
                for data in file.iter_batches(_BATCH_ROWS):
                    yield Batch(data, np.arange(first, first + data.num_rows))
                    first += data.num_rows
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

    def batches(self) -> Iterator[Batch]:
        """The rows from the first on; a row with too many or too few values is unreadable."""
        odd: list[tuple[int, str]] = []

        def skip(row: Any) -> str:
            odd.append((row.number - 1, f"has {row.actual_columns} values, not {row.expected_columns}"))
            return "skip"

        first = reported = 0
        try:
            with self._open(skip) as reader:
                for data in reader:
                    numbers = _numbers(first, data.num_rows, odd)
                    yield Batch(data, numbers, tuple(odd[reported:]))
                    first, reported = first + data.num_rows, len(odd)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self._path, error) from error

    def _open(self, skip: Any) -> pa_csv.CSVStreamingReader:
        return pa_csv.open_csv(
            self._path,
            pa_csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),  # threads lose the rows' numbers
            pa_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            pa_csv.ConvertOptions(column_types=dict.fromkeys(self.names, pa.string())),
        )


def _numbers(first: int, count: int, odd: list[tuple[int, str]]) -> NDArray[np.int64]:
    """The numbers of `count` readable rows after the first ones, between which the odd rows lie."""
    readable = np.arange(first, first + count)
    gaps = np.array([number - 1 - before for before, (number, _) in enumerate(odd)], np.int64)
    return 1 + readable + np.searchsorted(gaps, readable, side="right")


def _unreadable(path: Path, error: Exception) -> TableError:
    is_csv = path.suffix.lower() == ".csv"
    kind = "CSV file in UTF-8" if is_csv else "Parquet file (a CSV file must end in .csv)"
    return TableError([f"{path} is not a readable {kind}: {str(error).splitlines()[0]}"])
