"""How uvicorn serves the application: with as little work of its own for a request as it can do with."""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

TURNS_AWAY = "turns_away"
TurnsAway = Callable[[Any], Response | None]
"""The answer to a request, by its scope, that is not even to be begun with; None: it is."""


class WholeAnswers(HttpToolsProtocol):
    """uvicorn's protocol, except that the head of an answer waits for the first part of its body, as ASGI
    has it, and leaves together with it.

    uvicorn writes one after the other. Each is a call of the operating system, which takes longer than
    anything else that HTTP needs for a request.

    Where the application's state has `TURNS_AWAY`, requests are shown to it by their scope before anything
    is started for them, and what it returns is the answer.
    """

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        turns_away: TurnsAway | None = self.app_state.get(TURNS_AWAY)
        answer = None if turns_away is None else turns_away(cycle.scope)
        if answer is None:
            super()._start_asgi_task(cycle, _with_whole_answers(cycle, app))
        else:
            self._turn_away(cycle, answer)

    def _turn_away(self, cycle: RequestResponseCycle, answer: Response) -> None:
        """Answer at once; what comes of the request's body is passed over."""
        headers = [*cycle.default_headers, *answer.raw_headers]
        if not cycle.keep_alive:
            headers.append((b"connection", b"close"))
        head = b"".join(b"%b: %b\r\n" % header for header in headers)
        cycle.transport.write(b"HTTP/1.1 %d \r\n%b\r\n%b" % (answer.status_code, head, bytes(answer.body)))
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            cycle.transport.close()
        self.on_response_complete()


OPTIONS: dict[str, Any] = {
    "http": WholeAnswers,
    "ws": "none",
    "access_log": False,
    "proxy_headers": False,
    "server_header": False,
}
"""For `uvicorn.Config`. Nothing here asks for the address of a client, and metrics count requests."""


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
