"""How uvicorn serves the application: with as little work of its own for a request as it can do with."""

import asyncio
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import CLOSE_HEADER, HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service.api.problems import INTERNAL_ERROR
from service.api.raw import is_whole
from service.api.routes import CLIENT_GONE

DIRECT = "direct"
"""Of an application's state: the `DirectRoute` that it has."""
_UNUSUAL = frozenset((b"expect", b"transfer-encoding", b"upgrade"))
"""Headers of requests that are more than a body whose size is known."""


class DirectRoute(Protocol):
    """What an application answers itself, without a task, a scope and messages for each request."""

    method: bytes
    target: bytes
    opening: bytes
    """The first line of a request for it, with its end."""
    most: int
    """Bytes that a body may have."""

    @property
    def full(self) -> bool:
        """Whether requests are to be turned away."""

    def turn_away(self) -> Response:
        """The answer to a request that is not even begun with."""

    def take(self, body: bytearray, reply: "DirectRequest") -> None:
        """Answer a request, now or later."""

    def count(self, status: int) -> None:
        """Is told how each request ended."""


class DirectRequest:
    """A request for a direct route, to be answered as a future is given its result. For uvicorn it is a cycle
    like others, so whatever comes after it on its connection waits for it, and so does the end of a server.
    """

    __slots__ = (
        "_protocol",
        "_route",
        "body",
        "disconnected",
        "keep_alive",
        "more_body",
        "response_complete",
    )

    def __init__(self, protocol: "DirectAnswers", route: DirectRoute, *, keep_alive: bool) -> None:
        self._protocol, self._route, self.keep_alive = protocol, route, keep_alive
        self.body = bytearray()
        self.more_body = True
        self.response_complete = self.disconnected = False

    @property
    def message_event(self) -> "DirectRequest":
        """What uvicorn sets when something has happened to a request. Nobody waits for it here."""
        return self

    def set(self) -> None:
        """See `message_event`."""

    def done(self) -> bool:
        """Whether nobody waits for an answer any more."""
        return self.response_complete or self.disconnected

    def begin(self) -> None:
        """Have it answered; its body is all here."""
        try:
            self._route.take(self.body, self)
        except Exception as error:  # noqa: BLE001 - the client is told, whatever happened
            self.set_exception(error)

    def set_result(self, response: Response) -> None:
        """Answer it."""
        self._route.count(response.status_code)
        self.response_complete = True
        self._protocol.respond(response, keep_alive=self.keep_alive)

    def set_exception(self, error: BaseException) -> None:
        """Answer that something is wrong here, and log what."""
        self._protocol.logger.error("Exception in a direct route\n", exc_info=error)
        self.set_result(INTERNAL_ERROR)

    def leave(self) -> None:
        """Its client has gone."""
        if not self.done():
            self._route.count(CLIENT_GONE)


class DirectAnswers(HttpToolsProtocol):
    """uvicorn's protocol, except for two things.

    Requests for the `DirectRoute` that the application's state has, if any, are handed to it, as long as they
    are plain: a body whose size is known, and no other request before it on the way. All others go to the
    application.

    The head of an answer waits for the first part of its body, as ASGI has it, and leaves together with it.
    uvicorn writes one after the other. Each is a call of the operating system, which takes longer than
    anything else that HTTP needs for a request.
    """

    cycle: Any
    """What came last: a `RequestResponseCycle` or a `DirectRequest`."""
    _amid_message = False
    """Whether the parser waits for the rest of a message."""

    def data_received(self, data: bytes) -> None:
        """Parse what has come; but a request that is turned away need not be parsed if it is all here and as
        plain as nearly all are. In an overload most requests are such."""
        route: DirectRoute | None = self.app_state.get(DIRECT)
        if route is None or not route.full or not self._is_new(data, route):
            super().data_received(data)
            return
        refusal = route.turn_away()
        route.count(refusal.status_code)
        self.respond(refusal, keep_alive=True)

    def on_message_begin(self) -> None:
        self._amid_message = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._unset_keepalive_if_required()  # what was answered at once has set it amid what was received
        route: DirectRoute | None = self.app_state.get(DIRECT)
        if route is None or not self._is_for(route):
            super().on_headers_complete()
            return
        parser = self.parser
        keep_alive = parser.should_keep_alive() and parser.get_http_version() != "1.0"
        self.cycle = request = DirectRequest(self, route, keep_alive=keep_alive)
        if route.full:
            request.set_result(route.turn_away())

    def on_message_complete(self) -> None:
        self._amid_message = False
        super().on_message_complete()
        request = self.cycle
        if isinstance(request, DirectRequest) and not request.response_complete:
            request.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(self.cycle, DirectRequest):
            self.cycle.leave()
        super().connection_lost(exc)

    def respond(self, response: Response, *, keep_alive: bool) -> None:
        """Write a whole answer, and go on with what comes after it."""
        if not self.transport.is_closing():
            headers = [*self.server_state.default_headers, *response.raw_headers]
            if not keep_alive:
                headers.append(CLOSE_HEADER)
            head = b"".join([b"%b: %b\r\n" % header for header in headers])
            self.transport.write(
                b"%b%b\r\n%b" % (STATUS_LINE[response.status_code], head, bytes(response.body))
            )
            if not keep_alive:
                self.transport.close()
        self.on_response_complete()

    def _is_new(self, data: bytes, route: DirectRoute) -> bool:
        """Whether this is one plain request for a route, from its beginning to its end, and nothing is in its
        way."""
        return (
            not self._amid_message
            and (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and is_whole(data, route.opening, route.most)
        )

    def _is_for(self, route: DirectRoute) -> bool:
        """Whether the request whose head is here is a plain one for this route, and nothing is in its way."""
        return (
            self.url == route.target
            and self.parser.get_method() == route.method
            and (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and _is_plain(self.headers, min(route.most, HIGH_WATER_LIMIT))
        )

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, _with_whole_answers(cycle, app))


OPTIONS: dict[str, Any] = {
    "http": DirectAnswers,
    "ws": "none",
    "access_log": False,
    "proxy_headers": False,
    "server_header": False,
}
"""For `uvicorn.Config`. Nothing here asks for the address of a client, and metrics count requests."""


def _is_plain(headers: list[tuple[bytes, bytes]], most: int) -> bool:
    """Whether what follows is JSON, as far as is known, and has so many bytes at most."""
    sized = False
    for name, value in headers:
        if name == b"content-length":
            sized = int(value) <= most
        elif name == b"content-type":
            if value.partition(b";")[0].rstrip().lower() != b"application/json":
                return False
        elif name in _UNUSUAL:
            return False
    return sized


def _with_whole_answers(cycle: RequestResponseCycle, app: ASGIApp) -> Any:
    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        head: Message | None = None

        async def send_whole(message: Message) -> None:
            nonlocal head
            if head is None and message["type"] == "http.response.start":
                head = message
            elif head is None or cycle.response_started:
                await send(message)
            else:
                transport = cycle.transport
                cycle.transport = joined = _Joined(transport)
                try:
                    await send(head)
                    await send(message)
                finally:
                    cycle.transport = transport
                    joined.flush()

        await app(scope, receive, send_whole)

    return answering


class _Joined(asyncio.Transport):
    """Stands in for a transport, to which everything goes in one write."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._parts: list[bytes] = []

    def write(self, data: Any) -> None:
        self._parts.append(bytes(data))

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        if self._parts:
            self._transport.write(b"".join(self._parts))
            self._parts.clear()
