from pathlib import Path

import pytest

from feature_store.documents import WorkspaceError
from feature_store.schema import FeatureSchema
from models.spec import Adapts, ModelSpec, load_specs


def problems(path: Path, text: str, schema: FeatureSchema | None = None) -> list[str]:
    path.write_text(text)
    with pytest.raises(WorkspaceError) as caught:
        load_specs(path, schema)
    return [str(problem) for problem in caught.value.problems]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "models.yaml"


def test_models_are_read_in_the_order_of_the_file(specs: dict[str, ModelSpec], schema: FeatureSchema) -> None:
    assert list(specs) == ["sales", "service"]
    assert specs["sales"].positive == ("click", "convert")
    assert specs["sales"].reads(schema) == tuple(feature.name for feature in schema.features)
    assert specs["service"].reads(schema) == ("age", "page", "contract_end")


def test_an_unknown_feature_is_named_with_its_line_and_the_likely_name(
    path: Path, schema: FeatureSchema
) -> None:
    text = "models:\n  sales:\n    positive: [click]\n    description: d\n    features: [age,\n      visit]\n"
    assert problems(path, text, schema) == [
        "models.yaml:6: models.sales.features.1: 'visit' is not a declared feature; did you mean 'visits'?"
    ]


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("sales: {positive: [], description: d}", "models.sales.positive"),
        ("sales: {positive: [click]}", "'description' is missing"),
        ("sales: {positve: [click], description: d}", "did you mean 'positive'?"),
        ("sales: {positive: [click, click], description: d}", "'click' is listed 2 times"),
        ("sales: {positive: [Click], description: d}", "an outcome's name is lower-case"),
        ("'../sales': {positive: [click], description: d}", "a model's name is lower-case"),
    ],
)
def test_a_bad_declaration_says_what_would_be_right(path: Path, entry: str, complaint: str) -> None:
    found = problems(path, f"models:\n  {entry}\n")
    assert any(complaint in problem and problem.startswith("models.yaml:2:") for problem in found), found


@pytest.mark.parametrize(
    ("feature", "complaint"),
    [
        ("ages: increasing", "'ages' is not a declared feature; did you mean 'age'?"),
        ("visits: increasing", "the model does not read 'visits': add it to its `features`"),
        ("page: decreasing", "'page' is a category: only numbers, flags and timestamps have an order"),
        ("age: up", "'increasing' or 'decreasing'"),
    ],
)
def test_a_direction_that_can_not_be_held_is_named_with_its_line(
    path: Path, schema: FeatureSchema, feature: str, complaint: str
) -> None:
    text = (
        "models:\n  sales:\n    positive: [click]\n    description: d\n    features: [age, page]\n"
        f"    monotone:\n      {feature}\n"
    )
    found = problems(path, text, schema)
    assert len(found) == 1
    assert found[0].startswith(f"models.yaml:7: models.sales.monotone.{feature.split(':')[0]}")
    assert complaint in found[0]


def test_directions_are_read(path: Path, schema: FeatureSchema) -> None:
    path.write_text(
        "models: {sales: {positive: [click], description: d, monotone: {contract_end: decreasing}}}"
    )
    assert load_specs(path, schema)["sales"].monotone == {"contract_end": "decreasing"}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("{delay: 0}", Adapts(half_life=50, prior=10, delay=0)),
        ("{delay: 15m, half_life: 20, prior: 5}", Adapts(half_life=20, prior=5, delay="15m")),
    ],
)
def test_how_predictions_follow_outcomes_is_read(path: Path, said: str, meant: Adapts) -> None:
    path.write_text(f"models: {{sales: {{positive: [click], description: d, adapts: {said}}}}}")
    assert load_specs(path)["sales"].adapts == meant
    assert meant.delay in (0.0, 900.0)


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (
            "positive: [click], adapts: {half_life: 20}",
            "models.yaml:2: models.sales.adapts: 'delay' is missing",
        ),
        (
            "positive: [click], adapts: {delay: soon}",
            "models.sales.adapts.delay: must be 0, or a number and a unit",
        ),
        ("positive: [click], adapts: {delay: 0, half_life: 0}", "models.sales.adapts.half_life"),
        ("positive: [click], adapts: {delay: 0, halflife: 9}", "did you mean 'half_life'?"),
        (
            "positive: [click], control: nothing, starts_untrained: true",
            "models.sales.starts_untrained: until it is trained",
        ),
        (
            "positive: [click], control: nothing, adapts: {delay: 0}",
            "models.sales.adapts: only a probability",
        ),
        (
            "learns: {file: a.parquet, label: b, type: flag}, features: [age], adapts: {delay: 0}",
            "models.sales.adapts: only a probability",
        ),
    ],
)
def test_what_can_not_follow_outcomes_is_named_with_its_line(path: Path, entry: str, complaint: str) -> None:
    found = problems(path, f"models:\n  sales: {{{entry}, description: d}}\n")
    assert len(found) == 1
    assert complaint in found[0], found
