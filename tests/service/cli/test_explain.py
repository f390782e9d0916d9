"""`arbiter explain`: a running service is asked, and a person can read its answer."""

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from feature_store.schema import FeatureType, Source
from service.cli import console
from service.cli.main import app
from service.workspace.loading import Workspace

Serve = Any  # the fixture that starts a service


@pytest.fixture
def explained(world: Workspace, tmp_path: Path, serve: Serve) -> Any:
    """A service whose first action is out by a rule, and the words of the others' models."""
    folder = tmp_path / "world"
    shutil.copytree(world.folder, folder)
    number = next(f for f in world.schema.by_source(Source.PROFILE) if f.type is FeatureType.NUMBER)
    rule = {
        "name": "only_the_rich",
        "description": "Nobody else may have it",
        "when": f"customer.{number.name} > 1e9",
        "action": world.catalogue.actions[0].name,
    }
    (folder / "policies.yaml").write_text(yaml.safe_dump({"eligibility": [rule]}))
    with serve(workspace=folder) as client:
        client.put("/v1/customers/explained-1", json={"profile": {number.name: 5}})
        yield client


def run(*words: str, client: httpx.Client | None = None, status: int = 0) -> str:
    """What the command prints, once it has ended with that status."""
    at = ["--url", str(client.base_url)] if client else []
    result = CliRunner().invoke(app, ["explain", *words, *at])
    assert result.exit_code == status, result.output
    return result.output


def test_it_shows_what_was_chosen_what_lost_and_what_was_taken_out_and_why(
    explained: httpx.Client, world: Workspace
) -> None:
    shown = run("explained-1", "--channel", "web", "--all", client=explained)
    asked = {"customer_id": "explained-1", "channel": "web", "explain": "full", "dry_run": True}
    answer = explained.post("/v1/decisions", json=asked).json()
    for placement in answer["placements"]:
        for offered in placement["actions"]:
            assert f"{offered['rank']}. {offered['action']} as {offered['treatment']}" in shown
            assert f"= {offered['priority']:,.4g}" in shown
    for candidate in answer["explanation"]:
        assert candidate["action"] in shown
        if candidate["stage"] == "slate":
            assert f"{candidate['priority']:,.4g}" in shown
    loser = next(entry for entry in answer["explanation"] if entry["break_even"])
    assert f"{loser['break_even']['value']:,.4g}" in shown
    assert f"{loser['break_even']['beats']} in {loser['break_even']['placement']}" in shown
    assert "only_the_rich: Nobody else may have it" in shown
    assert "> 1e9" in shown
    assert "=5" in shown
    assert "moved the model: " in shown


def test_it_says_what_a_value_is_made_of_and_what_is_mandatory(
    world: Workspace, tmp_path: Path, serve: Serve
) -> None:
    folder = tmp_path / "world"
    shutil.copytree(world.folder, folder)
    path = next(iter(sorted((folder / "actions").glob("*.yaml"))))
    document = yaml.safe_load(path.read_text())
    for group in document["groups"].values():
        for action in group["actions"].values():
            action |= {"value": 900, "customer_value": 200, "mandatory": True}
    path.write_text(yaml.safe_dump(document))
    scaling = {"method": "square_root", "reference": 100}
    policies = {"arbitration": {"value_scaling": scaling, "customer_benefit_weight": 0.5}}
    (folder / "policies.yaml").write_text(yaml.safe_dump(policies))
    with serve(workspace=folder) as client:
        shown = " ".join(run("anybody", "--channel", "web", client=client).split())
    assert "mandatory: it comes before all priorities" in shown
    assert "V is 1,000 before scaling, from 900 for the business and 200 for the customer" in shown


@pytest.mark.parametrize("width", [80, 160])
def test_no_line_is_wider_than_the_paper(
    explained: httpx.Client, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.out, "width", width)
    lines = run("explained-1", "--channel", "web", "--all", client=explained).splitlines()
    assert 40 < max(len(line) for line in lines) <= width


def test_only_the_best_losers_are_shown_unless_all_are_asked_for(explained: httpx.Client) -> None:
    asked = ("explained-1", "--channel", "web", "--placement", "home_hero")
    short, long = run(*asked, client=explained), run(*asked, "--all", client=explained)
    assert "--all shows the others" in short
    assert "--all" not in long
    assert len(short.splitlines()) < len(long.splitlines())


