"""How many customers a second `arbiter batch` decides for, on all cores."""

import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from loadtests.bench.worlds import run

ASK = ("--channel", "web", "--placement", "home_tiles", "--limit", "1")


def customers_a_second(world: Path, folder: Path, copies: int) -> float | None:
    """What one more customer costs in a long run: the time of a table with so many copies of the world's
    customers, less that of one copy, since a run of millions starts but once. None where more of them took no
    longer: the machine was busy with something else.

    Raises:
        BenchFailed: a run failed.
    """
    once, many = (outbound_seconds(world, folder, times) for times in (1, copies))
    customers = pq.read_metadata(world / "customers.parquet").num_rows
    return customers * (copies - 1) / (many - once) if many > once else None


def outbound_seconds(world: Path, folder: Path, copies: int) -> float:
    """How long a run takes for a table with so many copies of the world's customers; the answers stay in the
    folder as `answers-<copies>.parquet`.

    Raises:
        BenchFailed: the run failed.
    """
    table, customers = pq.read_table(world / "customers.parquet"), folder / f"customers-{copies}.parquet"
    with pq.ParquetWriter(customers, table.schema) as file:
        for copy in range(copies):
            file.write_table(_renamed(table, copy))
    began = time.perf_counter()
    run("batch", str(world), str(customers), str(folder / f"answers-{copies}.parquet"), *ASK)
    seconds = time.perf_counter() - began
    customers.unlink()
    return seconds


def _renamed(table: pa.Table, copy: int) -> pa.Table:
    """The same customers under names of their own."""
    place = table.schema.get_field_index("customer_id")
    names = [f"{name}_{copy}" for name in table["customer_id"].to_pylist()]
    return table.set_column(place, table.schema.field(place), pa.array(names))
