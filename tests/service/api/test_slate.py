"""The rules of an answer as a whole, over real HTTP."""

import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from service.workspace.loading import Workspace

Serve = Any  # the fixture that starts a service


@pytest.fixture
def folder(world: Workspace, tmp_path: Path) -> Path:
    """A copy of the world, to change."""
    copy = tmp_path / "world"
    shutil.copytree(world.folder, copy)
    return copy


def pair(world: Workspace) -> tuple[str, str]:
    """Two actions that fit the same placement of web, which takes both."""
    catalogue = world.catalogue
    for slot in catalogue.channel_slots["web"]:
        fitting = (catalogue.slot_treatments[slot] >= 0).nonzero()[0].tolist()
        if catalogue.slots[slot].placement.limit > 1 and len(fitting) > 1:
            return catalogue.actions[fitting[0]].name, catalogue.actions[fitting[1]].name
    raise AssertionError("the world has no placement for two")


def policies(folder: Path, **changes: Any) -> None:
    """Write policies.yaml."""
    (folder / "policies.yaml").write_text(yaml.safe_dump(changes))


def all_but(world: Workspace, *names: str) -> list[str]:
    return [action.name for action in world.catalogue.actions if action.name not in names]


def decided(client: httpx.Client, **asked: Any) -> dict[str, Any]:
    answer = client.post("/v1/decisions", json={"customer_id": "c1", "channel": "web", **asked})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def offered(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [action for placement in document["placements"] for action in placement["actions"]]


def test_a_limit_of_the_answer_holds_over_its_placements_and_is_named(serve: Serve, folder: Path) -> None:
    policies(folder, slate={"limits": [{"name": "just_one", "at_most": 1, "description": "One is enough"}]})
    with serve(workspace=folder) as client:
        document = decided(client, explain="full")
        assert len(offered(document)) == 1
        reasons = {p["no_action"]["reason"] for p in document["placements"] if p["no_action"]}
        assert reasons == {"answer_limit_reached"}
        kept_out = [entry for entry in document["explanation"] if entry["rule"] == "limit:just_one"]
        assert kept_out
        assert {(entry["stage"], entry["meaning"]) for entry in kept_out} == {("slate", "One is enough")}
        assert 'reason="answer_limit_reached"' in client.get("/metrics").text


def test_a_bundle_shows_in_the_answer_with_the_place_of_each_action(
    serve: Serve, folder: Path, world: Workspace
) -> None:
    lead, other = pair(world)
    bundle = {"name": "both", "kind": "fixed", "actions": [other, lead]}
    policies(folder, slate={"bundles": [bundle]}, emergency_exclusion=all_but(world, lead, other))
    with serve(workspace=folder) as client:
        found = offered(decided(client))
        assert [action["action"] for action in found] == [other, lead]
        assert [action["bundle"] for action in found] == [
            {"name": "both", "position": 1},
            {"name": "both", "position": 2},
        ]
        split = decided(client, exclude=[lead])
        assert offered(split) == []
        assert "bundle_incomplete" in {p["no_action"]["reason"] for p in split["placements"]}


def test_an_answer_of_nothing_but_fallbacks_says_so(serve: Serve, folder: Path, world: Workspace) -> None:
    safe, other = pair(world)
    for path in (folder / "actions").glob("*.yaml"):
        written = yaml.safe_load(path.read_text())
        for group in written["groups"].values():
            if safe in group["actions"]:
                group["actions"][safe]["fallback"] = True
        path.write_text(yaml.safe_dump(written, sort_keys=False))
    policies(folder, emergency_exclusion=all_but(world, safe, other))
    with serve(workspace=folder) as client:
        document = decided(client)
        assert document["mode"] == "full"
        assert other in {action["action"] for action in offered(document)}
        document = decided(client, exclude=[other])
        assert (document["mode"], [action["action"] for action in offered(document)]) == ("fallback", [safe])
        assert 'mode="fallback"' in client.get("/metrics").text
