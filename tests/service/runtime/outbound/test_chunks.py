"""A table in chunks: the same ones, wherever reading begins."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_store.tables import Table, open_table
from service.runtime.outbound.chunks import LEAST_ROWS, MOST_ROWS, Chunk, chunk_rows, chunks

ROWS = 26_500
SIZE = 7_000


@pytest.fixture(params=["parquet in one group", "parquet in odd groups", "csv", "csv with faults"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Table:
    rows = pa.table({"customer_id": [f"c{n}" for n in range(ROWS)], "age": np.arange(ROWS)})
    if request.param.startswith("parquet"):
        path = tmp_path / "customers.parquet"
        pq.write_table(rows, path, row_group_size=ROWS if request.param.endswith("one group") else 3_301)
    else:
        path = tmp_path / "customers.csv"
        lines = [f"c{n},{n}" for n in range(ROWS)]
        if request.param.endswith("faults"):
            for place in (0, 100, 6_999, 7_000, 7_001, 14_000, ROWS):  # from behind, so that places stay
                lines.insert(place, f"odd{place},1,2")
        path.write_text("\n".join(["customer_id,age", *lines]) + "\n")
    return open_table(path)


def read(table: Table, first: int = 0) -> Iterator[Chunk]:
    return chunks(table, SIZE, ["customer_id"], first)


def test_every_row_is_in_one_chunk_and_all_chunks_but_the_last_have_the_same_size(table: Table) -> None:
    found = list(read(table))
    assert [chunk.number for chunk in found] == list(range(len(found)))
    assert [len(chunk.rows) for chunk in found] == [SIZE, SIZE, SIZE, ROWS - 3 * SIZE]
    ids = [id_ for chunk in found for id_ in chunk.table.column("customer_id").to_pylist()]
    assert ids == [f"c{n}" for n in range(ROWS)]
    told = [row for chunk in found for row, _ in chunk.unreadable]
    assert sorted([*told, *np.concatenate([chunk.rows for chunk in found])]) == list(
        range(1, ROWS + len(told) + 1)
    )


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_chunks_are_the_same_wherever_reading_begins(table: Table, first: int) -> None:
    wanted, found = list(read(table))[first:], list(read(table, first))
    assert [chunk.number for chunk in found] == [chunk.number for chunk in wanted]
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine.table.equals(theirs.table)
        assert mine.rows.tolist() == theirs.rows.tolist()
        assert mine.unreadable == theirs.unreadable


def test_a_chunk_has_only_the_columns_that_are_read(table: Table) -> None:
    assert next(read(table)).table.schema.names == ["customer_id"]


def test_a_packed_chunk_does_not_carry_the_rows_of_others(table: Table) -> None:
    first, *_, last = read(table)
    assert len(last.data) < len(first.data)


def test_small_tables_are_cut_so_that_every_worker_has_something_to_do() -> None:
    assert chunk_rows(100_000, 64, workers=2) == 12_500
    assert chunk_rows(10_000_000, 64, workers=2) == MOST_ROWS
    assert chunk_rows(None, 64, workers=2) == MOST_ROWS
    assert chunk_rows(10_000_000, 1_000, workers=2) == 2_000
    assert chunk_rows(50, 64, workers=2) == LEAST_ROWS
