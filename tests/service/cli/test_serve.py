"""What `arbiter serve` prepares before it serves."""

import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from service.cli.serve import _announce_when_ready, _fresh_metrics_folder
from service.settings import Settings


class Ready(BaseHTTPRequestHandler):
    """A service that is always ready."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""


def test_metrics_of_runs_that_were_killed_are_removed_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    mine, living, dead = (tmp_path / "metrics" / str(pid) for pid in (os.getpid(), os.getppid(), 999_999_999))
    for folder in (mine, living, dead):
        folder.mkdir(parents=True)
        (folder / "counter_1.db").touch()
    assert _fresh_metrics_folder(tmp_path) == mine
    assert list(mine.iterdir()) == []
    assert list(living.iterdir()) != []
    assert not dead.exists()


def test_a_service_is_announced_where_a_proxy_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setattr("service.cli.serve.READY_WITHIN", 3.0)
    announced = threading.Event()
    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            _announce_when_ready(Settings(port=server.server_port), announced.set)
        finally:
            server.shutdown()
    assert announced.is_set()
