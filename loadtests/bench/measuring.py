"""Measurements in rounds: servers take turns, so that a machine that gets slower slows all of them down."""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from typing import Literal

from loadtests.bench.worlds import BenchFailed
from loadtests.cores import cpu_seconds, memory_mib, peak_mib
from loadtests.generators import LoadGenerator, Sample, run_open
from loadtests.server import Server

PLACEMENTS = [{"id": "home_tiles", "limit": 3}]
WARM_UP, WARM_UP_CONNECTIONS = 2.0, 16  # seconds
SETTLING, SETTLES_WITHIN = 0.5, 120.0  # seconds
MOST_BODIES = 200_000

Loop = Literal["closed", "open"]


@dataclass(frozen=True)
class Target:
    """A server, and a file of requests to it, one a line."""

    server: Server
    bodies: Path


@dataclass(frozen=True)
class Reading:
    """One measurement of one server.

    `at` is the number of connections of a closed loop, and the requests a second of an open one. `cpu_us` is
    the processor time of all of the server's processes a request, in microseconds; `memory_mib` what they
    have together, `peak_mib` the most that one of them has had so far.
    """

    server: str
    loop: Loop
    at: float
    sample: Sample
    cpu_us: float
    memory_mib: float
    peak_mib: float


@dataclass(frozen=True)
class Middle:
    """The medians over all rounds of one server under one load."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    memory_mib: float
    peak_mib: float

    @property
    def cores(self) -> float:
        """How many cores the server's processes kept busy."""
        return self.per_second * self.cpu_us / 1e6


@dataclass
class Readings:
    """All measurements of a run so far."""

    all: list[Reading] = field(default_factory=list)

    def middle(self, server: str, loop: Loop, at: float) -> Middle:
        """The medians of one server under one load. Raises `KeyError` where that was not measured."""
        chosen = [one for one in self.all if (one.server, one.loop, one.at) == (server, loop, at)]
        if not chosen:
            raise KeyError((server, loop, at))
        return Middle(
            per_second=median(one.sample.per_second for one in chosen),
            p50_ms=median(one.sample.p50_ms for one in chosen),
            p99_ms=median(one.sample.p99_ms for one in chosen),
            cpu_us=median(one.cpu_us for one in chosen),
            memory_mib=median(one.memory_mib for one in chosen),
            peak_mib=max(one.peak_mib for one in chosen),
        )

    def loads(self, loop: Loop) -> list[float]:
        """The loads of a kind that were put on any server, in order."""
        return sorted({one.at for one in self.all if one.loop == loop})

    def saturation(self, server: str) -> float:
        """The most requests a second that a server has answered, whatever the number of connections."""
        loads = {one.at for one in self.all if one.server == server and one.loop == "closed"}
        return max(self.middle(server, "closed", at).per_second for at in loads)


@dataclass(frozen=True)
class Meter:
    """Puts load on servers and reads what they do and use."""

    generator: LoadGenerator

    def warm_up(self, targets: Collection[Target]) -> None:
        """Let servers import, compile and cache what they will, and wait until they have."""
        servers = [target.server for target in targets]
        _settle(servers)
        for target in targets:
            self.generator.run(target.server.url, target.bodies, WARM_UP_CONNECTIONS, WARM_UP)
        _settle(servers)

    def closed(
        self, targets: Mapping[str, Target], connections: Sequence[int], rounds: int, seconds: float
    ) -> list[Reading]:
        """Rounds of closed loops: each connection asks again when it has its answer.

        Raises:
            BenchFailed: a server answered with an error: its speed would mean nothing.
        """
        return [
            self._read(name, target, "closed", at, seconds)
            for _ in range(rounds)
            for at in connections
            for name, target in targets.items()
        ]

    def open(
        self, targets: Mapping[str, Target], rates: Sequence[float], rounds: int, seconds: float
    ) -> list[Reading]:
        """Rounds of open loops: requests come at a fixed rate, whatever the answers do; raises likewise."""
        return [
            self._read(name, target, "open", rate, seconds)
            for _ in range(rounds)
            for rate in rates
            for name, target in targets.items()
        ]

    def _read(self, name: str, target: Target, loop: Loop, at: float, seconds: float) -> Reading:
        server = target.server
        before = cpu_seconds(server.pid)
        if loop == "closed":
            sample = self.generator.run(server.url, target.bodies, int(at), seconds)
        else:
            sample = run_open(server.url, target.bodies, at, seconds)
        cpu = cpu_seconds(server.pid) - before
        if sample.errors or not sample.requests:
            what = f"{sample.errors} errors in {sample.requests} answers"
            raise BenchFailed(f"{name}, {loop} loop, {at:g}: {what}")
        return Reading(
            server=name,
            loop=loop,
            at=at,
            sample=sample,
            cpu_us=cpu / sample.requests * 1e6,
            memory_mib=memory_mib(server.pid),
            peak_mib=peak_mib(server.pid),
        )


def _settle(servers: Sequence[Server]) -> None:
    """Return when servers that have nothing to answer do nothing: all that they prepare is done."""
    deadline = time.monotonic() + SETTLES_WITHIN
    while time.monotonic() < deadline:
        before = _cpu_seconds(servers)
        time.sleep(SETTLING)
        if not _cpu_seconds(servers) - before > SETTLING / 4:
            return


def _cpu_seconds(servers: Sequence[Server]) -> float:
    return sum(cpu_seconds(server.pid) for server in servers)


def write_bodies(path: Path, customers: int) -> Path:
    """Requests about random customers in random moments, one a line."""
    random = Random(1)
    with path.open("w") as file:
        for _ in range(min(max(20_000, customers), MOST_BODIES)):
            context = {
                "page": random.choice(["home", "search", "product", "cart", "account"]),
                "device": random.choice(["desktop", "phone", "tablet"]),
                "cart_value": round(random.uniform(0, 200), 2),
            }
            body = {"customer_id": f"c{random.randrange(customers)}", "channel": "web"}
            file.write(json.dumps(body | {"placements": PLACEMENTS, "context": context}) + "\n")
    return path
