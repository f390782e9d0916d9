"""What counts how much, over real HTTP."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.workspace.loading import Workspace

Serve = Any  # the fixture that starts a service
QUESTION = {"customer_id": "c1", "channel": "web", "explain": "full", "dry_run": True}


@pytest.fixture
def folder(world: Workspace, tmp_path: Path) -> Path:
    """A copy of the world, to change."""
    copy = tmp_path / "world"
    shutil.copytree(world.folder, copy)
    return copy


def write(folder: Path, **policies: Any) -> None:
    (folder / "policies.yaml").write_text(yaml.safe_dump(policies))


def change(folder: Path, name: str, **keys: Any) -> None:
    """Give an action of the workspace other keys."""
    for path in (folder / "actions").glob("*.yaml"):
        document = yaml.safe_load(path.read_text())
        for group in document["groups"].values():
            if name in group["actions"]:
                group["actions"][name] |= keys
        path.write_text(yaml.safe_dump(document))


def answer(serve: Serve, folder: Path, **asked: Any) -> dict[str, Any]:
    with serve(workspace=folder) as client:
        found = client.post("/v1/decisions", json={**QUESTION, **asked})
        assert found.status_code == 200, found.text
        return dict(found.json())


def candidates(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["action"]: entry for entry in document["explanation"]}


def first(document: dict[str, Any]) -> str:
    return str(document["placements"][0]["actions"][0]["action"])


def test_a_scaled_value_multiplies_to_the_priority_and_is_shown_beside_what_it_is_made_of(
    serve: Serve, folder: Path, world: Workspace
) -> None:
    name = world.catalogue.actions[0].name
    change(folder, name, value={"formula": "context.cart_value * 10.0", "otherwise": 500}, customer_value=200)
    write(
        folder,
        arbitration={
            "customer_benefit_weight": 0.5,
            "value_scaling": {"method": "square_root", "reference": 100},
        },
    )
    known = candidates(answer(serve, folder, context={"cart_value": 80.0}))[name]
    assert known["worth"] == {"business": 800.0, "customer": 200.0, "raw": 900.0, "assumed": False}
    assert known["value"] == pytest.approx(300.0)
    unknown = candidates(answer(serve, folder))[name]
    assert unknown["worth"] == {"business": 500.0, "customer": 200.0, "raw": 600.0, "assumed": True}
    if unknown["priority"] is not None:
        product = unknown["propensity"] * unknown["context_weight"] * unknown["value"] * unknown["lever"]
        assert unknown["priority"] == pytest.approx(product)


def test_where_doing_nothing_is_better_the_placement_stays_empty_and_says_so(
    serve: Serve, folder: Path
) -> None:
    write(folder, do_nothing={"cost": {"web": 1e6}})
    document = answer(serve, folder)
    reason = {"reason": "doing_nothing_is_better", "stage": "arbitration"}
    assert [entry["no_action"] for entry in document["placements"]] == [reason] * len(document["placements"])
    out = [entry for entry in document["explanation"] if entry["rule"] == "do_nothing"]
    assert out
    assert {entry["stage"] for entry in out} == {"arbitration"}
    assert all(entry["observed"] == {"cost_of_contact": 1e6} for entry in out)
    assert all(entry["priority"] <= 1e6 for entry in out)


def test_a_threshold_is_named_with_its_number(serve: Serve, folder: Path) -> None:
    write(folder, thresholds=[{"name": "promising", "propensity": 1.0}])
    document = answer(serve, folder)
    out = [entry for entry in document["explanation"] if entry["rule"] == "promising"]
    assert {(entry["stage"], entry["meaning"]) for entry in out} == {
        ("propensity", "the propensity is below 1")
    }
    assert document["placements"][0]["no_action"]["reason"] == "propensity_too_low"


def test_what_is_mandatory_comes_first_and_past_all_that_would_stop_it(
    serve: Serve, folder: Path, world: Workspace
) -> None:
    usual = answer(serve, folder)
    last = [entry["action"] for entry in usual["explanation"] if entry["priority"] is not None][-1]
    assert first(usual) != last
    change(folder, last, mandatory="context.cart_value > 50.0")
    write(folder, do_nothing={"cost": {"web": 1e6}})
    document = answer(serve, folder, context={"cart_value": 80.0})
    assert first(document) == last
    assert candidates(document)[last]["mandatory"] is True
    assert answer(serve, folder, context={"cart_value": 20.0})["placements"][0]["actions"] == []


def test_the_catalogue_shows_a_value_as_a_number_or_as_its_formula(
    serve: Serve, folder: Path, world: Workspace
) -> None:
    one, other = (action.name for action in world.catalogue.actions[:2])
    change(folder, one, value={"formula": " context.cart_value * 10.0 ", "otherwise": 500})
    change(folder, other, value=12, customer_value="2.0 + 3.0")
    with serve(workspace=folder) as client:
        shown = {entry["action"]: entry for entry in client.get("/v1/catalogue").json()["actions"]}
    keys = ("value", "value_formula", "customer_value", "customer_value_formula")
    assert [shown[one][key] for key in keys] == [None, "context.cart_value * 10.0", 0.0, None]
    assert [shown[other][key] for key in keys] == [12.0, None, None, "2.0 + 3.0"]
