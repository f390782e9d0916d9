from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from feature_store.columns import MAX_REASONS, TableError, columns_from_arrow
from feature_store.schema import FeatureSchema, Source

nan = np.nan


def column(
    schema: FeatureSchema, name: str, array: "pa.Array[Any]"
) -> tuple[list[list[float]], dict[int, str]]:
    X, errors = columns_from_arrow(pa.table({name: array}), schema, list(Source))
    others = np.delete(X, np.arange(schema.width)[schema.slice(name)], axis=1)
    assert np.isnan(others).all()
    reasons = {row: why for e in errors for row, why in zip(e.rows.tolist(), e.reasons, strict=True)}
    assert all(error.column == name for error in errors)
    return X[:, schema.slice(name)].tolist(), reasons


@pytest.mark.parametrize(
    "array",
    [
        pa.array([1, None, 3], pa.int8()),
        pa.array([1, None, 3], pa.float32()),
        pa.array([1, None, 3], pa.decimal128(10, 2)),
        pa.array([1, nan, 3], pa.float64()),
        pa.array(["1", "", "3.0"], pa.string()),
        pa.array(["1", None, "3e0"], pa.large_string()).dictionary_encode(),
    ],
)
def test_numbers_come_in_many_types(schema: FeatureSchema, array: "pa.Array[Any]") -> None:
    values, errors = column(schema, "age", array)
    np.testing.assert_array_equal(values, [[1], [nan], [3]])
    assert errors == {}


def test_a_number_that_is_none_is_reported_and_missing(schema: FeatureSchema) -> None:
    values, errors = column(schema, "age", pa.array(["1", "x", "nan", "inf", "1e999"]))
    np.testing.assert_array_equal(values, [[1], [nan], [nan], [nan], [nan]])
    assert errors.keys() == {1, 2, 3, 4}
    assert errors[1] == "must be a finite number, not 'x'"
    values, errors = column(schema, "age", pa.array([1, np.inf]))
    assert errors == {1: "must be a finite number, not inf"}
    assert column(schema, "age", pa.array(["1", "inf"]))[1] == {1: "must be a finite number, not inf"}


def test_flags_are_booleans_or_zero_and_one(schema: FeatureSchema) -> None:
    for array in (pa.array([True, None, False]), pa.array([1, None, 0]), pa.array(["true", "", "0"])):
        values, errors = column(schema, "is_business", array)
        np.testing.assert_array_equal(values, [[1], [nan], [0]])
        assert errors == {}
    assert column(schema, "is_business", pa.array([1, 2]))[1] == {1: "must be true or false, not 2"}
    assert column(schema, "is_business", pa.array(["yes"]))[1] == {0: "must be true or false, not 'yes'"}


def test_categories_are_their_levels(schema: FeatureSchema) -> None:
    plain = pa.array(["soho", None, "enterprise", "soha", ""])
    for array in (plain, plain.dictionary_encode(), plain.cast(pa.large_string())):
        values, errors = column(schema, "segment", array)
        np.testing.assert_array_equal(values, [[1], [nan], [2], [nan], [nan]])
        expected = "must be one of consumer, soho, enterprise, not 'soha'; did you mean 'soho'?"
        assert errors == {3: expected}


def test_sets_are_lists_or_texts_with_bars(schema: FeatureSchema) -> None:
    lists = pa.array([["tv", "fibre_500", "tv"], None, [], ["radio", "tv"]])
    texts = pa.array(["tv|fibre_500|tv", "", "|", "radio|tv"])
    for array in (lists, lists.cast(pa.large_list(pa.large_string())), texts):
        values, errors = column(schema, "products", array)
        np.testing.assert_array_equal(values, [[1, 0, 1], [nan] * 3, [0, 0, 0], [nan] * 3])
        assert errors == {3: "may hold fibre_500, mobile_5g, tv, not 'radio'"}
    assert column(schema, "products", pa.array([["tv", None]]))[1].keys() == {0}


