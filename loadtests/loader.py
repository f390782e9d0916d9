"""A load generator in one thread of Python: closed loop, and open loop at a fixed rate of arrivals.

Plain sockets and `select` over the few that wait for an answer, whose time-outs are exact to some 60
microseconds, where those of an event loop are whole milliseconds. In the open loop requests come as customers
do, independently of each other (a Poisson process), and each is timed from the moment at which it should have
been sent: a server that stalls is charged for all who wait meanwhile (no coordinated omission).
"""

import gc
import re
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from random import Random
from select import select
from typing import Self
from urllib.parse import urlsplit

import numpy as np

PATH = "/v1/decisions"
"""Where a server takes requests whose URL has no path of its own."""
CONNECTIONS = 16
"""How many connections the open loop begins with; it opens more when all are busy."""
MOST_CONNECTIONS = 900  # `select` takes file numbers below 1,024
PATIENCE = 10.0
"""Seconds for which answers are waited for after the last request; what has not come then is an error."""
IDLE = 4.0
"""Seconds after which a connection is not used again: servers, uvicorn after five, close those that idle."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CHUNK = 1 << 15  # a much larger buffer would be mapped afresh for every answer


@dataclass
class Answers:
    """What came back: seconds that each answer took, and how many were no good. `late` is by how many seconds
    each request of an open loop was sent after its time."""

    took: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    errors: int = 0


class _Connection:
    """One connection, with at most one request on its way."""

    __slots__ = ("began", "free_since", "number", "received", "socket")

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = self.socket.fileno()
        self.received = b""
        self.began = 0.0
        self.free_since = time.perf_counter()

    def ask(self, request: bytes, began: float) -> None:
        """Send a request that counts from `began`."""
        self.began = began
        self.socket.send(request)

    def answer(self) -> int | None:
        """The status of the answer once all of it has come; raises `ConnectionError` when none will come."""
        got = self.socket.recv(_CHUNK)
        if not got:
            raise ConnectionResetError
        data = self.received + got if self.received else got
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            length = _LENGTH.search(data, 0, end + 2)
            if length is None or len(data) >= end + 4 + int(length[1]):
                self.received = b""
                return int(data[9:12])
        self.received = data
        return None


class Loader:
    """Sends the requests of one run from connections of its own; use it with `with`."""

    def __init__(self, url: str, bodies: Path) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._requests = _requests(url, bodies.read_text().splitlines())
        self._free: list[_Connection] = []
        self._busy: dict[int, _Connection] = {}
        self.answers = Answers()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in (*self._free, *self._busy.values()):
            connection.socket.close()

    def closed(self, connections: int, seconds: float) -> float:
        """So many connections, each of which asks again when it is answered. Returns the seconds it took."""
        self._open(connections)
        with _undisturbed():
            began = time.perf_counter()
            while (now := time.perf_counter()) < began + seconds:
                while self._free:
                    self._ask(time.perf_counter())
                self._wait(began + seconds - now)
            return time.perf_counter() - began

    def open(self, rate: float, seconds: float, seed: int = 0) -> float:
        """Requests that come at `rate` a second, whatever the answers do. Returns the seconds it took."""
        gaps = np.random.default_rng(seed).exponential(1 / rate, max(1, round(rate * seconds)))
        self._open(CONNECTIONS)
        with _undisturbed():
            began = time.perf_counter()
            due = deque((began + np.cumsum(gaps)).tolist())
            until = due[-1] + PATIENCE
            while (due or self._busy) and time.perf_counter() < until:
                self._ask_due(due)
                self._wait((due[0] if due else until) - time.perf_counter())
            self.answers.errors += len(due) + len(self._busy)
            return time.perf_counter() - began

    def _ask_due(self, due: deque[float]) -> None:
        """Send what should have been sent by now, as far as there are connections."""
        while due and due[0] <= (now := time.perf_counter()):
            if not self._free:
                if len(self._busy) >= MOST_CONNECTIONS:
                    return
                self._open(1)
            began = due.popleft()
            self._ask(began)
            self.answers.late.append(now - began)

    def _ask(self, began: float) -> None:
        """Send the next request, which counts from `began`, over a connection that is free."""
        connection = self._free.pop()
        if time.perf_counter() - connection.free_since > IDLE:
            connection.socket.close()
            connection = _Connection(self._address)
        connection.ask(next(self._requests), began)
        self._busy[connection.number] = connection

    def _wait(self, within: float) -> None:
        """Take the answers that have come, after a wait for the first one of at most `within` seconds."""
        ready, _, _ = select(list(self._busy), (), (), max(0.0, within))
        for number in ready:
            connection = self._busy[number]
            try:
                status = connection.answer()
            except ConnectionError:
                del self._busy[number]
                connection.socket.close()
                self._open(1)
                self.answers.errors += 1
                continue
            if status is not None:
                connection.free_since = time.perf_counter()
                self.answers.took.append(connection.free_since - connection.began)
                self.answers.errors += status >= 400
                self._free.append(self._busy.pop(number))

    def _open(self, count: int) -> None:
        self._free += [_Connection(self._address) for _ in range(count)]


def _requests(url: str, bodies: Sequence[str]) -> Iterator[bytes]:
    """Requests of the bodies in a random order, without an end."""
    to = urlsplit(url)
    head = f"POST {to.path or PATH} HTTP/1.1\r\nhost: {to.netloc}\r\n"
    head += "content-type: application/json\r\ncontent-length: "
    requests = [f"{head}{len(encoded := body.encode())}\r\n\r\n".encode() + encoded for body in bodies]
    Random(1).shuffle(requests)
    return cycle(requests)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """No garbage collection in between: it would be taken for the server's time."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
