"""Decisions with a store that is away, hangs or comes back: always answered, saying what was missing."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from feature_store.embedded import EmbeddedStore
from service.workspace.loading import Workspace

Serve = Callable[..., Any]

LONG_MS = 30_000
"""A deadline or a timeout that no test waits for."""


@pytest.fixture
def away() -> str:
    """The URL of a store that nobody listens for."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"redis://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def hanging() -> Iterator[str]:
    """The URL of a store that takes every connection and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1000)
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(scope="module")
def store(own_store: EmbeddedStore) -> EmbeddedStore:
    """A store which its tests may stop."""
    return own_store


@contextmanager
def frozen(store: EmbeddedStore) -> Iterator[Callable[[], None]]:
    """A store whose process is stopped, so that it neither answers nor breaks off; yields what wakes it."""
    process = int((Path(store.data_dir) / "store.pid").read_text())
    os.kill(process, signal.SIGSTOP)
    try:
        yield lambda: os.kill(process, signal.SIGCONT)
    finally:
        os.kill(process, signal.SIGCONT)


def decide(client: httpx.Client, **request: Any) -> dict[str, Any]:
    answer = client.post("/v1/decisions", json={"customer_id": "c1", "channel": "web", **request})
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def offers(decision: dict[str, Any]) -> list[tuple[str, float]]:
    return [(a["action"], a["propensity"]) for place in decision["placements"] for a in place["actions"]]


def metric(client: httpx.Client, line: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return next((float(found.rpartition(" ")[2]) for found in lines if found.startswith(line + " ")), 0.0)


def wait_until(happened: Callable[[], bool]) -> None:
    for _ in range(3000):
        if happened():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def test_without_a_store_decisions_are_made_on_defaults_and_say_so(serve: Serve, away: str) -> None:
    with serve(redis_url=away) as client:
        decision = decide(client)
        assert (decision["mode"], decision["degraded"]) == ("degraded", ["features:unavailable"])
        assert offers(decision) == offers(decide(client, customer_id="never-seen"))


def test_a_store_that_never_answers_keeps_no_decision_beyond_its_deadline(serve: Serve, hanging: str) -> None:
    with serve(redis_url=hanging, store_timeout_ms=500, store_retry_ms=1) as client:
        decision = decide(client, deadline_ms=100)
        assert decision["mode"] == "degraded"
        assert "features:timeout" in decision["degraded"]
        assert offers(decision)


def test_a_deadline_longer_than_the_store_s_patience_ends_with_the_latter(serve: Serve, hanging: str) -> None:
    with serve(redis_url=hanging, store_timeout_ms=50) as client:
        decision = decide(client, deadline_ms=LONG_MS)
        assert (decision["mode"], decision["degraded"]) == ("degraded", ["features:unavailable"])


def test_many_decisions_at_once_over_a_store_that_never_answers_are_all_made(
    serve: Serve, hanging: str
) -> None:
    with serve(redis_url=hanging, store_timeout_ms=500, store_retry_ms=1) as client:
        with ThreadPoolExecutor(16) as channels:
            asked = range(200)
            made = list(channels.map(lambda n: decide(client, customer_id=f"c{n}", deadline_ms=80), asked))
        assert [decision["customer_id"] for decision in made] == [f"c{number}" for number in asked]
        assert {decision["mode"] for decision in made} == {"degraded"}


@pytest.mark.parametrize("kind", ["away", "hanging"])
def test_without_a_store_the_service_is_ready_and_alive(
    serve: Serve, kind: str, request: pytest.FixtureRequest
) -> None:
    with serve(redis_url=request.getfixturevalue(kind), store_timeout_ms=50) as client:
        decide(client)
        assert client.get("/health/ready").status_code == 200
        assert client.get("/health/live").status_code == 200
        assert metric(client, 'arbiter_store_errors_total{operation="read"}') >= 1


@pytest.mark.parametrize("kind", ["away", "hanging"])
def test_without_a_store_nothing_is_acknowledged(
    serve: Serve, kind: str, request: pytest.FixtureRequest
) -> None:
    with serve(redis_url=request.getfixturevalue(kind), store_timeout_ms=50) as client:
        token = decide(client)["placements"][0]["actions"][0]["token"]
        for answer in (
            client.post("/v1/outcomes", json={"token": token, "outcome": "click"}),
            client.put("/v1/customers/c1", json={"profile": {}}),
            client.get("/v1/customers/c1"),
            client.delete("/v1/customers/c1"),
        ):
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["type"] == "urn:arbiter:problem:store-unavailable"


def test_a_bad_token_is_refused_without_a_store_too(serve: Serve, away: str) -> None:
    with serve(redis_url=away) as client:
        answer = client.post("/v1/outcomes", json={"token": "forged", "outcome": "click"})
        assert answer.status_code == 422


def test_who_can_wait_gets_features_from_a_batch_in_which_others_could_not(
    serve: Serve, store: EmbeddedStore
) -> None:
    timeouts = 'arbiter_degraded_total{what="features:timeout"}'
    with serve(redis_url=store.url, store_timeout_ms=LONG_MS) as client, ThreadPoolExecutor(1) as channel:
        before = metric(client, timeouts)
        expected = offers(decide(client, customer_id="c2"))
        requests = [
            {"customer_id": "c1", "channel": "web", "deadline_ms": 50},
            {"customer_id": "c2", "channel": "web", "deadline_ms": LONG_MS},
        ]
        with frozen(store) as wake:
            asked = channel.submit(client.post, "/v1/decisions/batch", json={"requests": requests})
            wait_until(lambda: metric(client, timeouts) == before + 1)
            assert not asked.done()
            wake()
            hurried, patient = asked.result().json()["decisions"]
        assert hurried["mode"] == "degraded"
        assert "features:timeout" in hurried["degraded"]
        assert (patient["mode"], patient["degraded"], offers(patient)) == ("full", [], expected)


def test_a_store_that_comes_back_is_used_again(serve: Serve, store: EmbeddedStore) -> None:
    with serve(redis_url=store.url, store_timeout_ms=100, store_retry_ms=20) as client:
        before = decide(client)
        assert before["mode"] == "full"
        with frozen(store):
            for _ in range(3):
                assert decide(client)["degraded"] == ["features:unavailable"]
            assert client.get("/health/ready").status_code == 200
        wait_until(lambda: decide(client)["mode"] == "full")
        assert offers(decide(client)) == offers(before)


def test_a_store_that_is_started_after_the_service_is_used(
    serve: Serve, world: Workspace, tmp_path: Path
) -> None:
    late = EmbeddedStore(tmp_path / "late")
    with serve(redis_url=late.url, store_retry_ms=20) as client:
        assert decide(client)["mode"] == "degraded"
        with late:
            wait_until(lambda: decide(client)["mode"] == "full")
            assert client.put("/v1/customers/late", json={"account_id": "a"}).status_code == 204
            assert client.get("/v1/customers/late").json()["account_id"] == "a"


def test_an_outcome_that_had_to_be_sent_again_counts_once(serve: Serve, store: EmbeddedStore) -> None:
    """The store may have taken in the first call after all: nobody was there to hear it."""
    with serve(redis_url=store.url, store_timeout_ms=100) as client:
        offer = decide(client, customer_id="again")["placements"][0]["actions"][0]
        outcome = {"token": offer["token"], "outcome": "accept", "value": 12.5}
        with frozen(store):
            assert client.post("/v1/outcomes", json=outcome).status_code == 503
        wait_until(lambda: client.post("/v1/outcomes", json=outcome).status_code == 202)
        assert client.post("/v1/outcomes", json=outcome).json()["duplicates"] == 1
        (touch,) = client.get("/v1/customers/again").json()["history"]
        assert (touch["outcome"], touch["action"], touch["value"]) == ("accept", offer["action"], 12.5)


def test_a_service_is_stopped_in_order_while_its_store_hangs(serve: Serve, store: EmbeddedStore) -> None:
    with serve(redis_url=store.url, store_timeout_ms=200) as client:
        assert decide(client)["mode"] == "full"
        with frozen(store), ThreadPoolExecutor(4) as channels:
            asked = [channels.submit(decide, client, deadline_ms=50) for _ in range(4)]
            assert {future.result()["mode"] for future in asked} == {"degraded"}
