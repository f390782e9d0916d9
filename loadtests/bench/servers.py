"""The servers that are measured: the bare endpoint, the service and the usual way, each with its own store.

Servers get a core, and the load another; the stores share the load's, as if they were on another machine.
"""

import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from feature_store.embedded import EmbeddedStore
from loadtests.bench.contacts import write_contacts
from loadtests.bench.worlds import BenchFailed, run
from loadtests.cores import helped_by, started_on
from loadtests.metrics import degraded_share
from loadtests.peers import usual
from loadtests.peers.export import export_world, load_features
from loadtests.server import Server, arbiter, fetch, free_port, process, wait_until_ready

READY_WITHIN = 300.0
DEADLINE_MS = 5_000
"""Whole decisions are measured: by the default of 50 ms a machine that is too slow for 64 connections turns
requests away, and leaves out what comes too late."""
MOST_DEGRADED = 0.01


@dataclass(frozen=True)
class Site:
    """Where servers run: a folder for what they write, and their core; None is any. The service runs as a
    child of the command `under`, where there is one."""

    folder: Path
    core: int | None
    under: tuple[str, ...] = ()

    @contextmanager
    def bare(self, name: str, workers: int = 1) -> Iterator[Server]:
        """The FastAPI endpoint that does nothing."""
        port = free_port()
        with self._python(name, port, "-m", "loadtests.bare", str(port), str(workers)) as server:
            yield server

    @contextmanager
    def usual(self, world: Path, name: str) -> Iterator[Server]:
        """The usual way to decide in a world."""
        with self._store(name) as store:
            with helped_by(self.core):
                export_world(world, self.folder / name / "peer")
                load_features(world, store.url)
            words = (str(usual.__file__), str(self.folder / name / "peer"), store.url)
            port = free_port()
            with self._python(name, port, *words, str(port)) as server:
                yield server

    @contextmanager
    def service(self, world: Path, name: str, workers: int = 1) -> Iterator[Server]:
        """The service in a world whose customers have a history and have been asked for their consent."""
        with self._store(name) as store:
            with helped_by(self.core):
                run("load", str(world), str(world / "customers.parquet"), "--redis-url", store.url)
                write_contacts(world, store.url)
            serve = ("serve", str(world), "--redis-url", store.url, "--workers", str(workers))
            data, log = self.folder / name / "data", self.folder / f"{name}.log"
            with started_on(
                self.core,
                arbiter(
                    *serve,
                    data=data,
                    log=log,
                    port=free_port(),
                    within=READY_WITHIN,
                    under=self.under,
                    deadline_ms=DEADLINE_MS,
                ),
            ) as server:
                yield server
                left_out = degraded_share(fetch(server.url, "/metrics").decode())
                if left_out > MOST_DEGRADED:
                    raise BenchFailed(f"{name}: {left_out:.1%} of the decisions were made without something")

    @contextmanager
    def _store(self, name: str) -> Iterator[EmbeddedStore]:
        (self.folder / name).mkdir()
        with EmbeddedStore(self.folder / name / "store") as store:
            yield store

    @contextmanager
    def _python(self, name: str, port: int, *words: str) -> Iterator[Server]:
        log = self.folder / f"{name}.log"
        with started_on(self.core, process([sys.executable, *words], log=log)) as running:
            yield wait_until_ready(running, port, "/health/ready", log, READY_WITHIN)


@contextmanager
def all_at_once(starting: Mapping[str, AbstractContextManager[Server]]) -> Iterator[Mapping[str, Server]]:
    """Servers that start at the same time: while one fills its store, another makes itself ready."""
    with ExitStack() as stack:
        with ThreadPoolExecutor(len(starting)) as threads:
            servers = dict(zip(starting, threads.map(stack.enter_context, starting.values()), strict=True))
        yield servers
