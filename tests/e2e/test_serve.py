"""`arbiter serve`: several workers are one service, and nothing is served that is not whole."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]
import pytest
import yaml

from feature_store.embedded import EmbeddedStore
from feature_store.ingestion import load_customers
from feature_store.schema import FeatureSchema
from feature_store.store import CustomerStore, connect

from .conftest import Arbiter, commands, wait_until

Start = Callable[..., Any]  # starts a command; see conftest


@pytest.fixture(scope="module")
def store(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """A store with the customers of the small world."""

    async def fill(url: str) -> None:
        schema = FeatureSchema.load(small_world / "features.yaml")
        customers = CustomerStore(connect(url, timeout=30), schema)
        await load_customers(small_world / "customers.parquet", schema, customers)
        await customers.close()

    with EmbeddedStore(tmp_path_factory.mktemp("store")) as server:
        asyncio.run(fill(server.url))
        yield server


@pytest.fixture(scope="module")
def pair(
    small_world: Path, store: EmbeddedStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Arbiter]:
    """A service of two workers, for tests that leave it with as many: count from what it has counted."""
    with commands(tmp_path_factory.mktemp("pair") / "data") as start:
        yield start("serve", str(small_world), "--workers", "2", "--redis-url", store.url).ready()


def answer_of(pid: int, address: str, path: str, body: Any = None) -> httpx.Response:
    """An answer of one worker: connections are made until it is the one that has accepted one."""
    for _ in range(2000):
        with httpx.Client() as client:
            client.get(f"{address}/health/live")
            if any(c.status == psutil.CONN_ESTABLISHED for c in psutil.Process(pid).net_connections("tcp")):
                return client.request("GET" if body is None else "POST", f"{address}{path}", json=body)
    raise AssertionError(f"worker {pid} accepts no connections")


def total(metrics: str, beginning: str) -> float:
    """The sum of all lines that begin so."""
    return sum(float(line.rpartition(" ")[2]) for line in metrics.splitlines() if line.startswith(beginning))


def workers_of(command: Any) -> list[int]:
    """The processes that answer requests: those that have a socket of their own to the port."""
    children = [process for process in command.processes()[1:] if "spawn_main" in " ".join(process.cmdline())]
    return [process.pid for process in children]


def test_two_workers_are_one_service(pair: Arbiter) -> None:
    workers = workers_of(pair)
    assert len(workers) == 2
    before = httpx.get(f"{pair.address}/metrics").text
    tokens = []
    for number in range(24):
        with httpx.Client(base_url=pair.address) as channel:  # a connection of its own
            question = {"customer_id": f"c{number}", "channel": "web", "deadline_ms": 10_000}
            decision = channel.post("/v1/decisions", json=question).json()
            assert decision["mode"] == "full"
            tokens.append(decision["placements"][0]["actions"][0]["token"])
    for token in tokens:
        with httpx.Client(base_url=pair.address) as channel:
            receipt = channel.post("/v1/outcomes", json={"token": token, "outcome": "click"})
            assert receipt.json() == {"accepted": 1, "duplicates": 0, "dry_run": 0}
    drift = []
    for worker in workers:
        metrics = answer_of(worker, pair.address, "/metrics").text
        drift.append(total(metrics, "arbiter_drift_offers{"))
        assert total(metrics, "arbiter_model_expected_responses_total{") > 0
        assert total(metrics, "arbiter_model_share{") == 1
        for counted in (
            "arbiter_decisions_total{",
            "arbiter_decision_seconds_count",
            "arbiter_outcomes_total{",
        ):
            assert total(metrics, counted) - total(before, counted) == 24
        assert total(metrics, "arbiter_workers") == 2
        assert total(metrics, "arbiter_model_info{") == 1
    assert drift[0] > 0
    assert drift[1] == pytest.approx(drift[0], rel=1e-3), "each worker adds up what all have counted"


def test_a_worker_that_dies_is_replaced_and_its_decisions_stay_counted(pair: Arbiter) -> None:
    def counted() -> float:
        return total(httpx.get(f"{pair.address}/metrics").text, "arbiter_decisions_total{")

    before = counted()
    for number in range(10):
        httpx.post(f"{pair.address}/v1/decisions", json={"customer_id": f"c{number}", "channel": "web"})
    wait_until(lambda: counted() == before + 10)
    psutil.Process(workers_of(pair)[0]).kill()
    pair.ready()
    assert counted() == before + 10


def test_a_model_that_is_not_whole_is_never_served(start: Start, small_world: Path, tmp_path: Path) -> None:
    spoiled = tmp_path / "spoiled"
    shutil.copytree(small_world, spoiled)
    (model,) = (spoiled / "models").glob("*/*/model.txt")
    model.write_bytes(model.read_bytes()[:-100])
    refused = start("serve", str(spoiled))
    assert refused.process.wait() == 1
    assert "model_1" in refused.said
    assert "model.txt" in refused.said
    assert "Traceback" not in refused.said


def test_a_bad_workspace_is_never_served(start: Start, small_world: Path, tmp_path: Path) -> None:
    spoiled = tmp_path / "spoiled"
    shutil.copytree(small_world, spoiled)
    (spoiled / "policies.yaml").write_text("arbitration: {valu: false}\n")
    refused = start("serve", str(spoiled))
    assert refused.process.wait() == 1
    assert refused.said.startswith("policies.yaml:1: arbitration.valu: ")


def test_bad_settings_are_told_by_the_name_of_their_variable(start: Start, small_world: Path) -> None:
    refused = start("serve", str(small_world), ARBITER_WORKERS="none", ARBITER_DEADLINE_MS="-1")
    assert refused.process.wait() == 1
    assert "ARBITER_WORKERS: must be a valid integer" in refused.said
    assert "ARBITER_DEADLINE_MS: must be greater than 0" in refused.said


def test_without_a_store_it_serves_on_defaults(start: Start, small_world: Path, tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/nobody.sock"
    served = start("serve", str(small_world), "--redis-url", url).ready()
    question = {"customer_id": "c1", "channel": "web"}
    decision = httpx.post(f"{served.address}/v1/decisions", json=question).json()
    assert decision["degraded"] == ["features:unavailable"]
    assert decision["placements"][0]["actions"]


def test_a_metrics_folder_of_the_user_s_own_is_used_and_left_alone(
    start: Start, small_world: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "kept.txt").write_text("of somebody else")
    served = start("serve", str(small_world), PROMETHEUS_MULTIPROC_DIR=str(folder)).ready()
    assert served.ends() == 0
    assert (folder / "kept.txt").exists()
    assert list(folder.glob("*.db"))


def test_workers_that_are_slow_to_start_are_waited_for(
    start: Start, small_world: Path, store: EmbeddedStore, tmp_path: Path
) -> None:
    """As on a busy machine, where it takes seconds until a worker has imported what it needs."""
    slow = "import sys, time\nif any('spawn_main' in word for word in sys.orig_argv):\n    time.sleep(7)\n"
    (tmp_path / "sitecustomize.py").write_text(slow)
    serve = ("serve", str(small_world), "--workers", "2", "--redis-url", store.url)
    served = start(*serve, PYTHONPATH=f"{tmp_path}:{Path.cwd()}").ready()
    assert len(workers_of(served)) == 2
    assert served.ends() == 0


def test_propensities_follow_outcomes_on_every_worker_within_seconds(
    start: Start, small_world: Path, store: EmbeddedStore, tmp_path: Path
) -> None:
    world = tmp_path / "world"
    shutil.copytree(small_world, world)
    models = yaml.safe_load((world / "models.yaml").read_text())
    for model in models["models"].values():
        model["adapts"] = {"half_life": 20, "prior": 5, "delay": 0}
    (world / "models.yaml").write_text(yaml.safe_dump(models, sort_keys=False))
    served = start(
        "serve",
        str(world),
        "--workers",
        "2",
        "--redis-url",
        store.url,
        ARBITER_STORE_TIMEOUT_MS="10000",
    ).ready()
    positive = next(iter(models["models"].values()))["positive"][0]

    def asked(channel: httpx.Client, number: int) -> dict[str, Any]:
        question = {"customer_id": f"c{number}", "channel": "web", "deadline_ms": 10_000}
        decision: dict[str, Any] = channel.post("/v1/decisions", json=question).json()
        return decision

    with httpx.Client(base_url=served.address) as channel:
        decisions = [asked(channel, number) for number in range(40)]
        for decision in decisions:
            for placement in decision["placements"]:
                for action in placement["actions"]:
                    report = {"token": action["token"], "outcome": positive}
                    assert channel.post("/v1/outcomes", json=report).status_code == 202
        action = decisions[0]["placements"][0]["actions"][0]["action"]
    for worker in workers_of(served):

        def corrected(worker: int = worker) -> dict[str, Any] | None:
            question = {"customer_id": "c0", "channel": "web", "deadline_ms": 10_000, "explain": "full"}
            decision = answer_of(worker, served.address, "/v1/decisions", question).json()
            [found] = [one for one in decision["explanation"] if one["action"] == action]
            return found if found["correction"] > 2 else None

        found = wait_until(corrected)
        assert found["propensity"] == pytest.approx(min(found["predicted"] * found["correction"], 1.0))
    assert served.ends() == 0
