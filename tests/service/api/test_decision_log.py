"""The log of decisions, from the answers over HTTP to the stream in the store."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import redis

from feature_store.decision_log import DECISION_LOG, DecisionEntry
from feature_store.embedded import EmbeddedStore
from feature_store.schema import Source
from service.runtime.decider import MOST_OF_MANY
from service.workspace.loading import Workspace

from .conftest import metric

Serve = Any  # the fixture that starts a service
ASKED = {"channel": "web", "placements": [{"id": "home_tiles", "limit": 3}], "context": {"cart_value": 42.5}}


def decide(client: httpx.Client, customer: str, **more: Any) -> dict[str, Any]:
    answer = client.post("/v1/decisions", json={**ASKED, "customer_id": customer, **more})
    assert answer.status_code == 200, answer.text
    decision: dict[str, Any] = answer.json()
    return decision


def entries(store: EmbeddedStore) -> list[DecisionEntry]:
    server = redis.Redis(unix_socket_path=str(store.socket))
    stream: Any = server.xrange(DECISION_LOG)
    return [DecisionEntry.unpack(fields[b"decisions"]) for _, fields in stream]


def logged(store: EmbeddedStore, decision_id: str) -> tuple[DecisionEntry, int]:
    """The entry of a decision and its place there, as soon as it is written."""
    for _ in range(3000):
        for entry in entries(store):
            if decision_id in entry.decision_id:
                return entry, entry.decision_id.index(decision_id)
        time.sleep(0.01)
    pytest.fail("the decision was not logged")


def wait_until(happened: Callable[[], bool]) -> None:
    for _ in range(3000):
        if happened():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen")


def test_an_entry_says_what_the_answer_said(client: httpx.Client, world_store: EmbeddedStore) -> None:
    decision = decide(client, "c7")
    entry, index = logged(world_store, decision["decision_id"])
    names = ("customer_id", "channel", "arm", "mode", "degraded", "experiments")
    assert [getattr(entry, name)[index] for name in names] == [
        tuple(decision[name]) if name == "degraded" else decision[name] for name in names
    ]
    assert (entry.catalogue, entry.features, entry.models) == tuple(decision["versions"].values())
    picks = [pick for pick, owner in enumerate(entry.picks.decision) if owner == index]
    (placement,) = decision["placements"]
    for pick, offered in zip(picks, placement["actions"], strict=True):
        assert entry.picks.placement[pick] == placement["id"]
        for name in ("rank", "action", "treatment", "selection_probability"):
            assert getattr(entry.picks, name)[pick] == offered[name]
        for name in ("propensity", "context_weight", "value", "lever", "priority"):
            assert getattr(entry.picks, name)[pick] == offered[name]
        assert entry.actions[offered["action"]] == (offered["issue"], offered["group"])


def test_an_entry_has_the_features_as_they_were_decided_on(
    client: httpx.Client, world: Workspace, world_store: EmbeddedStore
) -> None:
    entry, index = logged(world_store, decide(client, "c8")["decision_id"])
    stored = client.get("/v1/customers/c8").json()
    features = dict(zip(entry.columns, entry.matrix[index].tolist(), strict=True))
    assert features["cart_value"] == 42.5
    X = np.full((1, world.schema.width), np.nan)
    errors = world.schema.encode(stored["profile"], X[0], [Source.PROFILE])
    assert not errors
    for column, value in zip(world.schema.columns, X[0].tolist(), strict=True):
        if not np.isnan(value):
            assert features[column] == np.float32(value)


def test_decisions_that_follow_one_another_share_entries_whatever_batches_they_were_made_in(
    client: httpx.Client, world_store: EmbeddedStore
) -> None:
    requests = [{**ASKED, "customer_id": f"c{number}"} for number in range(MOST_OF_MANY + 8)]
    answers = client.post("/v1/decisions/batch", json={"requests": requests}).json()["decisions"]
    found = [logged(world_store, answer["decision_id"]) for answer in answers]
    assert len({entry.decision_id[0] for entry, _ in found}) <= 2
    assert len({time for entry, index in found for time in [entry.times[index]]}) >= 2
    assert [entry.customer_id[index] for entry, index in found] == [r["customer_id"] for r in requests]


def test_an_empty_placement_is_logged_with_its_reason(
    client: httpx.Client, world: Workspace, world_store: EmbeddedStore
) -> None:
    everything = [action.name for action in world.catalogue.actions]
    decision = decide(client, "c9", exclude=everything)
    entry, index = logged(world_store, decision["decision_id"])
    place = entry.empty.decision.index(index)
    (placement,) = decision["placements"]
    assert (entry.empty.placement[place], entry.empty.reason[place]) == (
        placement["id"],
        placement["no_action"]["reason"],
    )


def test_a_dry_run_is_not_logged(client: httpx.Client, world_store: EmbeddedStore) -> None:
    tried = decide(client, "c10", dry_run=True)["decision_id"]
    logged(world_store, decide(client, "c10")["decision_id"])
    assert not any(tried in entry.decision_id for entry in entries(world_store))


def test_what_was_decided_before_the_store_came_is_logged_when_it_is_there(
    serve: Serve, tmp_path: Path
) -> None:
    late = EmbeddedStore(tmp_path / "late")
    with serve(redis_url=late.url, store_retry_ms=20) as client:
        decision_id = decide(client, "c1")["decision_id"]
        assert metric(client, "arbiter_log_backlog") == 1
        with late:
            logged(late, decision_id)
            wait_until(lambda: metric(client, "arbiter_log_backlog") == 0)


def test_a_service_that_is_stopped_has_logged_everything(serve: Serve, world_store: EmbeddedStore) -> None:
    with serve() as client:
        decision_id = decide(client, "c11")["decision_id"]
    assert any(decision_id in entry.decision_id for entry in entries(world_store))


def test_what_the_store_never_took_is_counted(serve: Serve, tmp_path: Path, client: httpx.Client) -> None:
    before = metric(client, "arbiter_decisions_unlogged_total")
    nobody = EmbeddedStore(tmp_path / "nobody")
    with serve(redis_url=nobody.url) as alone:
        decide(alone, "c1")
    assert metric(client, "arbiter_decisions_unlogged_total") == before + 1
    assert metric(client, "arbiter_log_backlog") == 0


def test_a_log_of_length_zero_is_none(serve: Serve, world_store: EmbeddedStore) -> None:
    with serve(decision_log_length=0) as client:
        decision_id = decide(client, "c12")["decision_id"]
    assert not any(decision_id in entry.decision_id for entry in entries(world_store))
