"""What models become when they are bound to a workspace."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from models.errors import PreloadRefused
from service.workspace.loading import Workspace, load_workspace


@pytest.fixture
def copy(world: Workspace, tmp_path: Path) -> Path:
    """A copy of the world's workspace, with its models, to change."""
    folder = tmp_path / "world"
    shutil.copytree(world.folder, folder)
    return folder


def test_each_model_scores_the_actions_that_name_it(world: Workspace) -> None:
    snapshot = world.snapshot()
    for model in snapshot.models:
        named = [action.model == model.name for action in snapshot.catalogue.actions]
        assert model.actions.tolist() == named
        assert not np.isnan(model.action_codes[model.actions]).any()


def test_an_action_that_its_model_has_never_seen_keeps_its_prior(copy: Path, world: Workspace) -> None:
    path = copy / "actions" / f"{world.catalogue.actions[0].issue}.yaml"
    name = world.catalogue.actions[0].name
    path.write_text(path.read_text().replace(f"{name}:", "brand_new:"))
    snapshot = load_workspace(copy).snapshot()
    new = snapshot.catalogue.action_index["brand_new"]
    assert not any(model.actions[new] for model in snapshot.models)
    assert snapshot.priors[new] == snapshot.catalogue.actions[new].propensity


def test_without_a_declared_propensity_the_prior_is_the_models_base_rate(
    copy: Path, world: Workspace
) -> None:
    for path in (copy / "actions").glob("*.yaml"):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if "propensity:" not in line))
    workspace = load_workspace(copy)
    models = workspace.registry.preload(sorted(workspace.specs), workspace.schema)
    snapshot = workspace.snapshot()
    expected = [models[a.model or ""].manifest.metrics.base_rate for a in snapshot.catalogue.actions]
    assert snapshot.priors.tolist() == expected


def test_with_one_damaged_model_nothing_is_served_and_the_reason_is_told(copy: Path) -> None:
    workspace = load_workspace(copy)
    name = workspace.registry.names()[0]
    model = copy / "models" / name / workspace.registry.champion(name) / "model.txt"
    model.chmod(0o644)
    model.write_bytes(model.read_bytes()[:-100])
    with pytest.raises(PreloadRefused, match=rf"model '{name}' version .*model\.txt"):
        workspace.snapshot()


def test_a_model_that_was_never_trained_is_told_by_its_name(copy: Path) -> None:
    shutil.rmtree(copy / "models")
    with pytest.raises(PreloadRefused, match="model_1"):
        load_workspace(copy).snapshot()
