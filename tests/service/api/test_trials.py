"""Shadows and challengers, by calls and by commands, over real HTTP."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from feature_store.embedded import EmbeddedStore
from feature_store.logbook.rows import offer_rows
from models.registry import Registry
from service.cli.main import app
from service.workspace.loading import Workspace

from .conftest import metric
from .test_champions import serving
from .test_decision_log import logged
from .trials import constant_versions

Serve = Any  # the fixture that starts a service
MODEL = "model_1"
ARM = f"model:{MODEL}"
CUSTOMERS = [f"c{number}" for number in range(200)]


@pytest.fixture
def versions(world: Workspace, tmp_path: Path) -> dict[str, float]:
    """By version, the propensity that it gives to everything; the first is the champion."""
    return constant_versions(world, tmp_path / "world", MODEL)


@pytest.fixture
def folder(versions: dict[str, float], tmp_path: Path) -> Path:
    assert versions
    return tmp_path / "world"


@pytest.fixture
def modelled(world: Workspace) -> frozenset[str]:
    """The actions whose propensities come from the model."""
    return frozenset(name for name, model in world.action_models.items() if model == MODEL)


def change(client: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    answer = client.post(f"/v1/admin/models/{MODEL}/{path}", json=body)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


def decide(client: httpx.Client, customers: list[str]) -> list[dict[str, Any]]:
    asked = [{"customer_id": customer, "channel": "web"} for customer in customers]
    answer = client.post("/v1/decisions/batch", json={"requests": asked})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["decisions"]
    return found


def version_of(decision: dict[str, Any]) -> str:
    return str(decision["versions"]["models"][MODEL])


def offered(decision: dict[str, Any]) -> list[dict[str, Any]]:
    return [action for placement in decision["placements"] for action in placement["actions"]]


def decided_by(client: httpx.Client, version: str) -> set[str]:
    """The customers for whom a version decides."""
    return {d["customer_id"] for d in decide(client, CUSTOMERS) if version_of(d) == version}


def test_a_challenger_decides_for_its_share_of_the_customers_and_says_so(
    serve: Serve,
    folder: Path,
    world_store: EmbeddedStore,
    versions: dict[str, float],
    modelled: frozenset[str],
) -> None:
    champion, challenger, _ = versions
    with serve(workspace=folder, replay_share=1.0) as client:
        changed = change(client, "challenge", version=challenger, share="30%")
        assert (changed["version"], changed["share"]) == (challenger, 0.3)
        listed = {v["version"]: v for v in client.get("/v1/admin/models").json()["versions"]}
        assert [(listed[v]["role"], listed[v]["share"]) for v in versions] == [
            ("champion", pytest.approx(0.7)),
            ("challenger", 0.3),
            (None, 0.0),
        ]
        decisions = decide(client, CUSTOMERS)
        seen = set()
        for decision in decisions:
            version = version_of(decision)
            assert decision["experiments"] == {ARM: version}
            assert decision["arm"] == "next_best_action"
            scored = {a["propensity"] for a in offered(decision) if a["action"] in modelled}
            assert scored <= {versions[version]}
            seen |= scored
        assert seen == {versions[champion], versions[challenger]}
        theirs = [d for d in decisions if version_of(d) == challenger]
        assert 0.2 * len(CUSTOMERS) < len(theirs) < 0.4 * len(CUSTOMERS)
        for version, share in ((champion, 0.7), (challenger, 0.3)):
            labels = {"model": MODEL, "version": version}
            assert metric(client, "arbiter_model_share", **labels) == pytest.approx(share)
            assert metric(client, "arbiter_model_info", **labels) == 1
        entry, index = logged(world_store, theirs[0]["decision_id"])
        assert entry.models[MODEL] == challenger
        assert entry.experiments[index] == {ARM: challenger}
        change(client, "promote", version=challenger)
    for decision in (theirs[0], next(d for d in decisions if version_of(d) == champion)):
        arguments = ["--workspace", str(folder), "--redis-url", world_store.url]
        result = CliRunner().invoke(app, ["replay", decision["decision_id"], *arguments])
        assert result.exit_code == 0, result.output


def test_customers_stay_with_who_decides_for_them(
    serve: Serve, folder: Path, versions: dict[str, float]
) -> None:
    champion, one, two = versions
    with serve(workspace=folder) as client, serve(workspace=folder) as other:
        change(client, "challenge", version=one, share="20%")
        few = decided_by(client, one)
        alone = client.post("/v1/decisions", json={"customer_id": min(few), "channel": "web"}).json()
        assert version_of(alone) == one
        change(client, "challenge", version=two, share="40%")
        others = decided_by(client, two)
        change(client, "challenge", version=one, share="60%")
        many = decided_by(client, one)
        assert few < many
        assert decided_by(client, two) == others
        assert not others & many
        assert decided_by(client, champion) == set()
        other.post("/v1/admin/reload")
        assert decided_by(other, one) == many
        change(client, "withdraw", version=one)
        assert decided_by(client, one) == set()
        assert decided_by(client, two) == others
        change(client, "promote", version=two)
        assert decided_by(client, two) == set(CUSTOMERS)
        change(client, "rollback")
        assert decided_by(client, two) == others


def test_what_a_challenger_learns_of_reaches_the_other_workers(
    serve: Serve, folder: Path, versions: dict[str, float]
) -> None:
    _, challenger, _ = versions
    with serve(workspace=folder) as one, serve(workspace=folder) as other:
        change(one, "challenge", version=challenger, share="100%")
        for _ in range(1000):
            if decided_by(other, challenger) == set(CUSTOMERS):
                break
        else:
            pytest.fail("the other worker has not heard of it")


def test_a_shadow_is_logged_and_changes_nothing(
    serve: Serve,
    folder: Path,
    world_store: EmbeddedStore,
    versions: dict[str, float],
    modelled: frozenset[str],
) -> None:
    champion, shadow, challenger = versions
    with serve(workspace=folder) as client:
        before = [offered(d) for d in decide(client, CUSTOMERS)]
        changed = change(client, "shadow", version=shadow)
        assert (changed["version"], changed["share"]) == (shadow, 0.0)
        assert changed["versions"]["models"][MODEL] == champion
        counted = metric(client, "arbiter_shadow_difference_count", model=MODEL, version=shadow)
        decisions = decide(client, CUSTOMERS)
        for was, is_now in zip(before, map(offered, decisions), strict=True):
            assert [a | {"token": ""} for a in was] == [a | {"token": ""} for a in is_now]
        assert {version_of(d) for d in decisions} == {champion}
        assert all(d["experiments"] == {} for d in decisions)
        entry, _ = logged(world_store, decisions[0]["decision_id"])
        rows = offer_rows([entry]).to_pylist()
        assert any(row["action"] in modelled for row in rows)
        for row in rows:
            theirs = [(shadow, versions[shadow])] if row["action"] in modelled else []
            assert row["shadows"] == theirs
        now = metric(client, "arbiter_shadow_difference_count", model=MODEL, version=shadow)
        assert now >= counted + sum(row["action"] in modelled for row in rows)
        change(client, "challenge", version=challenger, share="100%")
        decision = decide(client, CUSTOMERS[:1])[0]
        entry, _ = logged(world_store, decision["decision_id"])
        assert entry.models[MODEL] == challenger
        assert {version for said in entry.picks.shadows for version in said} <= {shadow}
        change(client, "withdraw", version=shadow)
        entry, _ = logged(world_store, decide(client, CUSTOMERS[:1])[0]["decision_id"])
        assert entry.picks.shadows == []


def test_what_can_not_be_tried_out_is_refused_and_changes_nothing(
    serve: Serve, folder: Path, versions: dict[str, float]
) -> None:
    champion, one, two = versions
    registry = Registry(folder / "models")
    with serve(workspace=folder) as client:
        change(client, "challenge", version=one, share="70%")
        before, trials = serving(client), registry.trials()
        (folder / "models" / MODEL / two / "model.txt").unlink()
        for path, body, complaint in (
            (f"{MODEL}/shadow", {"version": two}, "model.txt is missing"),
            (f"{MODEL}/shadow", {"version": "1"}, "there is no such version"),
            (f"{MODEL}/shadow", {"version": champion}, "it is the champion"),
            (f"{MODEL}/challenge", {"version": one, "share": "7"}, "must be a percentage"),
            (f"{MODEL}/challenge", {"version": one, "share": "0.001%"}, "a multiple of 0.01%"),
            (f"{MODEL}/challenge", {"version": one, "share": "0%"}, "must be above 0%"),
            ("model_9/shadow", None, "there is no such model"),
            (f"{MODEL}/withdraw", {"version": two}, "it is not on trial"),
        ):
            answer = client.post(f"/v1/admin/models/{path}", json=body)
            assert answer.status_code == 422, answer.text
            assert complaint in answer.json()["errors"][0]["message"]
        assert (serving(client), registry.trials()) == (before, trials)
        unsaid = client.post(f"/v1/admin/models/{MODEL}/challenge", content=b'{"share": "1%"}')
        assert unsaid.status_code == 422
        assert "`content-type: application/json`" in unsaid.json()["errors"][0]["message"]
        (folder / "models.yaml").write_text("models: {}")
        assert client.post(f"/v1/admin/models/{MODEL}/withdraw").status_code == 422
        assert registry.trials() == trials


def test_a_trial_that_does_not_fit_any_more_is_named_with_the_way_out(
    serve: Serve, folder: Path, versions: dict[str, float]
) -> None:
    _, shadow, _ = versions
    with serve(workspace=folder) as client:
        change(client, "shadow", version=shadow)
        (folder / "models" / MODEL / shadow / "golden.npz").unlink()
        answer = client.post("/v1/admin/reload")
        assert answer.status_code == 422
        assert "golden.npz is missing; or end its trial with" in answer.json()["errors"][0]["message"]
        change(client, "withdraw")


def test_the_commands_begin_and_end_trials(folder: Path, versions: dict[str, float]) -> None:
    champion, one, newest = versions

    def arbiter(*arguments: str, status: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
        assert result.exit_code == status, result.output
        return result.output

    assert "is a shadow" in arbiter("shadow", str(folder), MODEL)
    assert "25% of the customers" in arbiter("challenge", str(folder), MODEL, one, "--share", "25%")
    listed = arbiter("models", str(folder)).splitlines()
    for version, role in ((champion, "champion"), (one, "challenger 25%"), (newest, "shadow")):
        assert any(version in line and role in line for line in listed)
    assert "leave only 75.00%" in arbiter("challenge", str(folder), MODEL, "--share", "80%", status=1)
    assert "must be a percentage" in arbiter("challenge", str(folder), MODEL, "--share", "80", status=1)
    assert "name one" in arbiter("withdraw", str(folder), MODEL, status=1)
    assert f"{one} is not on trial any more" in arbiter("withdraw", str(folder), MODEL, one)
    assert f"{newest} is not on trial any more" in arbiter("withdraw", str(folder), MODEL)
