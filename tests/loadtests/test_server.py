"""Servers of a measurement are real: they get ready or fail with a reason, and are gone afterwards."""

import sys
from pathlib import Path

import pytest

from loadtests.server import ServerFailed, arbiter, free_port, process, wait_until_ready


def test_a_server_is_gone_once_the_measurement_is_over(tmp_path: Path) -> None:
    port = free_port()
    with process(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(tmp_path), str(port)],
        log=tmp_path / "log",
    ) as server:
        wait_until_ready(server, port, "/", tmp_path / "log", within=30)
        assert server.poll() is None
    assert server.poll() is not None


def test_a_server_that_ends_is_reported_with_its_last_words(tmp_path: Path) -> None:
    program = "print('no such workspace'); raise SystemExit(3)"
    with (
        process([sys.executable, "-c", program], log=tmp_path / "log") as server,
        pytest.raises(ServerFailed, match=r"ended with 3(.|\n)*no such workspace"),
    ):
        wait_until_ready(server, free_port(), "/", tmp_path / "log", within=30)


def test_a_server_that_never_gets_ready_is_given_up(tmp_path: Path) -> None:
    with (
        process([sys.executable, "-c", "import time; time.sleep(60)"], log=tmp_path / "log") as server,
        pytest.raises(ServerFailed, match=r"not ready within 0\.2 s"),
    ):
        wait_until_ready(server, free_port(), "/", tmp_path / "log", within=0.2)


def test_a_service_without_a_workspace_fails_instead_of_being_measured(tmp_path: Path) -> None:
    missing = str(tmp_path / "nothing")
    with (
        pytest.raises(ServerFailed, match="nothing"),
        arbiter("run", missing, data=tmp_path, log=tmp_path / "log", port=free_port()),
    ):
        pytest.fail("it was said to be ready")
