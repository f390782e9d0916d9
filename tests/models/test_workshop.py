from pathlib import Path

import pytest

from feature_store.schema import FeatureSchema
from models.errors import TrainingError
from models.registry import Registry
from models.spec import ModelSpec
from models.workshop import TrainingReport, train_workspace


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
    reports = train_workspace(specs, schema, {"call_back": "service"}, world, Registry(tmp_path))
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
