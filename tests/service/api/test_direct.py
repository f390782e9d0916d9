"""Requests that are answered by the protocol itself, over real sockets: as others are, and in their turn."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sized
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from feature_store.embedded import EmbeddedStore
from service.api.server import DIRECT, DirectRequest
from service.app import create_app
from service.settings import Settings
from service.workspace.loading import Workspace
from tests.service.conftest import Serve, listening

from .conftest import metric

PATIENCE = 10.0


class Echo:
    """A direct route that answers with the body: at once, later, never, or not as it should."""

    method, target, most = b"POST", b"/echo", 1000
    opening = b"POST /echo HTTP/1.1\r\n"

    def __init__(self) -> None:
        self.full = False
        self.ended: list[int] = []
        self.waiting: list[DirectRequest] = []

    def turn_away(self) -> Response:
        return PlainTextResponse("full", 503)

    def take(self, body: bytearray, reply: DirectRequest) -> None:
        answer = PlainTextResponse(bytes(body))
        if body == b"broken":
            raise RuntimeError("broken on purpose")
        if body == b"never":
            self.waiting.append(reply)
        elif body == b"later":
            asyncio.get_running_loop().call_later(0.3, reply.set_result, answer)
        else:
            reply.set_result(answer)

    def count(self, status: int) -> None:
        self.ended.append(status)


async def _by_the_application(request: Request) -> Response:
    return PlainTextResponse("by the application: " + (await request.body()).decode())


@contextmanager
def serving(echo: Echo) -> Iterator[str]:
    """The address of an application with this direct route, and the same path beside it."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        yield {DIRECT: echo}

    routes = [Route("/echo", _by_the_application, methods=["POST", "PUT"])]
    with listening(Starlette(routes=routes, lifespan=lifespan)) as url:
        yield url


@pytest.fixture
def echo() -> Echo:
    """The direct route of `address`."""
    return Echo()


@pytest.fixture
def address(echo: Echo) -> Iterator[str]:
    """A server with a direct route."""
    with serving(echo) as url:
        yield url


@contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=PATIENCE) as raw:
        yield raw


def asking(body: bytes, *headers: bytes, version: bytes = b"1.1") -> bytes:
    """A plain request, with further headers."""
    head = [b"POST /echo HTTP/" + version, b"host: x", b"content-length: %d" % len(body), *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def rest(raw: socket.socket) -> bytes:
    """Everything that comes until the server closes."""
    return b"".join(iter(lambda: raw.recv(65536), b""))


def bodies(answered: bytes) -> list[bytes]:
    """The body of each answer, the length of which is said."""
    found = []
    while answered:
        head, _, after = answered.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields[b"content-length"])
        found.append(after[:length])
        answered = after[length:]
    return found


