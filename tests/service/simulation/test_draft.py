"""The workspace of a simulation."""

from pathlib import Path

import pytest
import yaml

from service.simulation.draft import Draft
from service.simulation.errors import SimulationError
from service.workspace.loading import load_workspace

from .shop import LIKES, NEWCOMER, write_shop

JOINS = 2_000_000_000.0
TELCO = Path(__file__).resolve().parents[3] / "examples" / "telco"


def test_it_begins_without_models_and_takes_those_that_are_ready(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop")
    models = load_workspace(shop).action_models
    draft = Draft(shop, tmp_path / "draft", newcomer=NEWCOMER, joins=JOINS)
    assert load_workspace(draft.folder).action_models == {}
    draft.declare(models, {"drinks"})
    assert load_workspace(draft.folder).action_models == models


def test_the_newcomer_waits_for_its_day(tmp_path: Path) -> None:
    draft = Draft(write_shop(tmp_path / "shop"), tmp_path / "draft", newcomer=NEWCOMER, joins=JOINS)
    actions = {action.name: action for action in load_workspace(draft.folder).catalogue.actions}
    assert actions[NEWCOMER].active
    assert actions[NEWCOMER].start == JOINS
    assert all(actions[name].start < JOINS for name in LIKES)


def test_an_action_keeps_its_own_model_when_that_of_its_issue_is_not_ready(tmp_path: Path) -> None:
    models = load_workspace(TELCO).action_models
    draft = Draft(TELCO, tmp_path / "draft", newcomer="tablet_bundle", joins=JOINS)
    draft.declare(models, {"service"})
    declared = load_workspace(draft.folder).action_models
    assert models["roaming_pass"] == "sales"
    assert declared == {action: model for action, model in models.items() if model == "service"}


def test_an_action_without_a_prior_is_named(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop")
    path = shop / "actions" / "drinks.yaml"
    document = yaml.safe_load(path.read_text())
    del document["groups"]["cups"]["actions"]["tea"]["propensity"]
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(SimulationError, match=r"drinks\.yaml: 'tea' has no `propensity`"):
        Draft(shop, tmp_path / "draft", newcomer=NEWCOMER, joins=JOINS)


def test_a_newcomer_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="no action 'wine'"):
        Draft(write_shop(tmp_path / "shop"), tmp_path / "draft", newcomer="wine", joins=JOINS)