def test_timestamps_are_epoch_seconds(schema: FeatureSchema) -> None:
    moment = datetime(2026, 1, 31, 12, 30, 0, 250_000, tzinfo=UTC)
    for unit in ("ms", "us", "ns"):
        for zone in ("UTC", None, "Europe/Vienna"):
            array = pa.array([moment, None], pa.timestamp(unit, "UTC")).cast(pa.timestamp(unit, zone))
            values, errors = column(schema, "contract_end", array)
            np.testing.assert_array_equal(values, [[moment.timestamp()], [nan]])
            assert errors == {}
    day = column(schema, "contract_end", pa.array([date(2026, 1, 31), None]))[0]
    np.testing.assert_array_equal(day, [[1_769_817_600], [nan]])
    texts = pa.array(["2026-01-31T12:30:00.25Z", "", "2026-01-31T13:30:00.25+01:00", "31.1.2026"])
    values, errors = column(schema, "contract_end", texts)
    np.testing.assert_array_equal(values, [[moment.timestamp()], [nan], [moment.timestamp()], [nan]])
    assert errors.keys() == {3}


def test_a_timestamp_beyond_the_calendar_is_reported(schema: FeatureSchema) -> None:
    values, errors = column(schema, "contract_end", pa.array([2**60, 0], pa.timestamp("us")))
    np.testing.assert_array_equal(values, [[nan], [0]])
    assert errors.keys() == {0}


def test_a_column_of_nothing_is_missing(schema: FeatureSchema) -> None:
    for name in ("age", "is_business", "segment", "products", "contract_end"):
        values, errors = column(schema, name, pa.array([None, None], pa.null()))
        assert np.isnan(values).all()
        assert errors == {}
        column(schema, name, pa.array([], pa.string()))


def test_a_slice_of_a_column_is_read_as_itself(schema: FeatureSchema) -> None:
    lists = pa.array([["tv"], ["mobile_5g"], None, ["fibre_500"]])
    values, _ = column(schema, "products", lists.slice(1, 3))
    np.testing.assert_array_equal(values, [[0, 1, 0], [nan] * 3, [1, 0, 0]])


def test_a_column_that_cannot_be_the_feature_refuses_the_table(schema: FeatureSchema) -> None:
    table = pa.table({"age": [True], "segment": [1], "products": [[1]], "contract_end": [5]})
    with pytest.raises(TableError) as refused:
        columns_from_arrow(table, schema, [Source.PROFILE])
    assert len(refused.value.problems) == 4
    expected = "column 'contract_end' is int64, but the feature is a timestamp: make it a timestamp column"
    assert expected in refused.value.problems


def test_only_the_named_sources_are_read(schema: FeatureSchema) -> None:
    table = pa.table({"age": [1.0], "page": ["cart"], "customer_id": ["c1"]})
    X, errors = columns_from_arrow(table, schema, [Source.CONTEXT])
    assert errors == []
    assert X[0, schema.slice("page")] == 1
    assert np.isnan(X[0, schema.slice("age")])


def test_chunks_and_batches_are_read_alike(schema: FeatureSchema) -> None:
    chunks = pa.table({"segment": pa.chunked_array([["soho"], [], ["consumer", None]])})
    whole = pa.record_batch({"segment": ["soho", "consumer", None]})
    for table in (chunks, whole):
        X, _ = columns_from_arrow(table, schema, [Source.PROFILE])
        np.testing.assert_array_equal(X[:, schema.slice("segment")], [[1], [0], [nan]])


def test_all_bad_rows_are_counted_and_the_first_explained(schema: FeatureSchema) -> None:
    _, [error] = columns_from_arrow(pa.table({"segment": ["x"] * 500}), schema, [Source.PROFILE])
    assert len(error.rows) == 500
    assert len(error.reasons) == MAX_REASONS
