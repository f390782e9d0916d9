"""Drift of features, scores and calibration, as the metrics of a running service tell it."""

from typing import Any

import httpx
import pytest

from feature_store.embedded import EmbeddedStore
from service.workspace.loading import Workspace

from .conftest import metric

Serve = Any  # the fixture that starts a service
MODEL = "model_1"
ROUNDS = 3


def decide(client: httpx.Client, customers: list[str], **context: Any) -> list[dict[str, Any]]:
    asked = [{"customer_id": customer, "channel": "web", "context": context} for customer in customers]
    answer = client.post("/v1/decisions/batch", json={"requests": asked})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["decisions"]
    return found


@pytest.fixture
def counted(serve: Serve, own_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of a service that counts every batch, with a store of its own: a reload that is announced in
    the common one makes other services of this process set the same metrics."""
    monkeypatch.setattr("service.runtime.drift.PAUSE", 0.0)
    with serve(redis_url=own_store.url) as client:
        yield client


def test_nothing_is_said_before_enough_was_counted(serve: Serve) -> None:
    with serve() as client:
        decide(client, ["c1"])
        assert not metric(client, "arbiter_score_psi", model=MODEL) >= 0.0  # NaN


def test_a_context_that_training_has_not_met_is_told(counted: httpx.Client, customer_ids: list[str]) -> None:
    for page in (None, "home"):
        context = {} if page is None else {"page": page}
        for _ in range(ROUNDS):
            decide(counted, customer_ids, cart_value=1e6, **context)
    assert counted.post("/v1/admin/reload").status_code == 200
    assert metric(counted, "arbiter_drift_offers", model=MODEL) >= 200, "a reload forgets nothing"
    assert metric(counted, "arbiter_feature_psi", model=MODEL, feature="cart_value") > 0.2
    assert metric(counted, "arbiter_score_psi", model=MODEL) > 0.0
    shares = [
        metric(counted, name, model=MODEL, feature="cart_value")
        for name in ("arbiter_model_missing_share", "arbiter_model_missing_share_trained")
    ]
    assert shares[0] == 0.0
    assert 0.0 <= shares[1] <= 1.0


def test_promises_and_responses_are_counted_by_version_and_channel(
    client: httpx.Client, world: Workspace
) -> None:
    labels = {"model": MODEL, "version": world.registry.champion(MODEL), "channel": "web"}
    names = ("arbiter_model_expected_responses_total", "arbiter_model_responses_total")
    before = [metric(client, name, **labels) for name in names]
    decisions = decide(client, [f"c{number}" for number in range(20)])
    offered = [
        action
        for decision in decisions
        for placement in decision["placements"]
        for action in placement["actions"]
        if world.action_models.get(action["action"]) == MODEL
    ]
    positive = world.specs[MODEL].positive[0]
    report = {"token": offered[0]["token"], "outcome": positive}
    for _ in range(2):  # the same outcome again, and then another report of the same response
        assert client.post("/v1/outcomes", json=report).status_code == 202
    assert client.post("/v1/outcomes", json={**report, "outcome_id": "another"}).status_code == 202
    dismissed = {"token": offered[1]["token"], "outcome": "dismiss"}
    assert client.post("/v1/outcomes", json=dismissed).status_code == 202
    after = [metric(client, name, **labels) for name in names]
    expected, responses = (is_now - was for is_now, was in zip(after, before, strict=True))
    assert expected == pytest.approx(sum(action["propensity"] for action in offered))
    assert responses == 1
