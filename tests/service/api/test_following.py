"""Propensities follow outcomes over HTTP: corrected within seconds, explained, logged, replayed, and begun
afresh with a new champion."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
import yaml
from typer.testing import CliRunner

from feature_store.decision_log import DECISION_LOG, FIELD, DecisionEntry
from feature_store.embedded import EmbeddedStore
from feature_store.lessons import LEARNED, STREAM
from models.workshop import train_workspace
from service.cli.main import app
from service.workspace.loading import Workspace, load_workspace

from .conftest import metric

Serve = Any  # the fixture that starts a service
CUSTOMERS = 30
PATIENCE = 20.0


@pytest.fixture
def folder(world: Workspace, tmp_path: Path) -> Path:
    """A copy of the world whose models follow outcomes, and whose site reports what it shows."""
    copy = tmp_path / "world"
    shutil.copytree(world.folder, copy)
    edit(copy / "models.yaml", lambda document: follow(document["models"]))
    edit(copy / "channels.yaml", lambda d: d["channels"]["web"].update(reports_impressions=True))
    return copy


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = yaml.safe_load(path.read_text())
    change(document)
    path.write_text(yaml.safe_dump(document, sort_keys=False))


def follow(models: dict[str, Any]) -> None:
    for model in models.values():
        model["adapts"] = {"half_life": 20, "prior": 5, "delay": 0}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    """A store in which nothing has been learned."""
    with EmbeddedStore(tmp_path / "own") as server:
        yield server


def decided(client: httpx.Client, number: int, **body: Any) -> dict[str, Any]:
    question = {"customer_id": f"c{number}", "channel": "web", "explain": "full", **body}
    answer = client.post("/v1/decisions", json=question)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def offered(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [action for placement in document["placements"] for action in placement["actions"]]


def candidate(document: dict[str, Any], action: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in document["explanation"] if one["action"] == action)
    return found


def report(client: httpx.Client, documents: list[dict[str, Any]], *outcomes: str) -> None:
    rows = [
        {"token": action["token"], "outcome": outcome}
        for document in documents
        for action in offered(document)
        for outcome in outcomes
    ]
    assert client.post("/v1/outcomes", json=rows).status_code == 202


def until(happened: Callable[[], Any]) -> Any:
    """What `happened` returns, once it is something: within a few seconds."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if result := happened():
            return result
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def test_what_is_shown_and_not_responded_to_is_less_likely_within_seconds(
    serve: Serve, folder: Path, store: EmbeddedStore
) -> None:
    with serve(workspace=folder, redis_url=store.url, store_timeout_ms=10_000, replay_share=1.0) as client:
        before = [decided(client, number) for number in range(CUSTOMERS)]
        action = offered(before[0])[0]["action"]
        first = candidate(before[0], action)
        assert first["correction"] == 1.0
        assert first["propensity"] == first["predicted"] == offered(before[0])[0]["propensity"]
        time.sleep(2)
        assert candidate(decided(client, 0), action)["correction"] == 1.0, "nothing was shown so far"

        report(client, before, "impression", "impression")
        after = until(
            lambda: found if candidate(found := decided(client, 0), action)["correction"] < 1.0 else None
        )
        now = candidate(after, action)
        assert now["predicted"] == first["predicted"]
        assert now["propensity"] == pytest.approx(now["predicted"] * now["correction"])
        issue, group = now["issue"], now["group"]
        labels = {"issue": issue, "group": group, "action": action, "channel": "web"}
        assert metric(client, "arbiter_propensity_correction", **labels) == now["correction"]
        assert metric(client, "arbiter_propensity_evidence", **labels) == 0

        report(client, before, "accept", "convert", "click")
        better = until(
            lambda: found if candidate(found := decided(client, 0), action)["correction"] > 1.0 else None
        )
        assert candidate(better, action)["propensity"] > first["propensity"]
        assert metric(client, "arbiter_propensity_evidence", **labels) > 1
        time.sleep(2)  # what is decided leaves for the log, and for its record
    for document in (before[0], after, better):
        result = CliRunner().invoke(
            app,
            ["replay", document["decision_id"], "--workspace", str(folder), "--redis-url", store.url],
        )
        assert result.exit_code == 0, result.output
    logged = entry_of(store, better["decision_id"])
    by_action = dict(zip(logged.picks.action, logged.picks.predicted, strict=True))
    for choice in offered(better):
        assert by_action[choice["action"]] == candidate(better, choice["action"])["predicted"]


