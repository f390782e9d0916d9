"""Health, metrics, the catalogue and the documentation, over real HTTP."""

from typing import Any

import httpx
import pytest

from service.observability.metrics import REGISTRY
from service.workspace.loading import Workspace

from .conftest import metric


def test_a_running_service_is_live_and_ready_and_says_what_decides(
    client: httpx.Client, world: Workspace
) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    ready = client.get("/health/ready").json()
    assert ready["status"] == "ready"
    assert ready["versions"]["catalogue"] == world.catalogue.version


def test_decisions_are_counted_by_channel_mode_and_arm(client: httpx.Client) -> None:
    labels = {"channel": "web", "mode": "full", "arm": "next_best_action"}
    before = metric(client, "arbiter_decisions_total", **labels)
    for _ in range(3):
        client.post("/v1/decisions", json={"customer_id": "c1", "channel": "web"})
    assert metric(client, "arbiter_decisions_total", **labels) == before + 3


def test_a_dry_run_counts_nothing(client: httpx.Client) -> None:
    names = [
        "arbiter_decisions_total",
        "arbiter_action_offered_total",
        "arbiter_decision_seconds_count",
        "arbiter_batch_size_count",
        "arbiter_customer_unknown_total",
        "arbiter_context_ignored_total",
    ]
    before = [metric(client, name) for name in names]
    asked = {"customer_id": "nobody", "channel": "web", "context": {"what": 1}, "dry_run": True}
    assert client.post("/v1/decisions", json=asked).status_code == 200
    assert [metric(client, name) for name in names] == before


def test_every_offered_action_and_every_empty_placement_is_counted(client: httpx.Client) -> None:
    offered, empty = (metric(client, f"arbiter_{name}_total") for name in ("action_offered", "no_action"))
    placements = client.post("/v1/decisions", json={"customer_id": "c1", "channel": "web"}).json()[
        "placements"
    ]
    assert metric(client, "arbiter_action_offered_total") == offered + sum(
        len(p["actions"]) for p in placements
    )
    assert metric(client, "arbiter_no_action_total") == empty + sum(not p["actions"] for p in placements)


def test_metrics_name_the_live_models_and_catalogue(client: httpx.Client, world: Workspace) -> None:
    for name in world.specs:
        version = world.registry.champion(name)
        assert metric(client, "arbiter_model_info", model=name, version=version) == 1
        assert metric(client, "arbiter_scorer_info", model=name) == 1
        assert metric(client, "arbiter_model_age_seconds", model=name) >= 0
    assert metric(client, "arbiter_catalogue_info", version=world.catalogue.version) == 1


def test_no_customer_and_no_decision_is_ever_a_label(client: httpx.Client) -> None:
    decision = client.post(
        "/v1/decisions", json={"customer_id": "find-me-in-a-label", "channel": "web"}
    ).json()
    client.get("/v1/customers/find-me-in-a-label")
    client.get("/find-me-in-a-label")
    text = client.get("/metrics").text
    assert "find-me-in-a-label" not in text
    assert decision["decision_id"] not in text


def test_all_metrics_carry_the_prefix() -> None:
    assert all(family.name.startswith("arbiter_") for family in REGISTRY.collect())


def test_the_catalogue_shows_what_is_live(client: httpx.Client, world: Workspace) -> None:
    catalogue = client.get("/v1/catalogue").json()
    assert catalogue["version"] == world.catalogue.version
    assert [a["action"] for a in catalogue["actions"]] == [a.name for a in world.catalogue.actions]
    shown = [t["treatment"] for a in catalogue["actions"] for t in a["treatments"]]
    assert sorted(shown) == sorted(t.name for t in world.catalogue.treatments)
    assert "click" in catalogue["outcomes"]


def test_the_documentation_needs_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text
    script = client.get("/static-offline-docs/swagger-ui-bundle.js")
    assert script.status_code == 200


def _examples(document: dict[str, Any]) -> list[tuple[str, str, Any]]:
    return [
        (path, method, operation["requestBody"]["content"]["application/json"]["example"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "example" in operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    ]


def test_every_documented_example_works_as_it_stands(client: httpx.Client) -> None:
    examples = _examples(client.get("/openapi.json").json())
    assert len(examples) == 4
    for path, method, body in examples:
        answer = client.request(method, path.replace("{customer_id}", "example-1"), json=body)
        assert answer.is_success, f"{method} {path}: {answer.text}"


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/nothing", "GET", 404),
        ("/v1/decisions", "GET", 405),
        ("/v1/decisions", "OPTIONS", 405),
        ("/v1/outcomes", "PUT", 405),
        ("/v1/decisions/nothing", "POST", 404),
    ],
)
def test_what_is_not_there_is_a_problem_document_too(
    client: httpx.Client, path: str, method: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_an_error_of_the_service_is_counted_as_500(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise RuntimeError("broken on purpose")

    before = metric(client, "arbiter_http_requests_total", status="500")
    monkeypatch.setattr("service.api.encoding.DecisionEncoder.encode", broken)
    # on a connection of its own: the server closes it after such an error
    asked = {"customer_id": "c1", "channel": "web"}
    answer = httpx.post(client.base_url.join("/v1/decisions"), json=asked)
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "broken on purpose" not in answer.text
    assert metric(client, "arbiter_http_requests_total", status="500") == before + 1
