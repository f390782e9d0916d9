"""Laws that hold for any schema and any values, and what must never happen to a vector."""

import string
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from feature_store.codec import Codec
from feature_store.columns import columns_from_arrow
from feature_store.feature import FIRST_SECOND, LAST_SECOND
from feature_store.schema import Feature, FeatureSchema, FeatureType, Source

NOW = 1_767_225_600.0
STORED = (Source.PROFILE, Source.BEHAVIOUR)
Floats = NDArray[np.float64]

names = st.text(string.ascii_lowercase, min_size=1, max_size=6)
words = st.lists(
    st.text(st.characters(exclude_characters="|", codec="utf-8"), min_size=1), min_size=1, unique=True
)


@st.composite
def features(draw: st.DrawFn, name: str) -> Feature:
    kind = draw(st.sampled_from(FeatureType))
    return Feature(
        name=name,
        type=kind,
        source=draw(st.sampled_from(Source)),
        levels=tuple(draw(words)) if kind is FeatureType.CATEGORY else (),
        members=tuple(draw(words)) if kind is FeatureType.SET else (),
        max_age=draw(st.none() | st.sampled_from([60.0, 86_400.0])),
    )


@st.composite
def schemas(draw: st.DrawFn) -> FeatureSchema:
    found = draw(st.lists(names, min_size=1, max_size=8, unique=True))
    return FeatureSchema(tuple(draw(features(name)) for name in found))


def values(feature: Feature) -> st.SearchStrategy[object]:
    """JSON-ready values of a feature, in the form that decoding gives."""
    match feature.type:
        case FeatureType.NUMBER:
            present: st.SearchStrategy[object] = st.floats(allow_nan=False, allow_infinity=False)
        case FeatureType.FLAG:
            present = st.booleans()
        case FeatureType.CATEGORY:
            present = st.sampled_from(feature.levels)
        case FeatureType.SET:
            chosen = st.sets(st.sampled_from(feature.members))
            present = chosen.map(lambda some: [member for member in feature.members if member in some])
        case FeatureType.TIMESTAMP:
            seconds = st.integers(int(FIRST_SECOND), int(LAST_SECOND))
            present = seconds.map(lambda second: feature.decode([float(second)]))
    return st.none() | present


def customers(schema: FeatureSchema) -> st.SearchStrategy[list[dict[str, object]]]:
    customer = st.fixed_dictionaries({feature.name: values(feature) for feature in schema.features})
    return st.lists(customer, min_size=1, max_size=4)


def encoded(schema: FeatureSchema, customers: list[dict[str, object]]) -> Floats:
    X = np.full((len(customers), schema.width), np.nan)
    for row, customer in zip(X, customers, strict=True):
        assert schema.encode(customer, row, list(Source)) == []
    return X


def present(customer: dict[str, object], schema: FeatureSchema, source: Source) -> dict[str, object]:
    return {f.name: customer[f.name] for f in schema.by_source(source) if customer[f.name] is not None}


@given(st.data())
def test_any_values_of_any_schema_survive_packing(data: st.DataObject) -> None:
    schema = data.draw(schemas())
    rows = data.draw(customers(schema))
    X, back = encoded(schema, rows), np.full((len(rows), schema.width), np.nan)
    for source in STORED:
        codec = Codec(schema, source)
        decoded = codec.decode(codec.encode(X, NOW), back, NOW)
        assert decoded.assembled_at.tolist() == [NOW] * len(rows)
    for customer, row in zip(rows, back, strict=True):
        for source in STORED:
            assert schema.decode(row, source) == present(customer, schema, source)
        assert schema.decode(row, Source.CONTEXT) == {}


