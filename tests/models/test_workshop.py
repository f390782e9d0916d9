import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from feature_store.schema import FeatureSchema
from models.calibration import Platt
from models.errors import ModelRefused, TrainingError
from models.registry import Registry
from models.spec import ModelSpec
from models.workshop import TrainingReport, import_model, train_workspace


def test_every_model_that_an_action_uses_becomes_champion(
    reports: list[TrainingReport], trained: Registry
) -> None:
    assert [report.model for report in reports] == ["sales", "service"]
    assert {report.model: report.version for report in reports} == {
        name: trained.champion(name) for name in trained.names()
    }


def test_reports_count_what_was_logged(reports: list[TrainingReport]) -> None:
    assert sum(report.rows for report in reports) == 6_000
    for report in reports:
        assert 0 < report.positives < report.rows
        assert report.trees > 0
        assert report.warnings == ()


def test_a_declared_model_that_no_action_uses_is_left_out(
    world: Path, schema: FeatureSchema, specs: dict[str, ModelSpec], tmp_path: Path
) -> None:
    trained = train_workspace(specs, schema, {"call_back": "service"}, world, Registry(tmp_path))
    reports = trained.responses
    assert [report.model for report in reports] == ["service"]
    assert Registry(tmp_path).names() == ["service"]


def test_an_action_of_an_undeclared_model_is_an_error(
    world: Path, schema: FeatureSchema, specs: dict[str, ModelSpec], tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"action 'fibre' uses the model 'sale'.*did you mean 'sales'\?"):
        train_workspace(specs, schema, {"fibre": "sale"}, world, Registry(tmp_path))


def test_one_model_that_can_not_be_trained_leaves_the_registry_as_it_was(
    world: Path,
    schema: FeatureSchema,
    specs: dict[str, ModelSpec],
    action_models: dict[str, str],
    registry: Registry,
) -> None:
    before = sorted(registry.folder.rglob("*"))
    hopeless = {**specs, "service": ModelSpec("service", ("buy",), "never logged")}
    with pytest.raises(TrainingError, match=r"positive outcome \(buy\)"):
        train_workspace(hopeless, schema, action_models, world, registry)
    assert sorted(registry.folder.rglob("*")) == before


CARD = b"""{"base_score": 0, "base_odds": 0.5, "points_to_double_odds": 10, "characteristics": [
  {"column": "age", "bins": [{"below": 40, "points": -20}, {"below": 65, "points": 0}, {"points": 20}]}]}"""
FOREIGN: dict[str, Callable[[Registry], bytes]] = {
    "lightgbm": lambda registry: (registry.folder / "service" / "model.txt").read_bytes(),
    "onnx": lambda registry: (Path(__file__).parent / "onnx" / "logistic.onnx").read_bytes(),
    "scorecard": lambda registry: CARD,
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("calibrated", [True, False])
def test_a_model_from_elsewhere_becomes_champion_and_is_measured_like_our_own(
    kind: str,
    calibrated: bool,
    world: Path,
    schema: FeatureSchema,
    specs: dict[str, ModelSpec],
    action_models: dict[str, str],
    registry: Registry,
) -> None:
    ours = registry.champion("service")
    shutil.copy(registry.folder / "service" / ours / "model.txt", registry.folder / "service")
    report = import_model(
        "service",
        kind,
        FOREIGN[kind](registry),
        specs,
        schema,
        action_models,
        world,
        registry,
        calibrated=calibrated,
    )
    model = registry.load("service", schema)
    assert registry.champion("service") == model.version == report.version != ours
    assert model.manifest.kind == kind
    assert (model.calibration == Platt()) is not calibrated
    assert report.auc > 0.6  # the older, the likelier: all three know it
    assert report.ece_after < 0.15 or not calibrated


def test_a_model_from_elsewhere_that_does_not_fit_changes_nothing(
    world: Path,
    schema: FeatureSchema,
    specs: dict[str, ModelSpec],
    action_models: dict[str, str],
    registry: Registry,
) -> None:
    before = sorted(registry.folder.rglob("*"))
    sales = next((registry.folder / "sales").glob("2*/model.txt")).read_bytes()
    for kind, content, complaint in (
        ("lightgbm", sales, "reads 10 columns, and has to read 5"),
        ("onnx", sales, "ONNX Runtime can't read the model"),
        ("scorecard", sales, "the scorecard is not right"),
    ):
        with pytest.raises(ModelRefused, match=complaint):
            import_model("service", kind, content, specs, schema, action_models, world, registry)
    with pytest.raises(TrainingError, match=r"no action uses a model 'servise'; did you mean 'service'\?"):
        import_model("servise", "scorecard", CARD, specs, schema, action_models, world, registry)
    assert sorted(registry.folder.rglob("*")) == before
