"""How many customers a second `arbiter batch` decides for, on all cores."""

import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from loadtests.bench.worlds import run

ASK = ("--channel", "web", "--placement", "home_tiles", "--limit", "1")


def customers_a_second(world: Path, folder: Path, copies: int) -> float:
    """What one more customer costs in a long run: the time of a table with so many copies of the world's
    customers, less that of one copy, since a run of millions starts but once.

    Raises:
        BenchFailed: a run failed.
    """
    table = pq.read_table(world / "customers.parquet")
    seconds = []
    for times in (1, copies):
        customers = folder / f"customers-{times}.parquet"
        with pq.ParquetWriter(customers, table.schema) as file:
            for copy in range(times):
                file.write_table(_renamed(table, copy))
        began = time.perf_counter()
        run("batch", str(world), str(customers), str(folder / f"answers-{times}.parquet"), *ASK)
        seconds.append(time.perf_counter() - began)
        customers.unlink()
    return table.num_rows * (copies - 1) / (seconds[1] - seconds[0])


def _renamed(table: pa.Table, copy: int) -> pa.Table:
    """The same customers under names of their own."""
    place = table.schema.get_field_index("customer_id")
    names = [f"{name}_{copy}" for name in table["customer_id"].to_pylist()]
    return table.set_column(place, table.schema.field(place), pa.array(names))
