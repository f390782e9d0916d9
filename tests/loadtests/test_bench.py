"""The benchmark for real, in small; and its load generators against a server that counts."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from loadtests import bench
from loadtests.bench import BARE, SERVICE, Round, middle
from loadtests.cores import cpu_seconds, pinned, two_cores
from loadtests.generators import Asyncio, LoadGenerator, Sample, Wrk


class CountingServer(ThreadingHTTPServer):
    """Answers every second body that it gets with an error, if it is told to."""

    daemon_threads = True

    def __init__(self, failing: bool) -> None:
        self.failing, self.bodies = failing, list[str]()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: CountingServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.bodies.append(body.decode())
        failed = self.server.failing and len(self.server.bodies) % 2 == 0
        self.send_response(500 if failed else 200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Keep quiet."""


@pytest.fixture(params=[False, True], ids=["good", "failing"])
def server(request: pytest.FixtureRequest) -> Iterator[CountingServer]:
    with CountingServer(request.param) as counting:
        threading.Thread(target=counting.serve_forever, daemon=True).start()
        yield counting
        counting.shutdown()


@pytest.mark.parametrize("generator", [Asyncio(), Wrk()], ids=["asyncio", "wrk"])
def test_a_generator_counts_what_it_sent_and_what_failed(
    server: CountingServer, generator: LoadGenerator, tmp_path: Path
) -> None:
    if generator.name == "wrk" and not shutil.which("wrk"):
        pytest.skip("wrk is not installed")
    (tmp_path / "bodies.jsonl").write_text('{"n": 1}\n{"n": 2}\n')
    sample = generator.run(server.url, tmp_path / "bodies.jsonl", connections=2, seconds=1)
    assert set(server.bodies) == {'{"n": 1}', '{"n": 2}'}
    assert 0 <= len(server.bodies) - sample.requests <= 2  # what was under way at the end has no answer
    assert abs(sample.errors - (sample.requests / 2 if server.failing else 0)) <= 2
    assert 0 < sample.p50_ms <= sample.p99_ms


def test_the_benchmark_measures_both_servers_and_writes_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--actions", "4", "--customers", "300", "--features", "12", "--models", "1"]
    arguments += ["--decisions", "5000", "--rounds", "1", "--seconds", "1", "--connections", "4"]
    arguments += ["--json", str(tmp_path / "bench.json"), "--worlds", str(tmp_path / "worlds")]
    status = bench.main(arguments)
    assert status == 0, capsys.readouterr()
    figures = json.loads((tmp_path / "bench.json").read_text())
    assert [(line["server"], line["connections"]) for line in figures["medians"]] == [(BARE, 4), (SERVICE, 4)]
    assert all(line["per_second"] > 0 for line in figures["medians"])
    assert "arbiter, 4 connections" in capsys.readouterr().out
    assert [world.name for world in (tmp_path / "worlds").iterdir()] == [
        "actions4-customers300-features12-models1-decisions5000"
    ]


def test_medians_are_taken_over_the_rounds_of_one_server() -> None:
    def one(server: str, requests: int) -> Round:
        return Round(server, 16, Sample(requests, 1.0, 1.0, 2.0, 0), 100.0)

    rounds = [one(BARE, 10), one(BARE, 30), one(BARE, 1_000), one(SERVICE, 5)]
    assert middle(rounds, BARE, 16)["per_second"] == 30


def test_what_is_started_while_pinned_stays_on_its_core() -> None:
    cores = two_cores()
    if cores is None:
        pytest.skip("this machine has no two cores to choose")
    before = os.sched_getaffinity(0)
    with pinned(cores[1]):
        assert os.sched_getaffinity(0) == {cores[1]}
    assert os.sched_getaffinity(0) == before


def test_processor_time_only_grows() -> None:
    before = cpu_seconds(os.getpid())
    sum(range(3_000_000))
    assert cpu_seconds(os.getpid()) >= before
