"""What models become when they are bound to a workspace."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from feature_store.documents import WorkspaceError
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


def test_a_model_that_starts_untrained_serves_what_is_declared_until_a_version_does(
    copy: Path, world: Workspace
) -> None:
    path = copy / "models.yaml"
    declared = yaml.safe_load(path.read_text())
    for model in declared["models"].values():
        model["starts_untrained"] = True
    path.write_text(yaml.safe_dump(declared))
    shutil.move(copy / "models", copy.parent / "kept")
    workspace = load_workspace(copy)
    snapshot = workspace.snapshot()
    assert snapshot.model_versions == {}
    assert snapshot.priors.tolist() == [action.propensity for action in snapshot.catalogue.actions]
    assert workspace.declared_priors.keys() == workspace.action_models.keys()
    shutil.move(copy.parent / "kept", copy / "models")
    assert workspace.snapshot().model_versions == world.snapshot().model_versions
    assert workspace.snapshot(versions={}).model_versions == {}  # as it was then


def test_an_action_of_a_model_that_starts_untrained_declares_a_propensity(copy: Path) -> None:
    path = copy / "models.yaml"
    declared = yaml.safe_load(path.read_text())
    declared["models"]["model_1"]["starts_untrained"] = True
    path.write_text(yaml.safe_dump(declared))
    for actions in (copy / "actions").glob("*.yaml"):
        lines = actions.read_text().splitlines(keepends=True)
        actions.write_text("".join(line for line in lines if "propensity:" not in line))
    with pytest.raises(WorkspaceError, match=r"models\.yaml:\d+: models\.model_1\.starts_untrained: until"):
        load_workspace(copy)


def test_what_is_known_of_an_action_are_the_positives_that_its_model_has_seen(world: Workspace) -> None:
    snapshot = world.snapshot()
    answered = pq.read_table(world.folder / "outcomes.parquet").to_pylist()
    assert snapshot.evidence is not None
    known = dict(zip((action.name for action in snapshot.catalogue.actions), snapshot.evidence, strict=True))
    for action in snapshot.catalogue.actions:
        positive = world.specs[action.model or ""].positive
        rows = {
            row["decision_id"]
            for row in answered
            if row["action"] == action.name and row["outcome"] in positive
        }
        assert known[action.name] == len(rows) > 0


def test_an_action_may_say_how_much_is_known_of_it_and_a_new_one_has_everything_to_learn(
    copy: Path, world: Workspace
) -> None:
    first, second = world.catalogue.actions[:2]
    path = copy / "actions" / f"{first.issue}.yaml"
    text = path.read_text().replace(f"{first.name}:", "brand_new:")
    assert second.issue == first.issue
    indent = text[: text.index(f"{second.name}:")].rpartition("\n")[2]
    text = text.replace(f"{second.name}:\n", f"{second.name}:\n{indent}  evidence: 7\n")
    path.write_text(text)
    snapshot = load_workspace(copy).snapshot()
    index = snapshot.catalogue.action_index
    assert snapshot.evidence is not None
    assert snapshot.evidence[index["brand_new"]] == 0
    assert snapshot.evidence[index[second.name]] == 7
    known = snapshot.ways.noise[snapshot.explorations[snapshot.exploration]]
    width = snapshot.ways.noises[known][:, -1]
    assert width[index["brand_new"]] == width[index[second.name]] > width.min()


def test_what_no_model_has_seen_and_nobody_has_declared_follows_the_rate_of_its_group(
    copy: Path, world: Workspace
) -> None:
    first, second = world.catalogue.actions[:2]
    path = copy / "actions" / f"{first.issue}.yaml"
    text = path.read_text().replace(f"{first.name}:", "brand_new:").replace(f"{second.name}:", "declared:")
    head, _, tail = text.partition("brand_new:")
    lines = tail.splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if "propensity:" in line)
    path.write_text(head + "brand_new:" + "".join([*lines[:place], *lines[place + 1 :]]))
    models = copy / "models.yaml"
    models.write_text(models.read_text().replace("positive:", "adapts: {delay: 0}\n    positive:"))
    snapshot = load_workspace(copy).snapshot()
    index = snapshot.catalogue.action_index
    assert snapshot.adaptation is not None
    assert snapshot.adaptation.unseen[index["brand_new"]] == snapshot.priors[index["brand_new"]]
    assert np.isnan(np.delete(snapshot.adaptation.unseen, index["brand_new"])).all()
