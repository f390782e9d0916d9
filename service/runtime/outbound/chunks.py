"""A table of customers in chunks of the same size: wherever reading begins, they are the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from feature_store.tables import Batch, Table

MOST_ROWS = 20_000
MOST_CELLS = 2_000_000
"""Of rows by features: what a worker holds of the table at a time."""
LEAST_ROWS = 1_000
TURNS = 4
"""Chunks for each worker, at least: so many that the last of them are ready at about the same time."""


def chunk_rows(rows: int | None, width: int, workers: int) -> int:
    """How many rows a chunk has, in a table of so many (None: not known) by so many features."""
    most = max(1, min(MOST_ROWS, MOST_CELLS // max(width, 1)))
    return most if rows is None else min(most, max(LEAST_ROWS, -(-rows // (TURNS * workers))))


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table. `data` is an Arrow stream, `rows` their numbers in the table (from 1), and
    `unreadable` what was no row, between them: its number, and why."""

    number: int
    data: bytes
    rows: NDArray[np.int64]
    unreadable: tuple[tuple[int, str], ...] = ()

    @property
    def table(self) -> pa.RecordBatch:
        """The rows."""
        with pa.ipc.open_stream(pa.py_buffer(self.data)) as stream:
            return stream.read_next_batch()


def chunks(table: Table, size: int, columns: Sequence[str], first: int = 0) -> Iterator[Chunk]:
    """The chunks of a table from a number on. All have `size` readable rows but the last.

    Raises:
        TableError: the table can't be read to its end.
    """
    collected = _Collected()
    number = first
    for batch in table.batches(columns, first * size):
        collected.add(batch)
        while len(collected) > size:
            yield collected.taken(number, size)
            number += 1
    if collected:
        yield collected.taken(number)


class _Collected:
    """Rows that have been read and are in no chunk yet."""

    def __init__(self) -> None:
        self._pieces: list[pa.RecordBatch] = []
        self._rows = np.empty(0, np.int64)
        self._unreadable: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __bool__(self) -> bool:
        return bool(len(self._rows) or self._unreadable)

    def add(self, batch: Batch) -> None:
        self._pieces.append(batch.data)
        self._rows = np.concatenate([self._rows, batch.numbers])
        self._unreadable += batch.unreadable

    def taken(self, number: int, size: int | None = None) -> Chunk:
        """A chunk of the first `size` rows, and what was unreadable before the last of them; of everything
        that is there without a size."""
        table = pa.Table.from_batches(self._pieces)
        rows, self._rows = np.split(self._rows, [len(self) if size is None else size])
        passed = [row for row in self._unreadable if size is None or row[0] < rows[-1]]
        self._unreadable = self._unreadable[len(passed) :]
        self._pieces = table.slice(len(rows)).to_batches()
        return Chunk(number, _packed(table.slice(0, len(rows))), rows, tuple(passed))


def _packed(table: pa.Table) -> bytes:
    """One batch of rows as an Arrow stream, without what a slice has left out."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        for batch in table.combine_chunks().to_batches():
            stream.write_batch(batch)
    return sink.getvalue().to_pybytes()
