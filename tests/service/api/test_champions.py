"""Promoting a model and rolling it back, by one call and by one command."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from models.manifest import content_hash
from models.registry import Registry
from service.cli.main import app
from service.workspace.loading import Workspace

Serve = Any  # the fixture that starts a service
MODEL = "model_1"


@pytest.fixture
def folder(world: Workspace, tmp_path: Path) -> Path:
    """A copy of the world whose model has a newer version, which does not serve yet."""
    copy = tmp_path / "world"
    shutil.copytree(world.folder, copy)
    home = copy / "models" / MODEL
    first = Registry(copy / "models").champion(MODEL)
    manifest = json.loads((home / first / "manifest.json").read_text())
    newer = f"20991231T000000Z-{content_hash(manifest)}"
    shutil.copytree(home / first, home / newer)
    (home / newer / "manifest.json").chmod(0o644)
    (home / newer / "manifest.json").write_text(json.dumps({**manifest, "version": newer}))
    return copy


def serving(client: httpx.Client) -> str:
    versions: dict[str, Any] = client.get("/health/ready").json()["versions"]
    return str(versions["models"])


def test_a_promotion_and_a_rollback_reach_every_worker(serve: Serve, folder: Path) -> None:
    registry = Registry(folder / "models")
    first, newer = registry.versions(MODEL)
    with serve(workspace=folder) as one, serve(workspace=folder) as other:
        before = serving(one)
        answer = one.post(f"/v1/admin/models/{MODEL}/promote")
        assert answer.status_code == 200, answer.text
        assert {key: answer.json()[key] for key in ("model", "champion", "announced")} == {
            "model": MODEL,
            "champion": newer,
            "announced": True,
        }
        assert registry.champion(MODEL) == newer
        after = serving(one)
        assert after != before
        wait_for(other, after)
        assert one.post(f"/v1/admin/models/{MODEL}/rollback").json()["champion"] == first
        assert serving(one) == before
        wait_for(other, before)
        assert other.post(f"/v1/admin/models/{MODEL}/promote", json={"version": newer}).status_code == 200


def wait_for(client: httpx.Client, versions: str) -> None:
    patience = time.monotonic() + 10
    while serving(client) != versions:
        assert time.monotonic() < patience


def test_what_can_not_serve_is_refused_and_changes_nothing(serve: Serve, folder: Path) -> None:
    registry = Registry(folder / "models")
    first, newer = registry.versions(MODEL)
    with serve(workspace=folder) as client:
        before = serving(client)
        (folder / "models" / MODEL / newer / "model.txt").unlink()
        for path, body, complaint in (
            (f"{MODEL}/promote", None, "model.txt is missing"),
            (f"{MODEL}/promote", {"version": "1"}, "there is no such version"),
            ("model_9/promote", None, "there is no such model"),
            (f"{MODEL}/rollback", None, "no version served before it"),
        ):
            answer = client.post(f"/v1/admin/models/{path}", json=body)
            assert answer.status_code == 422
            assert complaint in answer.json()["errors"][0]["message"]
        assert (registry.champion(MODEL), serving(client)) == (first, before)


def test_a_workspace_that_can_not_be_loaded_keeps_its_champion(serve: Serve, folder: Path) -> None:
    registry = Registry(folder / "models")
    first = registry.champion(MODEL)
    with serve(workspace=folder) as client:
        (folder / "models.yaml").write_text("models: {}")
        assert client.post(f"/v1/admin/models/{MODEL}/promote").status_code == 422
        assert registry.champion(MODEL) == first


def test_the_commands_list_promote_and_roll_back(folder: Path) -> None:
    registry = Registry(folder / "models")
    first, newer = registry.versions(MODEL)

    def arbiter(*arguments: str, status: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
        assert result.exit_code == status, result.output
        return result.output

    assert f"{MODEL}: {newer} is the champion" in arbiter("promote", str(folder), MODEL)
    assert registry.champion(MODEL) == newer
    listed = arbiter("models", str(folder)).splitlines()
    assert any(newer in line and "champion" in line and "promoted" in line for line in listed)
    assert any(first in line and "trained" in line for line in listed)
    assert f"{first} is the champion again" in arbiter("rollback", str(folder), MODEL)
    assert registry.champion(MODEL) == first
    assert "no version served before it" in arbiter("rollback", str(folder), MODEL, status=1)
    assert "there is no such version" in arbiter("promote", str(folder), MODEL, "1", status=1)
