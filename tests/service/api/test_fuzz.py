"""The service against what nobody would send on purpose, over real HTTP: it keeps to its own document."""

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

PROMISES: list[Callable[..., bool | None]] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
BOUNDED = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
QUESTION = {"customer_id": "c1", "channel": "web"}

WITH_INPUT = [
    ("POST", "/v1/decisions"),
    ("POST", "/v1/decisions/batch"),
    ("POST", "/v1/outcomes"),
    ("POST", "/v1/events"),
    ("GET", "/v1/customers/{customer_id}"),
    ("PUT", "/v1/customers/{customer_id}"),
    ("PUT", "/v1/customers/{customer_id}/consents"),
    ("DELETE", "/v1/customers/{customer_id}"),
    ("POST", "/v1/catalogue/validate"),
]
WITHOUT_INPUT = [
    ("GET", "/v1/catalogue"),
    ("POST", "/v1/admin/reload"),
    # any text may be the name of a model, or of a version
    ("POST", "/v1/admin/models/{name}/promote"),
    ("POST", "/v1/admin/models/{name}/rollback"),
    ("POST", "/v1/admin/models/{name}/shadow"),
    ("POST", "/v1/admin/models/{name}/challenge"),
    ("POST", "/v1/admin/models/{name}/withdraw"),
    ("GET", "/v1/admin/models"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
]
FITTING, UNFITTING = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> Any:
    """The service's own OpenAPI document."""
    return schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")


def test_every_operation_of_the_document_is_tried(document: Any) -> None:
    documented = {(found.ok().method.upper(), found.ok().path) for found in document.get_all_operations()}
    assert documented == {*WITH_INPUT, *WITHOUT_INPUT}


@pytest.mark.parametrize(("method", "path"), WITH_INPUT + WITHOUT_INPUT)
def test_what_fits_the_document_gets_a_documented_answer(document: Any, method: str, path: str) -> None:
    exchange_with(document[path][method], FITTING)


@pytest.mark.parametrize(("method", "path"), WITH_INPUT)
def test_what_does_not_fit_the_document_gets_a_documented_problem(
    document: Any, method: str, path: str
) -> None:
    exchange_with(document[path][method], UNFITTING)


def exchange_with(operation: Any, mode: Any) -> None:
    """Send generated requests and hold every answer to the promises of the document."""

    @BOUNDED
    @given(case=operation.as_strategy(generation_mode=mode))
    def exchange(case: Any) -> None:
        answer = case.call(timeout=30)
        case.validate_response(answer, checks=PROMISES)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == ["application/problem+json"]

    exchange()


@pytest.mark.parametrize("customer_id", ["a/b", "..", "/", "a\nb", "a\n", "a?b#c%2F", " ", "\0", "é" * 128])
def test_a_customer_of_any_id_can_be_written_read_and_erased(client: httpx.Client, customer_id: str) -> None:
    address = f"/v1/customers/{quote(customer_id, safe='').replace('.', '%2E')}"
    assert client.put(address, json={"account_id": "a1"}).status_code == 204
    found = client.get(address).json()
    assert (found["customer_id"], found["account_id"]) == (customer_id, "a1")
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404


def test_a_client_that_goes_away_in_mid_request_is_counted_and_no_fault_of_ours(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    line = 'arbiter_http_requests_total{method="POST",route="/v1/decisions",status="499"}'
    before = metric(client, line)
    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as gone:
        gone.sendall(
            b"POST /v1/decisions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b'Content-Length: 500\r\n\r\n{"customer_id"'
        )
        assert client.get("/health/live").status_code == 200
    wait_until(lambda: metric(client, line) == before + 1)
    assert not caplog.records


def test_thousands_of_unknown_names_are_summed_up_in_a_few_warnings(client: httpx.Client) -> None:
    context = {f"page_{number}" * 20: 1 for number in range(5_000)}
    answer = client.post(
        "/v1/decisions",
        json={**QUESTION, "context": context, "exclude": [f"gone_{number}" for number in range(1_000)]},
    )
    assert answer.status_code == 200
    warnings = answer.json()["warnings"]
    assert "context: 4990 more keys are no context features" in warnings
    assert "exclude: 990 more are no actions of the catalogue" in warnings
    assert len(warnings) == 22
    assert max(map(len, warnings)) < 200


def test_singles_batches_and_outcomes_at_once_are_all_answered(client: httpx.Client) -> None:
    statuses: list[int] = []

    def ask(number: int) -> None:
        with httpx.Client(base_url=client.base_url, timeout=60) as own:
            question = {**QUESTION, "customer_id": f"c{number}"}
            for _ in range(5):
                decision = own.post("/v1/decisions", json=question)
                token = decision.json()["placements"][0]["actions"][0]["token"]
                outcome = own.post("/v1/outcomes", json={"token": token, "outcome": "click"})
                statuses.extend((decision.status_code, outcome.status_code))
            many = own.post("/v1/decisions/batch", json={"requests": [question] * 300})
            statuses.append(many.status_code)
            assert {d["customer_id"] for d in many.json()["decisions"]} == {f"c{number}"}

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 36 + [202] * 30


NOTHING_TO_OFFER = {
    "no actions": "{}",
    "no treatments": "{g: {actions: {a: {propensity: 0.1}}}}",
    "no placements": "{g: {actions: {a: {propensity: 1, treatments: {t: {channel: web, placements: []}}}}}}",
}


@pytest.mark.parametrize("groups", NOTHING_TO_OFFER.values(), ids=list(NOTHING_TO_OFFER))
def test_a_catalogue_with_nothing_to_offer_is_served_and_documented(
    serve: Any, tmp_path: Path, groups: str
) -> None:
    (tmp_path / "actions").mkdir()
    for name, text in {
        "features.yaml": "features: {}",
        "channels.yaml": "channels: {web: {placements: {home_hero: {}}}}",
        "models.yaml": "models: {}",
        "actions/sales.yaml": f"issue: sales\ngroups: {groups}",
    }.items():
        (tmp_path / name).write_text(text)
    with serve(workspace=tmp_path) as client:
        (placement,) = client.post("/v1/decisions", json=QUESTION).json()["placements"]
        assert placement["actions"] == []
        assert placement["no_action"] == {"reason": "no_treatment", "stage": "treatment"}
        document = client.get("/openapi.json").json()
        outcome = document["paths"]["/v1/outcomes"]["post"]["requestBody"]["content"]["application/json"]
        receipt = client.post("/v1/outcomes", json=outcome["example"])
        assert (receipt.status_code, receipt.json()["dry_run"]) == (202, 1)


def metric(client: httpx.Client, line: str) -> float:
    """The value of a line of the metrics; 0 where it is not there yet."""
    lines = client.get("/metrics").text.splitlines()
    return next((float(found.rpartition(" ")[2]) for found in lines if found.startswith(line)), 0.0)


def wait_until(happened: Callable[[], bool]) -> None:
    for _ in range(500):
        if happened():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")
