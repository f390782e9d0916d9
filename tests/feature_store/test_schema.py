import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feature_store.documents import WorkspaceError
from feature_store.schema import Feature, FeatureSchema, FeatureType, Source


def load(tmp_path: Path, features: str) -> FeatureSchema:
    path = tmp_path / "features.yaml"
    path.write_text("features:\n" + features)
    return FeatureSchema.load(path)


def complaint(tmp_path: Path, feature: str) -> str:
    with pytest.raises(WorkspaceError) as caught:
        load(tmp_path, feature)
    return str(caught.value)


def test_columns_follow_the_file_and_a_set_has_one_for_each_member(schema: FeatureSchema) -> None:
    assert schema.columns == (
        "age",
        "is_business",
        "segment",
        "products=fibre_500",
        "products=mobile_5g",
        "products=tv",
        "contract_end",
        "visits_30d",
        "last_page",
        "page",
    )
    assert schema.width == 10
    assert schema.slice("products") == slice(3, 6)
    assert [feature.name for feature in schema.by_source(Source.BEHAVIOUR)] == ["visits_30d", "last_page"]
    assert schema.feature("age").max_age == 365 * 86_400


def test_defaults_stand_in_their_columns_and_cannot_be_changed(schema: FeatureSchema) -> None:
    nan = math.nan
    np.testing.assert_array_equal(schema.defaults, [40, 0, nan, 0, 0, 0, nan, nan, nan, nan])
    with pytest.raises(ValueError, match="read-only"):
        schema.defaults[0] = 1


def test_an_unknown_name_gets_a_suggestion(schema: FeatureSchema) -> None:
    with pytest.raises(KeyError, match="did you mean 'segment'"):
        schema.feature("segmnt")
    with pytest.raises(KeyError, match="did you mean 'age'"):
        schema.slice("aeg")


def test_the_fingerprint_covers_what_values_mean_not_how_they_are_described(
    schema: FeatureSchema,
) -> None:
    def with_age(**changes: object) -> str:
        first, *others = schema.features
        return FeatureSchema((replace(first, **changes), *others)).fingerprint  # type: ignore[arg-type]

    assert len(schema.fingerprint) == 16
    assert with_age(description="Years", default=None, max_age=None) == schema.fingerprint
    assert with_age(name="years") != schema.fingerprint
    assert with_age(type=FeatureType.TIMESTAMP) != schema.fingerprint
    assert with_age(source=Source.BEHAVIOUR) != schema.fingerprint
    assert FeatureSchema(schema.features[::-1]).fingerprint != schema.fingerprint
    assert FeatureSchema.from_definition(schema.definition()).fingerprint == schema.fingerprint


def test_the_fingerprint_never_changes_by_itself() -> None:
    schema = FeatureSchema(
        (
            Feature("age", FeatureType.NUMBER, Source.PROFILE),
            Feature("segment", FeatureType.CATEGORY, Source.CONTEXT, levels=("a", "ü")),
        )
    )
    assert schema.fingerprint == "21e4afb63d49a40f"


