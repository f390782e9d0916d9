"""How uvicorn serves the application: with as little work of its own for a request as it can do with."""

import asyncio
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


class WholeAnswers(HttpToolsProtocol):
    """uvicorn's protocol, except that the head of an answer waits for the first part of its body, as ASGI
    has it, and leaves together with it.

    uvicorn writes one after the other. Each is a call of the operating system, which takes longer than
    anything else that HTTP needs for a request.
    """

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, _with_whole_answers(cycle, app))


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
