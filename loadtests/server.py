"""A server of our own, as a real process, for as long as a measurement lasts."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ARBITER = (sys.executable, "-m", "service.cli.main")
STOPS_WITHIN = 20.0  # seconds


@dataclass(frozen=True)
class Server:
    """A server that is ready."""

    url: str
    pid: int


class ServerFailed(Exception):
    """The server did not become ready; the message ends with what it said last."""


@contextmanager
def arbiter(
    *arguments: str,
    data: Path,
    log: Path,
    port: int,
    within: float = 300.0,
    under: Sequence[str] = (),
    **settings: object,
) -> Iterator[Server]:
    """Run `arbiter <arguments>` on a loopback port and with a data folder of its own, as a child of the
    command `under` where there is one.

    `settings` are set as `ARBITER_<NAME>`; no other `ARBITER_*` of this process gets through.

    Raises:
        ServerFailed: it was not ready `within` so many seconds.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ARBITER_")}
    settings |= {"host": "127.0.0.1", "port": port, "data": data}
    chosen = {f"ARBITER_{name.upper()}": str(value) for name, value in settings.items()}
    with process([*under, *ARBITER, *arguments], environment=inherited | chosen, log=log) as running:
        yield wait_until_ready(running, port, "/health/ready", log, within)


@contextmanager
def process(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is gone afterwards, with all that it started; what it says goes to `log`.

    It has a session of its own: Ctrl-C reaches this process alone, which then stops it in order.
    """
    with log.open("wb") as output:
        running = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield running
    finally:
        running.send_signal(signal.SIGINT)
        try:
            running.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()


def wait_until_ready(
    running: subprocess.Popen[bytes], port: int, path: str, log: Path, within: float
) -> Server:
    """Return when `path` answers 200. Raises `ServerFailed` when the server ends, or takes longer."""
    deadline = time.monotonic() + within
    server = Server(f"http://127.0.0.1:{port}", running.pid)
    while running.poll() is None and time.monotonic() < deadline:
        try:
            fetch(server.url, path)
            return server
        except OSError:
            time.sleep(0.05)
    what = (
        f"was not ready within {within:g} s" if running.poll() is None else f"ended with {running.returncode}"
    )
    last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise ServerFailed(f"The server {what}. It said last ({log}):\n{last}")


def fetch(url: str, path: str) -> bytes:
    """The body of `GET path`. Raises `OSError` when there is no answer, or none with status 200."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    except http.client.HTTPException as error:
        raise OSError(f"{path}: {error}") from error
    finally:
        connection.close()
    if response.status != 200:
        raise OSError(f"{path}: status {response.status}")
    return body


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