@given(st.data())
def test_a_customer_reads_the_same_alone_and_in_any_batch(data: st.DataObject) -> None:
    schema = data.draw(schemas())
    X = encoded(schema, data.draw(customers(schema)))
    codec = Codec(schema, Source.PROFILE)
    blobs = codec.encode(X, NOW)
    mixed: list[bytes | None] = data.draw(st.permutations([*blobs, None, b"", blobs[0][:-1], b"12345678"]))
    together = np.full((len(mixed), schema.width), np.nan)
    decoded = codec.decode(mixed, together, NOW)
    for row, blob in enumerate(mixed):
        alone = np.full((1, schema.width), np.nan)
        one = codec.decode([blob], alone, NOW)
        np.testing.assert_array_equal(alone[0], together[row])
        np.testing.assert_array_equal(one.assembled_at[0], decoded.assembled_at[row])
        if blob not in blobs:
            assert np.isnan(together[row]).all()
    assert [mixed[row] for row in decoded.broken] == [blobs[0][:-1]]
    assert decoded.unknown.keys() == {"", b"12345678".hex()}


@given(st.data())
def test_nothing_is_known_of_strangers_among_customers(data: st.DataObject) -> None:
    schema = data.draw(schemas())
    codec = Codec(schema, Source.PROFILE)
    blobs = codec.encode(encoded(schema, data.draw(customers(schema))), NOW)
    customers_alone, with_strangers = (np.zeros((len(blobs) + more, schema.width)) for more in (0, 2))
    codec.decode(blobs, customers_alone, NOW)
    decoded = codec.decode([None, *blobs, None], with_strangers, NOW)
    np.testing.assert_array_equal(with_strangers[1:-1], customers_alone)
    assert np.isnan(with_strangers[[0, -1]][:, codec.columns]).all()
    assert np.isnan(decoded.assembled_at).tolist() == [True, *[False] * len(blobs), True]
    assert not decoded.unknown
    assert not decoded.broken


@given(st.data())
def test_migration_keeps_what_has_the_same_name_type_level_and_member(data: st.DataObject) -> None:
    old = data.draw(schemas())
    rows = data.draw(customers(old))
    new = data.draw(changed(old))
    writer, reader = Codec(old, Source.PROFILE), Codec(new, Source.PROFILE)
    X = np.full((len(rows), new.width), np.nan)
    reader.learn(writer.definition)
    decoded = reader.decode(writer.encode(encoded(old, rows), NOW), X, NOW)
    assert not decoded.unknown
    assert not decoded.broken
    for customer, row in zip(rows, X, strict=True):
        assert new.decode(row, Source.PROFILE) == migrated(customer, old, new)


@st.composite
def changed(draw: st.DrawFn, schema: FeatureSchema) -> FeatureSchema:
    """A schema that shares some names with another, in another order and with other levels and members."""
    kept = draw(st.permutations(schema.features))
    result = []
    for feature in kept[: draw(st.integers(0, len(kept)))]:
        if draw(st.booleans()):
            levels = draw(st.permutations([*feature.levels, "new level"])) if feature.levels else ()
            members = draw(st.permutations([*feature.members, "new member"])) if feature.members else ()
            result.append(
                replace(feature, levels=tuple(levels[1:] or levels), members=tuple(members[1:] or members))
            )
        else:
            result.append(draw(features(feature.name)))
    return FeatureSchema((*result, draw(features("a_new_one"))))


def migrated(customer: dict[str, object], old: FeatureSchema, new: FeatureSchema) -> dict[str, object]:
    expected: dict[str, object] = {}
    before = {feature.name: feature for feature in old.by_source(Source.PROFILE)}
    for feature in new.by_source(Source.PROFILE):
        value = customer.get(feature.name)
        if value is None or feature.name not in before or before[feature.name].type is not feature.type:
            continue
        if isinstance(value, list):
            value = [member for member in feature.members if member in value]
        elif feature.type is FeatureType.CATEGORY and value not in feature.levels:
            continue
        expected[feature.name] = value
    return expected


@given(st.data())
def test_any_values_of_any_schema_survive_a_table(data: st.DataObject) -> None:
    schema = data.draw(schemas())
    rows = data.draw(customers(schema))
    types = {
        FeatureType.NUMBER: pa.float64(),
        FeatureType.FLAG: pa.bool_(),
        FeatureType.CATEGORY: pa.string(),
        FeatureType.SET: pa.list_(pa.string()),
        FeatureType.TIMESTAMP: pa.string(),
    }
    table = pa.table(
        {f.name: pa.array([customer[f.name] for customer in rows], types[f.type]) for f in schema.features}
    )
    X, errors = columns_from_arrow(table, schema, list(Source))
    assert errors == []
    np.testing.assert_array_equal(X, encoded(schema, rows))


