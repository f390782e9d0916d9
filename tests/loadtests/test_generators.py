"""Load generators against a server that counts, fails and stalls as it is told."""

import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from loadtests import loader
from loadtests.generators import LoadGenerator, Own, Wrk, run_open
from loadtests.loader import Loader


class CountingServer(ThreadingHTTPServer):
    """Answers every second body that it gets with an error, or with nothing at all, if it is told to."""

    daemon_threads = True

    def __init__(self, failing: bool = False) -> None:
        self.failing, self.hanging_up = failing, False
        self.stalls = 0.0  # seconds
        self.padding = 0  # bytes of each answer
        self.bodies = list[str]()
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
        second = len(self.server.bodies) % 2 == 0
        if self.server.hanging_up and second:
            self.close_connection = True
            return
        time.sleep(self.server.stalls)
        self.send_response(500 if self.server.failing and second else 200)
        self.send_header("Content-Length", str(2 + self.server.padding))
        self.end_headers()
        self.wfile.write(b"{}" + bytes(self.server.padding))

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Keep quiet."""


@pytest.fixture(params=[False, True], ids=["good", "failing"])
def server(request: pytest.FixtureRequest) -> Iterator[CountingServer]:
    yield from served(CountingServer(request.param))


@pytest.fixture
def good() -> Iterator[CountingServer]:
    yield from served(CountingServer())


def served(server: CountingServer) -> Iterator[CountingServer]:
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def bodies(tmp_path: Path) -> Path:
    path = tmp_path / "bodies.jsonl"
    path.write_text('{"n": 1}\n{"n": 2}\n')
    return path


@pytest.mark.parametrize("generator", [Own(), Wrk()], ids=["own", "wrk"])
def test_a_generator_counts_what_it_sent_and_what_failed(
    server: CountingServer, generator: LoadGenerator, bodies: Path
) -> None:
    if generator.name == "wrk" and not shutil.which("wrk"):
        pytest.skip("wrk is not installed")
    sample = generator.run(server.url, bodies, connections=2, seconds=1)
    assert set(server.bodies) == {'{"n": 1}', '{"n": 2}'}
    assert 0 <= len(server.bodies) - sample.requests <= 2  # what was under way at the end has no answer
    assert abs(sample.errors - (sample.requests / 2 if server.failing else 0)) <= 2
    assert 0 < sample.p50_ms <= sample.p99_ms


def test_an_open_loop_sends_as_many_as_its_rate_says_and_counts_what_failed(
    server: CountingServer, bodies: Path
) -> None:
    sample = run_open(server.url, bodies, rate=150, seconds=1)
    assert len(server.bodies) == sample.requests == 150
    assert set(server.bodies) == {'{"n": 1}', '{"n": 2}'}
    assert sample.errors == (75 if server.failing else 0)


def test_an_open_loop_does_not_wait_for_answers_and_charges_the_wait(
    good: CountingServer, bodies: Path
) -> None:
    good.stalls = 0.3
    sample = run_open(good.url, bodies, rate=200, seconds=0.5)
    assert sample.requests == 100
    assert sample.seconds < 100 * good.stalls / 2  # one after the other would take 30 s
    assert sample.p50_ms >= 300


def test_answers_that_come_in_pieces_are_put_together(good: CountingServer, bodies: Path) -> None:
    good.padding = 300_000
    sample = run_open(good.url, bodies, rate=40, seconds=0.5)
    assert (sample.requests, sample.errors) == (20, 0)


def test_a_connection_that_the_server_may_have_closed_meanwhile_is_not_used_again(
    good: CountingServer, bodies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "timeout", 0.2)
    monkeypatch.setattr(loader, "IDLE", 0.1)
    with Loader(good.url, bodies) as load:
        load.open(rate=100, seconds=0.2)
        time.sleep(0.4)  # the server closes what idles so long
        load.open(rate=100, seconds=0.05)
    assert load.answers.errors == 0


def test_a_server_that_hangs_up_has_failed(good: CountingServer, bodies: Path) -> None:
    good.hanging_up = True
    sample = run_open(good.url, bodies, rate=40, seconds=0.5)
    assert (sample.requests, sample.errors) == (10, 10)
