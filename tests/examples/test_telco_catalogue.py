"""The default workspace: valid, large enough to be real, and written with care."""

import importlib
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from service.workspace.loading import Workspace, load_workspace
from service.world.offers import Offers

ALWAYS_OFF = {"copper_switch_off", "tablet_bundle", "back_to_school"}


@pytest.fixture(scope="module")
def workspace(telco: Path) -> Workspace:
    return load_workspace(telco)


@pytest.fixture(scope="module")
def entries(telco: Path) -> dict[str, dict[str, Any]]:
    """Each action as it is written, by name."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (telco / "actions").glob("*.yaml")]
    groups = [group for file in files for group in file["groups"].values()]
    return {name: entry for group in groups for name, entry in group["actions"].items()}


def test_it_is_as_large_as_a_real_company(workspace: Workspace) -> None:
    catalogue = workspace.catalogue
    offers = Offers.load(workspace.folder)
    assert len({action.issue for action in catalogue.actions}) >= 5
    assert len(catalogue.actions) >= 40
    assert len(offers.treatments) >= 60
    assert len(offers.placements) >= 8
    assert len(workspace.schema.features) >= 50
    assert 3 <= sum(bool(spec.positive) for spec in workspace.specs.values()) <= 5
    assert {slot.channel for slot in offers.placements} == {
        "web",
        "email",
        "push",
        "shop",
        "sales",
        "call_centre",
    }


def test_every_placement_has_a_choice(telco: Path) -> None:
    offers = Offers.load(telco)
    for slot in offers.placements:
        assert len(offers.shown_in(slot)) > slot.limit, slot


def test_every_action_has_a_prior_and_every_treatment_its_texts(entries: dict[str, dict[str, Any]]) -> None:
    for name, entry in entries.items():
        assert 0 < entry["propensity"] < 0.5, name
        assert len(entry["description"]) > 20, name
        for treatment, spec in entry["treatments"].items():
            assert set(spec["content"]) == {"headline", "text", "cta"}, treatment
            assert len(spec["content"]["headline"]) <= 60, treatment
            assert len(spec["content"]["text"]) <= 140, treatment
            assert len(spec["content"]["cta"]) <= 30, treatment


def test_no_two_treatments_say_the_same(entries: dict[str, dict[str, Any]]) -> None:
    texts = [spec["content"]["text"] for entry in entries.values() for spec in entry["treatments"].values()]
    assert len(set(texts)) == len(texts)


def test_all_but_three_actions_are_live_for_years(telco: Path) -> None:
    offers = Offers.load(telco)
    year = 365 * 86400.0
    today = 1_795_000_000.0  # November 2026, when the catalogue was written
    for moment in (today, max(today, time.time()) + year):
        off = {a.name for a in offers.actions if not (a.active and a.start <= moment < a.end)}
        assert off <= ALWAYS_OFF
    assert {a.name for a in offers.actions if not a.active} == {"tablet_bundle"}


def test_the_response_of_every_live_action_is_written_down(telco: Path, generator: ModuleType) -> None:
    effects = importlib.import_module("telco_demo.response").EFFECTS
    names = {action.name for action in Offers.load(telco).actions}
    assert set(effects) <= names
    assert names - set(effects) == {"copper_switch_off"}
