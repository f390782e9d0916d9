"""`arbiter run`: everything in one command, and nothing left of it afterwards but the data."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from .conftest import Arbiter, commands

Start = Callable[..., Any]  # starts a command; see conftest


@dataclass(frozen=True)
class Terminated:
    """A run that was told to end after it had decided: its exit status, whether others could have its port at
    once, and where its data is."""

    status: int
    port_was_free: bool
    data: Path
    decided: set[str]


@pytest.fixture(scope="module")
def terminated(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Terminated:
    with commands(tmp_path_factory.mktemp("terminated") / "data") as start:
        running = start("run", str(small_world)).ready()
        assert any("server" in process.name() for process in running.processes())
        asked = {"customer_id": "c1", "channel": "web"}
        answers = [httpx.post(f"{running.address}/v1/decisions", json=asked).json() for _ in range(3)]
        status = running.ends(signal.SIGTERM)
        free = is_free(running.port)
    return Terminated(status, free, running.data, {answer["decision_id"] for answer in answers})


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture(scope="module")
def serving(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arbiter]:
    """A run for tests that only ask it."""
    with commands(tmp_path_factory.mktemp("serving") / "data") as start:
        yield start("run", str(small_world)).ready()


def metric(address: str, beginning: str) -> float:
    """The sum of all lines of the metrics that begin so."""
    lines = httpx.get(f"{address}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(beginning))


def test_the_printed_curl_works_as_it_stands_and_its_outcome_is_counted(serving: Arbiter) -> None:
    curl = serving.printed("curl ")
    decisions, outcomes = counted(serving)
    answer = subprocess.run(curl, shell=True, capture_output=True, text=True, check=True)
    decision = json.loads(answer.stdout)
    assert decision["mode"] in ("full", "degraded")  # the latter if the machine is busy
    offer = next(place["actions"][0] for place in decision["placements"] if place["actions"])
    assert counted(serving) == (decisions + 1, outcomes)
    receipt = httpx.post(f"{serving.address}/v1/outcomes", json={"token": offer["token"], "outcome": "click"})
    assert (receipt.status_code, receipt.json()["accepted"]) == (202, 1)
    assert counted(serving) == (decisions + 1, outcomes + 1)


def counted(run: Arbiter) -> tuple[float, float]:
    """Decisions and outcomes until now."""
    return metric(run.address, "arbiter_decisions_total{"), metric(run.address, "arbiter_outcomes_total{")


def test_what_was_decided_is_in_the_files_of_the_log_when_it_has_stopped(terminated: Terminated) -> None:
    files = duckdb.execute(
        f"SELECT decision_id FROM '{terminated.data}/log/decisions/*/*/*.parquet'"
    ).fetchall()
    assert terminated.decided == {id_ for (id_,) in files}


def test_a_termination_stops_everything_that_was_started(terminated: Terminated) -> None:
    assert terminated.status == 0  # and nothing that it had started was left
    assert terminated.port_was_free


def test_ctrl_c_during_the_set_up_stops_it_in_order(start: Start, small_world: Path, tmp_path: Path) -> None:
    untrained = tmp_path / "untrained"
    shutil.copytree(small_world, untrained, ignore=shutil.ignore_patterns("models"))
    running = start("run", str(untrained))
    running.printed("Training the models")
    assert running.ends() == 0
    assert "Traceback" not in running.said


def test_a_second_run_finds_its_data_again(start: Start, small_world: Path) -> None:
    first = start("run", str(small_world)).ready()
    put_account(first.address)
    outcome = {"token": offered_token(first.address), "outcome": "accept"}
    assert httpx.post(f"{first.address}/v1/outcomes", json=outcome).json()["accepted"] == 1
    assert "100 customers loaded" in first.said
    assert first.ends() == 0
    assert "Stopped." in first.said
    second = start("run", str(small_world))
    second.printed("Customers: 100, found in the store")
    second.ready()
    assert "Training" not in second.said
    assert "loaded" not in second.said
    found = httpx.get(f"{second.address}/v1/customers/c3").json()
    assert (found["account_id"], [touch["outcome"] for touch in found["history"]]) == ("changed", ["accept"])
    again = httpx.post(f"{second.address}/v1/outcomes", json=outcome)
    assert (again.status_code, again.json()["duplicates"]) == (202, 1)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_killed_run_leaves_nothing_behind_but_the_data(
    start: Start, small_world: Path, workers: str
) -> None:
    killed = start("run", str(small_world), "--workers", workers).ready()
    put_account(killed.address)
    assert len(killed.processes()) > int(workers)
    killed.ends(signal.SIGKILL)
    next_run = start("run", str(small_world), ARBITER_PORT=str(killed.port))
    next_run.printed("curl ")
    found = httpx.get(f"http://127.0.0.1:{killed.port}/v1/customers/c3").json()
    assert found["account_id"] == "changed"


def put_account(address: str) -> None:
    assert httpx.put(f"{address}/v1/customers/c3", json={"account_id": "changed"}).status_code == 204


def offered_token(address: str) -> str:
    question = {"customer_id": "c3", "channel": "web", "placements": [{"id": "home_hero"}]}
    decision = httpx.post(f"{address}/v1/decisions", json=question).json()
    return str(decision["placements"][0]["actions"][0]["token"])


def test_two_runs_do_not_share_a_data_folder(start: Start, small_world: Path, serving: Arbiter) -> None:
    second = start("run", str(small_world), data=serving.data)
    assert second.process.wait() == 1
    assert f"is in use by process {serving.process.pid}" in second.said
    assert httpx.get(f"{serving.address}/v1/customers/c1").status_code == 200


def test_a_taken_port_is_told_before_anything_is_started(start: Start, small_world: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = start("run", str(small_world), ARBITER_PORT=str(port))
        assert refused.process.wait() == 1
    assert refused.said.startswith(f"Cannot listen on 127.0.0.1:{port}: Address already in use.")
    assert f"ARBITER_PORT={port + 1}" in refused.said
    assert "Traceback" not in refused.said


def test_a_file_in_the_place_of_the_data_folder_is_told(
    start: Start, small_world: Path, tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("in the way")
    refused = start("run", str(small_world), data=tmp_path / "data")
    assert refused.process.wait() == 1
    assert "Cannot write to the data folder" in refused.said
    assert "ARBITER_DATA" in refused.said
    assert "Traceback" not in refused.said


def test_a_read_only_data_folder_is_told(start: Start, small_world: Path, tmp_path: Path) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):  # for root nothing is read-only but what the kernel itself keeps
        folder = Path("/sys")
    refused = start("run", str(small_world), ARBITER_DATA=str(folder / "data"))
    assert refused.process.wait() == 1
    assert "Cannot write to the data folder" in refused.said


def test_a_store_that_was_killed_is_started_again_with_all_that_was_acknowledged(
    start: Start, small_world: Path
) -> None:
    running = start("run", str(small_world)).ready()
    decision = httpx.post(
        f"{running.address}/v1/decisions", json={"customer_id": "killed-store", "channel": "web"}
    ).json()
    token = next(place["actions"][0] for place in decision["placements"] if place["actions"])["token"]
    reported = httpx.post(f"{running.address}/v1/outcomes", json={"token": token, "outcome": "click"})
    assert reported.status_code == 202
    [store] = [process for process in running.processes() if process.name().endswith("-server")]
    store.kill()
    running.printed("The store has ended; starting it again")
    deadline = time.monotonic() + 60
    while (answer := httpx.get(f"{running.address}/v1/customers/killed-store")).status_code != 200:
        assert time.monotonic() < deadline, answer.text
    assert len(answer.json()["history"]) == 1
    assert running.ends() == 0


def test_the_store_listens_on_no_network_address(serving: Arbiter) -> None:
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for process in serving.processes()
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1", serving.port)}


def test_a_reload_reaches_every_worker(start: Start, small_world: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reloaded"
    shutil.copytree(small_world, folder)
    running = start("run", str(folder), "--workers", "2").ready()
    patience = time.monotonic() + 60
    while metric(running.address, "arbiter_workers") < 2:
        assert time.monotonic() < patience
    action = httpx.get(f"{running.address}/v1/catalogue").json()["actions"][0]["action"]
    (folder / "policies.yaml").write_text(f"emergency_exclusion: [{action}]\n")
    versions = httpx.post(f"{running.address}/v1/admin/reload", timeout=30).json()["versions"]

    def all_follow() -> bool:
        """Whether many connections, which both workers take, meet the new version."""
        answers = [httpx.get(f"{running.address}/health/ready").json() for _ in range(30)]
        return all(answer["versions"] == versions for answer in answers)

    while not all_follow():
        assert time.monotonic() < patience
    assert metric(running.address, 'arbiter_reloads_total{result="done"') == 2
