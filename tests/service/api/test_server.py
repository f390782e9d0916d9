"""How answers leave: whole, whatever an application does."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.service.conftest import listening

ACCOUNTING = Path("/proc/self/io")
"""What Linux knows of this process, in which the tests' servers run too."""


async def _whole(request: Request) -> Response:
    return PlainTextResponse("all of it")


async def _in_parts(request: Request) -> Response:
    return StreamingResponse(iter(["one, ", "two, ", "three"]), media_type="text/plain")


class _Broken(Response):
    """Says how its answer begins, and then falls over."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("broken on purpose")


async def _broken(request: Request) -> Response:
    return _Broken()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server as the service's, of an application that answers in all ways."""
    ways: dict[str, Any] = {"/whole": _whole, "/in-parts": _in_parts, "/broken": _broken}
    with listening(Starlette(routes=[Route(path, way) for path, way in ways.items()])) as url:
        yield url


def exchanged(address: str, request: bytes) -> bytes:
    """Everything that is answered until the server closes."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as raw:
        raw.sendall(request)
        return b"".join(iter(lambda: raw.recv(65536), b""))


@pytest.mark.skipif(not ACCOUNTING.exists(), reason="only Linux counts the writes of a process")
def test_an_answer_takes_one_write(address: str) -> None:
    def writes() -> int:
        return int(dict(line.split(": ") for line in ACCOUNTING.read_text().splitlines())["syscw"])

    with httpx.Client(base_url=address) as client:
        before = writes()
        for _ in range(100):
            assert client.get("/whole").text == "all of it"
        assert 100 <= writes() - before < 150


def test_an_answer_in_parts_arrives_with_all_of_them(address: str) -> None:
    with httpx.Client(base_url=address) as client:
        for _ in range(2):
            assert client.get("/in-parts").text == "one, two, three"


def test_requests_sent_at_once_are_answered_in_order_on_one_connection(address: str) -> None:
    answered = exchanged(
        address,
        b"GET /whole HTTP/1.1\r\nHost: x\r\n\r\n"
        b"GET /in-parts HTTP/1.1\r\nHost: x\r\n\r\n"
        b"GET /whole HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    heads = [place for place in range(len(answered)) if answered.startswith(b"HTTP/1.1 200 OK\r\n", place)]
    assert len(heads) == 3
    assert b"two, " in answered[heads[1] : heads[2]]
    assert answered.endswith(b"\r\n\r\nall of it")


def test_a_head_that_was_asked_for_alone_comes_without_a_body(address: str) -> None:
    answered = exchanged(address, b"HEAD /whole HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answered.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answered.endswith(b"\r\n\r\n")


def test_a_client_of_the_old_protocol_gets_the_whole_answer_and_the_end(address: str) -> None:
    assert exchanged(address, b"GET /whole HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\nall of it")


def test_an_application_that_fails_before_its_body_is_answered_for_with_500(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert httpx.get(f"{address}/broken").status_code == 500
    assert "broken on purpose" in caplog.text