def test_one_placement_and_a_context_can_be_asked_for(explained: httpx.Client, world: Workspace) -> None:
    category = next(f for f in world.schema.by_source(Source.CONTEXT) if f.type is FeatureType.CATEGORY)
    shown = run(
        "explained-1",
        *("--channel", "web", "--placement", "home_tiles"),
        *("--context", f"{category.name}={category.levels[0]}", "--context", "no_such=1"),
        client=explained,
    )
    assert "home_tiles" in shown
    assert "home_hero" not in shown
    assert "context.no_such: is not a context feature" in shown
    assert f"context.{category.name}" not in shown


def test_it_counts_nothing(explained: httpx.Client) -> None:
    def decided() -> str:
        text = explained.get("/metrics").text
        return "\n".join(line for line in text.splitlines() if line.startswith("arbiter_decisions_total"))

    before = decided()
    run("explained-1", "--channel", "web", client=explained)
    assert decided() == before


def test_a_visitor_is_asked_for_by_the_prefix(explained: httpx.Client) -> None:
    assert run("anonymous:v1", "--channel", "web", client=explained).startswith("visitor v1 in web")


def test_as_json_it_is_the_answer_of_the_service(explained: httpx.Client, world: Workspace) -> None:
    answer = json.loads(run("explained-1", "--channel", "web", "--json", client=explained))
    assert len(answer["explanation"]) == len(world.catalogue.actions)


def test_a_placement_that_stays_empty_says_why(world: Workspace, tmp_path: Path, serve: Serve) -> None:
    folder = tmp_path / "world"
    shutil.copytree(world.folder, folder)
    stopped = [action.name for action in world.catalogue.actions]
    (folder / "policies.yaml").write_text(yaml.safe_dump({"emergency_exclusion": stopped}))
    with serve(workspace=folder) as client:
        shown = run("c1", "--channel", "web", client=client)
    assert "home_hero: nothing (nothing_available)" in shown
    assert "and 9 more" in shown
    assert "emergency_exclusion: the action was stopped" in shown


def test_what_the_service_refuses_is_told_in_its_words(client: httpx.Client) -> None:
    told = run("c1", "--channel", "wbe", client=client, status=1)
    assert "channel: is not a channel of the catalogue; did you mean 'web'?" in told
    both = run("c1", "--channel", "web", "--placement", "a", "--placement", "b", client=client, status=1)
    assert "placements[0].id channel 'web' has no such placement" in both
    assert "placements[1].id channel 'web' has no such placement" in both


def test_a_service_that_is_not_there_is_told_with_what_to_do() -> None:
    told = run("c1", "--channel", "web", "--url", "127.0.0.1:1", status=1)
    assert "no service answers at http://127.0.0.1:1: " in told
    assert "arbiter run" in told


@pytest.mark.parametrize("url", ["ftp//nonsense", "http://[", "gopher://127.0.0.1"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    assert "no service answers at" in run("c1", "--channel", "web", "--url", url, status=1)


def test_an_address_of_something_else_is_told(client: httpx.Client) -> None:
    told = run("c1", "--channel", "web", "--url", f"{client.base_url}/nowhere", status=1)
    assert "there is nothing at /nowhere/v1/decisions" in told


@pytest.mark.parametrize("given", ["page", "=home"])
def test_a_context_without_a_name_or_a_value_is_told(given: str) -> None:
    told = run("c1", "--channel", "web", "--context", given, status=1)
    assert "must be NAME=VALUE" in told


def test_what_was_left_to_chance_is_told_with_its_probability_and_who_was_the_best(
    world: Workspace, tmp_path: Path, serve: Serve
) -> None:
    folder = tmp_path / "world"
    shutil.copytree(world.folder, folder)
    exploring = {"exploration": {"method": "epsilon", "epsilon": 1.0}}
    (folder / "policies.yaml").write_text(yaml.safe_dump(exploring))
    with serve(workspace=folder) as client:
        for number in range(40):
            shown = run(f"c{number}", "--channel", "web", "--placement", "home_hero", client=client)
            assert "left to chance: its probability was" in shown
            if ", the best" in shown:
                break
        else:
            pytest.fail("40 draws of 12 actions chose the best of them each time")