def wait_for(ended: Sized, number: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while len(ended) < number:
        assert time.monotonic() < deadline, "it did not come to it"
        time.sleep(0.01)


def test_requests_sent_at_once_are_answered_in_order(address: str, echo: Echo) -> None:
    with connected(address) as raw:
        put = b"PUT /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nput"
        raw.sendall(asking(b"now") + asking(b"later") + put + asking(b"last", b"connection: close"))
        last = b"by the application: last"  # it had to wait for others
        assert bodies(rest(raw)) == [b"now", b"later", b"by the application: put", last]
    assert echo.ended == [200, 200]


def test_an_answer_says_that_the_connection_ends_and_ends_it(address: str) -> None:
    for request in (asking(b"now", b"connection: close"), asking(b"now", version=b"1.0")):
        with connected(address) as raw:
            raw.sendall(request)
            answered = rest(raw)
        assert answered.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
        assert b"\r\nconnection: close\r\n" in answered
        assert bodies(answered) == [b"now"]


def test_a_body_may_come_in_pieces(address: str, echo: Echo) -> None:
    request = asking(b"in pieces", b"connection: close")
    with connected(address) as raw:
        for start in range(0, len(request), 7):
            raw.sendall(request[start : start + 7])
            time.sleep(0.005)
        assert bodies(rest(raw)) == [b"in pieces"]
    assert echo.ended == [200]


def test_a_body_may_be_empty(address: str, echo: Echo) -> None:
    with connected(address) as raw:
        raw.sendall(asking(b"", b"connection: close"))
        assert bodies(rest(raw)) == [b""]
    assert echo.ended == [200]


def test_what_is_not_plain_is_the_application_s(address: str, echo: Echo) -> None:
    close = b"connection: close"
    chunked = (
        b"POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        b"2\r\nno\r\n1\r\nw\r\n0\r\n\r\n"
    )
    unusual = {
        chunked: b"now",
        asking(b"now", close, b"content-type: text/plain"): b"now",
        asking(b"now").replace(b"/echo", b"/echo?a=b").replace(b"host: x", close): b"now",
        asking(b"x" * 1001, close): b"x" * 1001,
    }
    for request, body in unusual.items():
        with connected(address) as raw:
            raw.sendall(request)
            assert bodies(rest(raw)) == [b"by the application: " + body]
    with connected(address) as raw:
        raw.sendall(asking(b"", b"expect: 100-continue", close).replace(b"length: 0", b"length: 3"))
        assert raw.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.sendall(b"now")
        assert bodies(rest(raw)) == [b"by the application: now"]
    assert httpx.get(f"{address}/echo").status_code == 405
    assert httpx.post(f"{address}/echoes").status_code == 404
    assert echo.ended == []


def test_json_with_a_character_set_is_plain(address: str, echo: Echo) -> None:
    for media_type in ("application/json", "application/json; charset=utf-8", "Application/JSON ;a=b"):
        assert httpx.post(f"{address}/echo", content="{}", headers={"content-type": media_type}).text == "{}"
    assert echo.ended == [200] * 3


def test_who_is_refused_by_the_head_can_ask_again_on_the_same_connection(address: str, echo: Echo) -> None:
    echo.full = True
    with connected(address) as raw:
        raw.sendall(asking(b"now")[:-3])
        assert raw.recv(65536).startswith(b"HTTP/1.1 503 ")
        echo.full = False
        raw.sendall(b"now" + asking(b"again", b"connection: close"))
        assert bodies(rest(raw)) == [b"again"]
    assert echo.ended == [503, 200]


def test_who_is_turned_away_can_ask_again_on_the_same_connection(address: str, echo: Echo) -> None:
    with connected(address) as raw:
        for echo.full, answered in ((True, b"full"), (True, b"full"), (False, b"now"), (True, b"full")):
            raw.sendall(asking(b"now", b"content-type: application/json"))
            assert bodies(raw.recv(65536)) == [answered]
    assert echo.ended == [503, 503, 200, 503]


def test_requests_that_come_together_are_turned_away_one_by_one(address: str, echo: Echo) -> None:
    echo.full = True
    with connected(address) as raw:
        raw.sendall(asking(b"now") + asking(b"now") + asking(b"last", b"connection: close"))
        assert bodies(rest(raw)) == [b"full", b"full", b"full"]


def test_a_body_is_no_request_even_if_it_looks_like_one(address: str, echo: Echo) -> None:
    inner = asking(b"inner")
    head = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(inner)
    echo.full = True
    with connected(address) as raw:
        raw.sendall(head)
        assert bodies(raw.recv(65536)) == [b"full"]
        raw.sendall(inner)
        time.sleep(0.1)  # it comes by itself, as a request would
        raw.sendall(asking(b"last", b"connection: close"))
        assert bodies(rest(raw)) == [b"full"]
    assert echo.ended == [503, 503]


def test_a_request_is_not_turned_away_before_the_one_that_came_first_is_answered(
    address: str, echo: Echo
) -> None:
    with connected(address) as raw:
        raw.sendall(asking(b"never"))
        wait_for(echo.waiting, 1)
        [first] = echo.waiting
        echo.full = True
        raw.sendall(asking(b"last"))
        protocol = first._protocol
        wait_for(protocol.pipeline, 1)
        protocol.loop.call_soon_threadsafe(first.set_result, PlainTextResponse("first"))
        answered = b""
        while not answered.endswith(b"last"):
            answered += raw.recv(65536)
        assert bodies(answered) == [b"first", b"by the application: last"]


def test_what_falls_over_is_a_problem_of_its_own_alone(
    address: str, echo: Echo, caplog: pytest.LogCaptureFixture
) -> None:
    with httpx.Client(base_url=address) as client:
        answer = client.post("/echo", content="broken")
        assert (answer.status_code, answer.json()["type"]) == (500, "urn:arbiter:problem:internal-error")
        assert client.post("/echo", content="whole").text == "whole"
    assert "broken on purpose" in caplog.text
    assert echo.ended == [500, 200]


def test_a_client_that_goes_is_counted_and_nobody_waits_for_it(address: str, echo: Echo) -> None:
    for request in (asking(b"never"), asking(b"never")[:-1]):
        with connected(address) as raw:
            raw.sendall(request)
            time.sleep(0.05)
    wait_for(echo.ended, 2)
    assert echo.ended == [499, 499]
    assert [reply.done() for reply in echo.waiting] == [True]
    assert httpx.post(f"{address}/echo", content="on").text == "on"


def test_a_server_that_stops_answers_what_is_on_its_way(echo: Echo) -> None:
    with ExitStack() as outlasting:
        with serving(echo) as address:
            raw = outlasting.enter_context(connected(address))
            raw.sendall(asking(b"later"))
            time.sleep(0.1)
        answered = rest(raw)
    assert bodies(answered) == [b"later"]
    assert b"\r\nconnection: close\r\n" in answered


QUESTION = {"customer_id": "c1", "channel": "web", "dry_run": True}
JSON = {"content-type": "application/json"}


def by_route(client: httpx.Client, body: bytes) -> httpx.Response:
    """The answer to a request whose length is not said, so that it takes the ordinary way."""
    return client.post("/v1/decisions", content=iter([body]), headers=JSON)


def test_both_ways_say_the_same(client: httpx.Client) -> None:
    def comparable(answer: httpx.Response) -> Any:
        document = answer.json()
        for name in ("decision_id", "timings_ms", "placements"):  # actions have tokens, and draws by the id
            document.pop(name, None)
        kept = {"content-type": answer.headers["content-type"], "names": sorted(answer.headers)}
        return answer.status_code, kept, document

    documents: list[Any] = [
        QUESTION,
        QUESTION | {"channel": "wbe"},
        QUESTION | {"channel": 1, "context": 1},
        {"channel": "web"},
        [],
    ]
    for body in (*map(msgspec.json.encode, documents), b"{"):
        direct = client.post("/v1/decisions", content=body, headers=JSON)
        assert comparable(direct) == comparable(by_route(client, body))


def test_each_way_counts_a_request_once(client: httpx.Client) -> None:
    def counted(status: str) -> float:
        return metric(client, "arbiter_http_requests_total", route="/v1/decisions", status=status)

    before = counted("200"), counted("400")
    assert client.post("/v1/decisions", json=QUESTION).status_code == 200
    assert client.post("/v1/decisions", content=b"{").status_code == 400
    assert (counted("200"), counted("400")) == (before[0] + 1, before[1] + 1)
    assert by_route(client, msgspec.json.encode(QUESTION)).status_code == 200
    assert counted("200") == before[0] + 2


def test_what_is_too_large_or_no_json_is_refused_as_ever(serve: Serve) -> None:
    with serve(max_body_bytes=100) as small:
        assert small.post("/v1/decisions", json=QUESTION | {"context": {"a": "b" * 100}}).status_code == 413
        headers = {"content-type": "text/csv"}
        assert small.post("/v1/decisions", content=b"a,b", headers=headers).status_code == 415
        assert small.get("/v1/decisions").status_code == 405


def test_many_connections_are_all_answered(client: httpx.Client) -> None:
    body = msgspec.json.encode(QUESTION)
    request = asking(body, b"connection: close").replace(b"/echo", b"/v1/decisions")
    with ExitStack() as stack:
        sockets = [stack.enter_context(connected(str(client.base_url))) for _ in range(40)]
        for raw in sockets:
            raw.sendall(request)
        answers = [msgspec.json.decode(bodies(rest(raw))[0]) for raw in sockets]
    assert len({answer["decision_id"] for answer in answers}) == 40
    assert {answer["customer_id"] for answer in answers} == {"c1"}


def test_an_application_without_a_server_answers_too(
    world: Workspace, world_store: EmbeddedStore, tmp_path: Path
) -> None:
    given = {"workspace": world.folder, "redis_url": world_store.url, "data": tmp_path}

    async def ask() -> httpx.Response:
        app = create_app(Settings.model_validate(given))
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://x") as client,
        ):
            return await client.post("/v1/decisions", json=QUESTION)

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["customer_id"]) == (200, "c1")
