"""What HTTP costs a request, without the calls of the operating system.

`python docs/decisions/measurements/answering.py WORKSPACE`, with trained models: CPU microseconds and Python
calls a request, the least of many rounds of 64 connections. The application answers with decisions that were
made ahead; the bytes of requests are given to the protocol, those of answers go nowhere.
"""

import asyncio
import cProfile
import json
import pstats
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from uvicorn.server import ServerState

from feature_store.embedded import EmbeddedStore
from loadtests import bare
from service.api.server import DIRECT, OPTIONS
from service.app import create_app
from service.cli.console import table
from service.runtime.decision import Decision
from service.runtime.pending import Waiting
from service.runtime.requests import DecisionRequest, PlacementRequest
from service.settings import Settings

CONNECTIONS, ROUNDS, PROFILED = 64, 400, 10
HEAD = b"POST /v1/decisions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
QUIET: dict[str, Any] = {"log_level": "warning", "access_log": False}


class Sink(asyncio.Transport):
    """Counts the answers that are written to it, and their bytes."""

    answers = size = 0

    def write(self, data: Any) -> None:
        self.answers += data[:5] == b"HTTP/"
        self.size += len(data)

    def is_closing(self) -> bool:
        return False

    def resume_reading(self) -> None: ...

    def close(self) -> None: ...


class Decided:
    """Gives every request one of the decisions that were made ahead, in the loop's next turn."""

    has_room = True

    def __init__(self, decisions: list[Decision]) -> None:
        self._decisions: Iterator[Decision] = cycle(decisions)

    def submit(self, request: DecisionRequest, answer: Waiting) -> None:
        asyncio.get_running_loop().call_soon(answer.set_result, next(self._decisions))


def rounds_of(
    config: uvicorn.Config, app_state: dict[str, Any], request: bytes
) -> tuple[Callable[[], Awaitable[None]], Sink]:
    """A function that has the request answered once over every connection, and what the first one wrote."""
    config.load()
    state = ServerState()
    state.default_headers = [(b"date", b"Sun, 22 Nov 2026 03:30:57 GMT")]
    connect: Any = config.http_protocol_class
    connections: list[tuple[Any, Sink]] = []
    for _ in range(CONNECTIONS):
        protocol, sink = connect(config=config, server_state=state, app_state=app_state), Sink()
        protocol.connection_made(sink)
        connections.append((protocol, sink))

    async def one_round() -> None:
        wanted = connections[0][1].answers + 1
        for protocol, _ in connections:
            protocol.data_received(request)
        while any(sink.answers < wanted for _, sink in connections):  # noqa: ASYNC110 - an event costs more
            await asyncio.sleep(0)

    return one_round, connections[0][1]


async def measured(name: str, config: uvicorn.Config, body: dict[str, Any], **app_state: Any) -> list[str]:
    """What a request costs, as a row of the table."""
    raw = json.dumps(body).encode()
    one_round, sink = rounds_of(config, app_state, b"%b%d\r\n\r\n%b" % (HEAD, len(raw), raw))
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        await one_round()
        best = min(best, time.process_time() - started)
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(PROFILED):
        await one_round()
    profile.disable()
    calls: int = pstats.Stats(profile).total_calls  # type: ignore[attr-defined]
    figures = best / CONNECTIONS * 1e6, calls / PROFILED / CONNECTIONS, sink.size / sink.answers
    return [name, *(f"{figure:,.0f}" for figure in figures)]


async def main() -> None:
    """Measure both, and print the table."""
    with tempfile.TemporaryDirectory() as data, EmbeddedStore(Path(data) / "store") as store:
        given = {"workspace": sys.argv[1], "data": data, "redis_url": store.url}
        app = create_app(Settings.model_validate(given))

        def ours() -> uvicorn.Config:
            return uvicorn.Config(app, **(QUIET | OPTIONS))

        async with app.router.lifespan_context(app):
            service = app.state.service
            channel = service.snapshot.catalogue.channels[0]
            placement = channel.placements[-1].id
            asked = DecisionRequest(
                channel.name,
                "c1",
                placements=(PlacementRequest(placement, 3),),
                dry_run=True,
                deadline_ms=1e4,
            )
            real = service.decider
            service.decider = Decided(await asyncio.gather(*(real.decide(asked) for _ in range(CONNECTIONS))))
            body = {
                "customer_id": "c1",
                "channel": channel.name,
                "placements": [{"id": placement, "limit": 3}],
                "context": dict.fromkeys(real.live.snapshot.context_features),
            }
            direct = {DIRECT: app.state.desk}
            rows = [
                await measured("the service", ours(), body, **direct),
                await measured("the service, by its route", ours(), body),
            ]
            service.decider = real
    rows.append(await measured("bare FastAPI endpoint", uvicorn.Config(bare.app, **QUIET), body))
    table("A request", ["", "CPU us", "Python calls", "bytes of the answer"], rows)


if __name__ == "__main__":
    uvloop.run(main())