def test_a_definition_can_be_of_some_features_only(schema: FeatureSchema) -> None:
    assert schema.definition(["segment", "age"]) == [
        {
            "name": "segment",
            "type": "category",
            "source": "profile",
            "levels": ["consumer", "soho", "enterprise"],
        },
        {"name": "age", "type": "number", "source": "profile"},
    ]


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (
            "  Age: {type: number, source: profile, description: d}",
            "features.yaml:2: features.Age: a feature's name",
        ),
        (
            "  action: {type: number, source: profile, description: d}",
            "'action' is the name of a built-in column",
        ),
        ("  a: {type: number, source: profile}", "features.a: 'description' is missing"),
        ("  a: {type: nmber, source: profile, description: d}", "did you mean 'number'?"),
        ("  a: {type: category, source: profile, description: d}", "features.a: a category needs its levels"),
        ("  a: {type: set, source: profile, description: d}", "features.a: a set needs its members"),
        ("  a: {type: flag, source: profile, levels: [x], description: d}", "only a category has levels"),
        ("  a: {type: category, source: profile, levels: [x, x], description: d}", "'x' is listed twice"),
        (
            "  a: {type: set, source: profile, members: ['x|y'], description: d}",
            "must not be empty or contain '|'",
        ),
        ("  a: {type: number, source: profile, max_age: 3, description: d}", "such as 90s, 15m, 12h or 30d"),
        ("  a: {type: number, source: profile, max_age: 0d, description: d}", "such as 90s, 15m, 12h or 30d"),
        (
            "  a: {type: number, source: context, max_age: 3d, description: d}",
            "context comes with the request",
        ),
        (
            "  a: {type: number, source: profile, default: old, description: d}",
            "a.default: must be a finite number",
        ),
        (
            "  a: {type: category, source: profile, levels: [x], default: y, description: d}",
            "must be one of x, not",
        ),
    ],
)
def test_a_bad_declaration_is_refused_with_its_line_and_what_would_be_right(
    tmp_path: Path, feature: str, message: str
) -> None:
    found = complaint(tmp_path, feature)
    assert message in found
    assert found.startswith("features.yaml:2: ")


@pytest.mark.parametrize(("age", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000)])
def test_an_age_is_a_number_and_a_unit(tmp_path: Path, age: str, seconds: int) -> None:
    schema = load(tmp_path, f"  a: {{type: number, source: profile, max_age: {age}, description: d}}")
    assert schema.feature("a").max_age == seconds


def test_encoding_names_each_wrong_value_and_leaves_its_columns_alone(schema: FeatureSchema) -> None:
    out = np.arange(10.0)
    errors = schema.encode(
        {
            "age": True,
            "is_business": 1,
            "segment": "enterprize",
            "products": ["tv", "radio"],
            "contract_end": "tomorrow",
            "page": "home",
            "agee": 3,
        },
        out,
        [Source.PROFILE],
    )
    assert [str(error) for error in errors] == [
        "age: must be a finite number, not True",
        "is_business: must be true or false, not 1",
        "segment: must be one of consumer, soho, enterprise, not 'enterprize'; did you mean 'enterprise'?",
        "products: may hold fibre_500, mobile_5g, tv, not 'radio'",
        "contract_end: must be an ISO-8601 timestamp such as 2026-01-31T12:00:00Z, not 'tomorrow'",
        "page: is a context feature; only profile features can be set here",
        "agee: is not a declared profile feature; did you mean 'age'?",
    ]
    np.testing.assert_array_equal(out, np.arange(10.0))


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**400, "1", [1]])
def test_only_finite_numbers_are_numbers(schema: FeatureSchema, value: object) -> None:
    [error] = schema.encode({"age": value}, np.zeros(10), [Source.PROFILE])
    assert error.message.startswith("must be a finite number")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-01-31", "2026-01-31T00:00:00Z"),
        ("2026-01-31T12:00:00", "2026-01-31T12:00:00Z"),
        ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00Z"),
        ("1969-12-31T23:59:59.500000Z", "1969-12-31T23:59:59.500000Z"),
        ("0001-01-01", "0001-01-01T00:00:00Z"),
    ],
)
def test_timestamps_are_shown_in_utc(schema: FeatureSchema, text: str, shown: str) -> None:
    row = np.full(10, np.nan)
    assert schema.encode({"contract_end": text}, row, [Source.PROFILE]) == []
    assert schema.decode(row, Source.PROFILE) == {"contract_end": shown}


def test_an_empty_set_is_known_and_none_is_missing(schema: FeatureSchema) -> None:
    row = np.zeros(10)
    schema.encode({"products": [], "age": None, "segment": None}, row, [Source.PROFILE])
    assert schema.decode(row, Source.PROFILE)["products"] == []
    schema.encode({"products": None}, row, [Source.PROFILE])
    assert np.isnan(row[:1]).all()
    assert np.isnan(row[2:6]).all()
    assert schema.decode(row, Source.PROFILE).keys() == {"is_business", "contract_end"}
