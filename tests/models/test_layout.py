import numpy as np
import pytest

from feature_store.schema import Feature, FeatureSchema, FeatureType, Source
from models.layout import Layout


def feature(name: str, kind: FeatureType, members: tuple[str, ...] = ()) -> Feature:
    return Feature(name, kind, Source.PROFILE, members=members)


SCHEMA = FeatureSchema(
    (
        feature("age", FeatureType.NUMBER),
        feature("products", FeatureType.SET, ("fibre", "mobile")),
        feature("contract_end", FeatureType.TIMESTAMP),
    )
)
X = np.array([[30.0, 1.0, 0.0, 5_000.0], [np.nan, 0.0, 1.0, np.nan]])


def rows(layout: Layout, requests: list[int], now: list[float]) -> np.ndarray:
    codes = np.arange(len(requests), dtype=np.float64)
    return layout.rows(X, np.array(requests), np.array(now), codes, codes + 10)


def test_a_row_is_the_models_columns_then_the_codes_of_action_and_channel() -> None:
    layout = Layout.of(SCHEMA, ("products=mobile", "age"))
    assert layout.width == 4
    assert rows(layout, [0, 0], [0.0, 0.0]).tolist() == [[0.0, 30.0, 0.0, 10.0], [0.0, 30.0, 1.0, 11.0]]


def test_timestamps_are_read_as_seconds_from_the_decision() -> None:
    layout = Layout.of(SCHEMA, ("contract_end",))
    assert rows(layout, [0, 0], [4_000.0, 6_000.0])[:, 0].tolist() == [1_000.0, -1_000.0]


def test_what_is_missing_stays_missing() -> None:
    layout = Layout.of(SCHEMA, ("age", "contract_end"))
    assert np.isnan(rows(layout, [1], [100.0])[0, :2]).all()


def test_making_rows_leaves_the_features_as_they_were() -> None:
    before = X.copy()
    rows(Layout.of(SCHEMA, SCHEMA.columns), [0, 1], [100.0, 100.0])
    np.testing.assert_array_equal(X, before)


def test_a_column_that_the_schema_lacks_is_an_error() -> None:
    with pytest.raises(KeyError, match="products=tv"):
        Layout.of(SCHEMA, ("products=tv",))
