"""Parquet tables from X and back."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_store.columns import columns_from_arrow
from feature_store.schema import Feature, FeatureSchema, FeatureType, Source
from service.world.tables import TableWriter, customers_schema, customers_table, numbered

PROFILE = Source.PROFILE
SCHEMA = FeatureSchema(
    (
        Feature("age", FeatureType.NUMBER, PROFILE),
        Feature("business", FeatureType.FLAG, PROFILE),
        Feature("segment", FeatureType.CATEGORY, PROFILE, levels=("a", "b")),
        Feature("products", FeatureType.SET, PROFILE, members=("x", "y", "z")),
        Feature("since", FeatureType.TIMESTAMP, PROFILE),
    )
)
NAN = np.nan


def test_what_is_written_is_read_back_as_the_same_matrix() -> None:
    X = np.array(
        [
            [1.25, 1, 1, 1, 0, 1, 1.7e9],
            [NAN, NAN, NAN, NAN, NAN, NAN, NAN],
            [0.0, 0, 0, 0, 0, 0, -86400.25],
        ]
    )
    ids = numbered("c", np.arange(3))
    table = customers_table(X, SCHEMA, ids, ids)
    back, errors = columns_from_arrow(table, SCHEMA, [PROFILE])
    assert not errors
    np.testing.assert_array_equal(back, X)
    assert table["customer_id"].to_pylist() == ["c0", "c1", "c2"]
    assert table["products"].to_pylist() == [["x", "z"], None, []]


def test_a_table_that_was_not_finished_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "customers.parquet"

    def fail_half_way() -> None:
        with TableWriter(path, customers_schema(SCHEMA)) as file:
            ids = numbered("c", np.arange(1))
            file.write(customers_table(np.zeros((1, 7)), SCHEMA, ids, ids))
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []


def test_chunks_are_appended_in_order(tmp_path: Path) -> None:
    path = tmp_path / "customers.parquet"
    with TableWriter(path, customers_schema(SCHEMA)) as file:
        for start in (0, 2):
            ids = numbered("c", np.arange(start, start + 2))
            file.write(customers_table(np.full((2, 7), NAN), SCHEMA, ids, pa.nulls(2, pa.string())))
    assert pq.read_table(path)["customer_id"].to_pylist() == ["c0", "c1", "c2", "c3"]
