"""A live service in a process of its own, by a clock that the simulation turns."""

import multiprocessing
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from typing import Any

import uvicorn

from feature_store.embedded import EmbeddedStore
from service import clock
from service.api.server import OPTIONS
from service.app import create_app
from service.orphans import end_with_parent
from service.settings import Settings
from service.simulation.client import Client

STOPPING = 30.0
LONGEST_NIGHT = 86_400
"""Seconds for which a connection may be idle: as long as models are trained."""
PATIENT_MS = 60_000.0
"""What a decision or the store may take: a slow machine shall not change what is decided."""


@dataclass(frozen=True)
class LiveService:
    """A running service. Times are epoch seconds."""

    client: Client
    store_url: str
    _time: Any

    def turn_clock(self, now: float) -> None:
        """What time it is for the service from now on."""
        self._time.value = now


@contextmanager
def live_service(workspace: Path, data: Path, now: float) -> Iterator[LiveService]:
    """A service of a workspace with an embedded store in a folder, for as long as the context lasts.

    Enter it in the main thread. Raises SimulationError: it does not come up.
    """
    spawning = multiprocessing.get_context("spawn")
    time = RawValue("d", now)
    with EmbeddedStore(data / "store") as store, socket.create_server(("127.0.0.1", 0)) as listening:
        settings = Settings(
            workspace=workspace,
            data=data,
            redis_url=store.url,
            deadline_ms=PATIENT_MS,
            store_timeout_ms=PATIENT_MS,
            replay_share=0.0,
            log_level="warning",
        )
        process = spawning.Process(target=_serve, args=(settings, listening, time), daemon=True)
        process.start()
        try:
            client = Client(listening.getsockname()[1])
            client.wait_until_ready(process.is_alive)
            yield LiveService(client, store.url, time)
            client.close()
        finally:
            process.terminate()
            process.join(STOPPING)


def _serve(settings: Settings, listening: socket.socket, time: Any) -> None:
    end_with_parent()
    clock.follow(lambda: float(time.value))
    config = uvicorn.Config(
        create_app(settings),
        log_level="warning",
        timeout_keep_alive=LONGEST_NIGHT,
        timeout_graceful_shutdown=5,
        **OPTIONS,
    )
    uvicorn.Server(config).run(sockets=[listening])
