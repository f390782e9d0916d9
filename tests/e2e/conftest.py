"""Whole runs of the command line: real processes, a real store, real HTTP."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from models.workshop import train_workspace
from service.workspace.loading import load_workspace
from service.world.synthetic import write_world

ARBITER = str(Path(sys.executable).with_name("arbiter"))
CUSTOMERS = 100
PATIENCE = 60.0
"""Seconds until a test gives up on what should happen at once."""


def wait_until(happened: Callable[[], Any]) -> Any:
    """What `happened` returns, once it is something."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        result = happened()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError("it did not happen")


class Arbiter:
    """A running `arbiter` command with a data folder and a port of its own."""

    def __init__(self, data: Path, *arguments: str, **settings: str) -> None:
        self.data, self.port = data, free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.log = data.parent / f"{data.name}-{self.port}.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ARBITER_")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [ARBITER, *arguments],
                env={**kept, "ARBITER_DATA": str(data), "ARBITER_PORT": str(self.port), **settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=data.parent,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """All that it has printed."""
        return self.log.read_text(errors="replace")

    def ready(self) -> "Arbiter":
        """Wait until it serves."""

        def answers() -> bool:
            assert self.process.poll() is None, self.said
            try:
                return httpx.get(f"{self.address}/health/ready", timeout=30).status_code == 200
            except httpx.TransportError:
                return False

        wait_until(answers)
        return self

    def printed(self, beginning: str) -> str:
        """The line that begins so, once it is there."""

        def line() -> str | None:
            assert self.process.poll() is None, self.said
            lines = self.said.splitlines()
            return next((found for found in lines if found.startswith(beginning)), None)

        return str(wait_until(line))

    def processes(self) -> list[psutil.Process]:
        """Itself and everything that it has started."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def ends(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and wait for the exit status; nothing that it started may be left."""
        started = self.processes()
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        wait_until(lambda: not any(alive(process) for process in started))
        return status


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


Start = Callable[..., Arbiter]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts commands, in the data folder `data` unless told otherwise; ends them all afterwards."""
    with commands(tmp_path / "data") as begin:
        yield begin


@contextmanager
def commands(usual_data: Path) -> Iterator[Start]:
    """As the fixture `start`, for fixtures of another scope."""
    started: list[Arbiter] = []

    def begin(*arguments: str, data: Path = usual_data, **settings: str) -> Arbiter:
        command = Arbiter(data, *arguments, **settings)
        started.append(command)
        return command

    yield begin
    for command in started:
        if command.process.poll() is None:
            family = command.processes()
            for process in family:
                process.kill()
        command.process.wait(PATIENCE)


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with customers, a history and trained models."""
    folder: Path = tmp_path_factory.mktemp("small") / "world"
    write_world(folder, actions=6, customers=CUSTOMERS, features=12, models=1, decisions=2000, seed=2)
    workspace = load_workspace(folder)
    train_workspace(
        workspace.specs, workspace.schema, workspace.action_models, folder, workspace.registry, seed=2
    )
    return folder