def entry_of(store: EmbeddedStore, decision_id: str) -> DecisionEntry:
    """The entry of the log that has a decision."""
    with redis.Redis.from_url(store.url) as connection:
        entries = connection.xrange(DECISION_LOG)
    logged = (DecisionEntry.unpack(fields[FIELD.encode()]) for _, fields in entries)
    return next(entry for entry in logged if decision_id in entry.decision_id)


def test_a_new_champion_has_nothing_to_be_corrected_for(
    serve: Serve, folder: Path, store: EmbeddedStore
) -> None:
    with serve(workspace=folder, redis_url=store.url, store_timeout_ms=10_000) as client:
        before = [decided(client, number) for number in range(CUSTOMERS)]
        action = offered(before[0])[0]["action"]
        model = load_workspace(folder).action_models[action]
        old = load_workspace(folder).registry.champion(model)
        report(client, before, "impression")
        until(lambda: candidate(decided(client, 0), action)["correction"] < 1.0)
        learned = candidate(decided(client, 0), action)["correction"]

        workspace = load_workspace(folder)
        train_workspace(
            workspace.specs, workspace.schema, workspace.action_models, folder, workspace.registry, seed=5
        )
        new = workspace.registry.versions(model)[-1]
        assert new != old
        workspace.registry.promote(model, new)
        assert client.post("/v1/admin/reload").status_code == 200
        assert candidate(decided(client, 0), action)["correction"] == 1.0
        late = [before[number] for number in range(3)]
        report(client, late, "accept", "convert", "click")  # of decisions of the old one
        time.sleep(2)
        assert candidate(decided(client, 0), action)["correction"] == 1.0

        workspace.registry.promote(model, old)
        assert client.post("/v1/admin/reload").status_code == 200
        assert candidate(decided(client, 0), action)["correction"] != pytest.approx(1.0)
        assert candidate(decided(client, 0), action)["correction"] > learned


def test_a_dry_run_teaches_nothing_and_nothing_is_lost_when_a_service_ends(
    serve: Serve, folder: Path, store: EmbeddedStore
) -> None:
    edit(folder / "channels.yaml", lambda d: d["channels"]["web"].update(reports_impressions=False))
    with serve(workspace=folder, redis_url=store.url, store_timeout_ms=10_000) as client:
        dry = [decided(client, number, dry_run=True) for number in range(CUSTOMERS)]
        report(client, dry, "accept", "convert", "click")
        time.sleep(2)
        real = [decided(client, number) for number in range(CUSTOMERS)]
        actions = [action["action"] for document in real for action in offered(document)]
    with serve(workspace=folder, redis_url=store.url, store_timeout_ms=10_000) as client:
        document = until(
            lambda: found if candidate(found := decided(client, 0), actions[0])["correction"] < 1.0 else None
        )
        for action in set(actions):
            assert candidate(document, action)["correction"] < 1.0


def test_a_workspace_that_says_nothing_of_it_follows_nothing(
    serve: Serve, world: Workspace, store: EmbeddedStore
) -> None:
    with serve(redis_url=store.url, store_timeout_ms=10_000) as client:
        document = decided(client, 1)
        report(client, [document], "impression", "accept", "convert", "click")
        time.sleep(1.5)
        for one in decided(client, 1)["explanation"]:
            assert (one["predicted"], one["correction"]) == (None, None)
    assert not keys(store) & {LEARNED, STREAM}


def keys(store: EmbeddedStore) -> set[bytes]:
    with redis.Redis.from_url(store.url) as connection:
        return set(connection.keys("arb:l*"))