SCHEMA = FeatureSchema(
    (
        Feature("age", FeatureType.NUMBER, Source.PROFILE, max_age=100),
        Feature("tags", FeatureType.SET, Source.PROFILE, members=("a", "b"), max_age=1000),
        Feature("plan", FeatureType.CATEGORY, Source.PROFILE, levels=("x", "y")),
    )
)


def read(codec: Codec, blob: bytes, now: float) -> dict[str, object]:
    X = np.full((1, codec.schema.width), np.nan)
    codec.decode([blob], X, now)
    return codec.schema.decode(X[0], Source.PROFILE)


def test_a_value_is_fresh_up_to_its_age_and_missing_after_it() -> None:
    codec = Codec(SCHEMA, Source.PROFILE)
    [blob] = codec.encode(np.array([[5.0, 1.0, 0.0, 1.0]]), NOW)
    assert read(codec, blob, NOW + 100) == {"age": 5, "tags": ["a"], "plan": "y"}
    assert read(codec, blob, NOW + 101) == {"tags": ["a"], "plan": "y"}
    assert read(codec, blob, NOW + 1001) == {"plan": "y"}


def test_staleness_is_each_customers_own() -> None:
    codec = Codec(SCHEMA, Source.PROFILE)
    X = np.array([[5.0, 1.0, 0.0, 1.0]] * 2)
    blobs = [*codec.encode(X[:1], NOW), *codec.encode(X[1:], NOW + 50)]
    back = np.full((2, 4), np.nan)
    codec.decode(blobs, back, NOW + 120)
    np.testing.assert_array_equal(back, [[np.nan, 1, 0, 1], [5, 1, 0, 1]])


def test_migrated_values_keep_their_age() -> None:
    old = Codec(SCHEMA, Source.PROFILE)
    [blob] = old.encode(np.array([[5.0, 1.0, 0.0, 1.0]]), NOW, np.array([[NOW - 90, NOW]], np.uint32))
    plan = replace(SCHEMA.feature("plan"), max_age=30)
    codec = Codec(FeatureSchema((plan, SCHEMA.feature("age"))), Source.PROFILE)
    codec.learn(old.definition)
    assert read(codec, blob, NOW) == {"plan": "y", "age": 5}
    assert read(codec, blob, NOW + 20) == {"plan": "y"}
    assert read(codec, blob, NOW + 31) == {}


def test_whether_updates_are_timed_is_part_of_the_fingerprint() -> None:
    timeless = FeatureSchema(tuple(replace(feature, max_age=None) for feature in SCHEMA.features))
    assert Codec(timeless, Source.PROFILE).fingerprint != Codec(SCHEMA, Source.PROFILE).fingerprint


def test_the_fingerprint_of_one_source_does_not_depend_on_the_others() -> None:
    more = FeatureSchema((*SCHEMA.features, Feature("page", FeatureType.NUMBER, Source.CONTEXT)))
    assert Codec(more, Source.PROFILE).fingerprint == Codec(SCHEMA, Source.PROFILE).fingerprint


def test_a_definition_of_another_layout_or_source_is_refused() -> None:
    codec = Codec(SCHEMA, Source.PROFILE)
    with pytest.raises(ValueError, match="layout 2 is not known"):
        codec.learn(codec.definition | {"layout": 2})
    with pytest.raises(ValueError, match="not of profile"):
        codec.learn(codec.definition | {"source": "behaviour", "features": []})


def test_a_vector_is_as_small_as_its_parts() -> None:
    # fingerprint and time 16, two update times 8, a number 8, a code 2, a byte of bits
    assert [len(blob) for blob in Codec(SCHEMA, Source.PROFILE).encode(np.zeros((2, 4)), NOW)] == [35, 35]
