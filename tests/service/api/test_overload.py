"""More requests than can be answered in time, over real HTTP: the excess is turned away at once."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import msgspec
import pytest

from .conftest import metric

Serve = Any  # the fixture that starts a service

CONNECTIONS = 200
TRIES = 500
BODY = b'{"customer_id":"c1","channel":"web"}'


class Answer:
    """A response as it came over the wire."""

    def __init__(self, connection: socket.socket) -> None:
        raw = b""
        while b"\r\n\r\n" not in raw:
            raw += _received(connection)
        head, _, body = raw.partition(b"\r\n\r\n")
        status, *headers = head.decode().split("\r\n")
        self.status = int(status.split()[1])
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in headers)}
        while len(body) < int(self.headers["content-length"]):
            body += _received(connection)
        self.document = msgspec.json.decode(body)


def _received(connection: socket.socket) -> bytes:
    chunk = connection.recv(65_536)
    assert chunk, "the connection was closed"
    return chunk


@contextmanager
def connections(client: httpx.Client) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        address = (client.base_url.host, client.base_url.port or 80)
        yield [stack.enter_context(socket.create_connection(address, timeout=30)) for _ in range(CONNECTIONS)]


def ask(sockets: list[socket.socket]) -> None:
    """Send a request over every connection, and wait for no answer."""
    head = b"POST /v1/decisions HTTP/1.1\r\nhost: arbiter\r\ncontent-type: application/json\r\n"
    request = head + b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)
    for connection in sockets:
        connection.sendall(request)


@pytest.fixture
def busy(serve: Serve) -> Iterator[httpx.Client]:
    """A service that is to answer within a time in which it can't answer so many at once."""
    with serve(deadline_ms=4, max_batch=16) as client:
        yield client


def test_under_overload_some_are_answered_and_the_others_are_sent_away(busy: httpx.Client) -> None:
    shed = metric(busy, "arbiter_shed_total")
    answers: list[Answer] = []
    with connections(busy) as sockets:
        for _ in range(5):
            ask(sockets)
            assert httpx.get(f"{busy.base_url}/health/live", timeout=30).status_code == 200
            answers += map(Answer, sockets)
    refused = [answer for answer in answers if answer.status != 200]
    assert 0 < len(refused) < len(answers)
    assert metric(busy, "arbiter_shed_total") == shed + len(refused)
    for answer in refused:
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.document["type"] == "urn:arbiter:problem:overloaded"


def test_after_an_overload_everybody_is_answered_again(busy: httpx.Client) -> None:
    with connections(busy) as sockets:
        for _ in range(5):
            ask(sockets)
            assert len([Answer(connection) for connection in sockets]) == CONNECTIONS
        for _ in range(5):
            ask(sockets[:10])
            assert {Answer(connection).status for connection in sockets[:10]} == {200}


@contextmanager
def crowd(client: httpx.Client) -> Iterator[None]:
    """Others who ask more than can be answered, all the time."""
    leave = threading.Event()

    def keep_asking() -> None:
        with connections(client) as sockets:
            while not leave.is_set():
                ask(sockets)
                for connection in sockets:
                    Answer(connection)

    with ThreadPoolExecutor(2) as others:
        asking = [others.submit(keep_asking) for _ in range(2)]
        try:
            yield
        finally:
            leave.set()
    for one in asking:
        one.result()


def test_who_is_sent_away_before_the_body_came_can_ask_again_on_the_same_connection(
    busy: httpx.Client,
) -> None:
    head = b"POST /v1/decisions HTTP/1.1\r\nhost: arbiter\r\ncontent-type: application/json\r\n"
    address = (busy.base_url.host, busy.base_url.port or 80)
    with socket.create_connection(address, timeout=30) as late:
        with crowd(busy):
            for _ in range(TRIES):
                late.sendall(head + b"content-length: %d\r\n\r\n" % len(BODY))
                late.sendall(BODY)
                if Answer(late).status == 503:
                    break
            else:
                pytest.fail("there was always room")
        ask([late])
        assert Answer(late).status == 200


def test_who_wants_the_connection_closed_is_sent_away_and_it_is_closed(busy: httpx.Client) -> None:
    request = (
        b"POST /v1/decisions HTTP/1.1\r\nhost: arbiter\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    )
    address = (busy.base_url.host, busy.base_url.port or 80)
    with crowd(busy):
        for _ in range(TRIES):
            with socket.create_connection(address, timeout=30) as last:
                last.sendall(request)
                answer = b"".join(iter(lambda open_=last: open_.recv(65_536), b""))  # type: ignore[misc]
            if answer.startswith(b"HTTP/1.1 503 "):
                assert b"\r\nconnection: close\r\n" in answer
                return
    pytest.fail("there was always room")
