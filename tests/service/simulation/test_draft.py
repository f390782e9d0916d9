"""The workspace of a simulation."""

from pathlib import Path

import pytest
import yaml

from service.simulation.draft import write_draft, write_that_stays
from service.simulation.errors import SimulationError
from service.workspace.loading import load_workspace

from .shop import LIKES, NEWCOMER, write_shop

JOINS = 2_000_000_000.0
TELCO = Path(__file__).resolve().parents[3] / "examples" / "telco"


def test_its_models_begin_untrained(tmp_path: Path) -> None:
    write_draft(TELCO, tmp_path / "draft", newcomer="tablet_bundle", joins=JOINS)
    draft = load_workspace(tmp_path / "draft")
    assert draft.action_models == load_workspace(TELCO).action_models
    assert {name for name, spec in draft.specs.items() if spec.starts_untrained} == {
        name for name, spec in draft.specs.items() if spec.positive
    }


def test_the_one_that_stays_follows_no_outcomes(tmp_path: Path) -> None:
    write_draft(TELCO, tmp_path / "draft", newcomer="tablet_bundle", joins=JOINS)
    write_that_stays(tmp_path / "draft", tmp_path / "stays")
    assert any(spec.adapts for spec in load_workspace(tmp_path / "draft").specs.values())
    assert not any(spec.adapts for spec in load_workspace(tmp_path / "stays").specs.values())


def test_the_newcomer_waits_for_its_day(tmp_path: Path) -> None:
    write_draft(write_shop(tmp_path / "shop"), tmp_path / "draft", newcomer=NEWCOMER, joins=JOINS)
    actions = {action.name: action for action in load_workspace(tmp_path / "draft").catalogue.actions}
    assert actions[NEWCOMER].active
    assert actions[NEWCOMER].start == JOINS
    assert all(actions[name].start < JOINS for name in LIKES)


def test_an_action_without_a_prior_is_named(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop")
    path = shop / "actions" / "drinks.yaml"
    document = yaml.safe_load(path.read_text())
    del document["groups"]["cups"]["actions"]["tea"]["propensity"]
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(SimulationError, match=r"drinks\.yaml: 'tea' has no `propensity`"):
        write_draft(shop, tmp_path / "draft", newcomer=NEWCOMER, joins=JOINS)


def test_a_newcomer_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="no action 'wine'"):
        write_draft(write_shop(tmp_path / "shop"), tmp_path / "draft", newcomer="wine", joins=JOINS)
