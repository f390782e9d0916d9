"""`arbiter replay`: a recorded decision is made again, and is the same."""

import shutil
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from typer.testing import CliRunner, Result

from feature_store.embedded import EmbeddedStore
from service.cli.main import app
from service.workspace.loading import Workspace

Serve = Any  # the fixture that starts a service


@pytest.fixture
def folder(world: Workspace, tmp_path: Path) -> Path:
    """A copy of the world, to change."""
    copy = tmp_path / "world"
    shutil.copytree(world.folder, copy)
    return copy


def decided(client: httpx.Client, customer_id: str, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/decisions", json={"customer_id": customer_id, "channel": "web", **body})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def replayed(store: EmbeddedStore, folder: Path, decision_id: str) -> Result:
    return CliRunner().invoke(
        app, ["replay", decision_id, "--workspace", str(folder), "--redis-url", store.url]
    )


def unrecorded(client: httpx.Client) -> float:
    """How many decisions could not be recorded."""
    lines = client.get("/metrics").text.splitlines()
    return next(
        float(line.split()[1]) for line in lines if line.startswith("arbiter_decisions_unrecorded_total")
    )


def test_a_decision_is_the_same_again_also_after_everything_has_changed(
    serve: Serve, folder: Path, world_store: EmbeddedStore
) -> None:
    with serve(workspace=folder, replay_share=1.0) as client:
        before = [decided(client, f"c{number}", context={"page": "home"}) for number in range(20)]
        batch = client.post(
            "/v1/decisions/batch",
            json={"requests": [{"customer_id": f"c{n}", "channel": "web"} for n in range(20)]},
        ).json()["decisions"]
        policies = {"arbitration": {"value": False, "propensity": False}}
        (folder / "policies.yaml").write_text(yaml.safe_dump(policies))
        assert client.post("/v1/admin/reload").status_code == 200
        client.put("/v1/customers/c1", json={"profile": {}})
        after = decided(client, "c1")
    assert after["versions"] != before[0]["versions"]
    for document in [*before, *batch, after]:
        result = replayed(world_store, folder, document["decision_id"])
        assert result.exit_code == 0, result.output
        assert "the same, field by field" in result.output


def test_a_decision_for_who_takes_part_in_experiments_is_the_same_again(
    serve: Serve, folder: Path, world_store: EmbeddedStore
) -> None:
    arms = {"few": {"share": "50%", "withhold": "everything"}, "others": {"from": "50%", "share": "50%"}}
    holdout = {"namespace": "holdout", "arms": arms}
    (folder / "experiments.yaml").write_text(yaml.safe_dump({"experiments": {"holdout": holdout}}))
    with serve(workspace=folder, replay_share=1.0) as client:
        documents = [decided(client, f"c{number}") for number in range(10)]
    assert {document["arm"] for document in documents} == {"holdout.few", "holdout.others"}
    for document in documents:
        result = replayed(world_store, folder, document["decision_id"])
        assert result.exit_code == 0, result.output


def test_what_was_not_recorded_is_said_with_the_reasons(
    serve: Serve, folder: Path, world_store: EmbeddedStore
) -> None:
    with serve(workspace=folder, replay_share=1.0) as client:
        dry = decided(client, "c1", dry_run=True)
    with serve(workspace=folder, replay_share=0.0) as client:
        left_out = decided(client, "c1")
    for decision_id in (dry["decision_id"], left_out["decision_id"], "no-such-id"):
        result = replayed(world_store, folder, decision_id)
        assert result.exit_code == 1
        assert "is not recorded" in result.output


def test_a_model_that_is_no_more_in_the_registry_is_named(
    serve: Serve, folder: Path, world_store: EmbeddedStore
) -> None:
    with serve(workspace=folder, replay_share=1.0) as client:
        document = decided(client, "c2")
    name, version = next(iter(document["versions"]["models"].items()))
    shutil.rmtree(folder / "models" / name / version)
    result = replayed(world_store, folder, document["decision_id"])
    assert result.exit_code == 1
    assert name in result.output
    assert version in result.output


def test_a_share_of_the_decisions_is_recorded(serve: Serve, folder: Path, world_store: EmbeddedStore) -> None:
    with serve(workspace=folder, replay_share=0.5) as client:
        ids = [decided(client, "c3")["decision_id"] for _ in range(12)]
    results = [replayed(world_store, folder, decision_id).exit_code for decision_id in ids]
    assert 0 < sum(results) < len(ids)


def test_recording_never_holds_up_a_decision_when_the_store_is_away(serve: Serve, folder: Path) -> None:
    with serve(workspace=folder, replay_share=1.0, redis_url="redis://127.0.0.1:1/0") as client:
        before = unrecorded(client)
        assert decided(client, "c1")["mode"] == "degraded"
        deadline = time.monotonic() + 20
        while unrecorded(client) == before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
