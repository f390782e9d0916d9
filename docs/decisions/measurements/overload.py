"""What a worker still answers when more is asked than it can answer, within its usual deadline of 50 ms.

`python docs/decisions/measurements/overload.py WORLD`, where WORLD is a folder made by `arbiter world` and
`arbiter train`: decisions a second of 64 connections that ask again and again, then of requests that come at
a fixed rate beyond it, and of the 64 again. On two cores of its own, or the figures mean nothing.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from feature_store.embedded import EmbeddedStore
from loadtests.bench.measuring import write_bodies
from loadtests.bench.worlds import run
from loadtests.cores import cpu_seconds, pinned, two_cores
from loadtests.loader import Loader
from loadtests.server import Server, arbiter, fetch, free_port

CONNECTIONS = 64
BEYOND = (0.5, 1.0, 1.25, 1.5, 2.0)
SECONDS = 5.0


def counted(server: Server) -> Counter[str]:
    """The service's own counts: decisions, those made without something, requests turned away, seconds."""
    counts: Counter[str] = Counter()
    for family in text_string_to_metric_families(fetch(server.url, "/metrics").decode()):
        for sample in family.samples:
            if sample.name == "arbiter_decisions_total":
                counts["decisions"] += int(sample.value)
                counts["degraded"] += int(sample.value) * (sample.labels["mode"] != "full")
            if sample.name in ("arbiter_shed_total", "arbiter_decision_seconds_sum"):
                counts[sample.name] += sample.value  # type: ignore[assignment]
    return counts


def phase(name: str, server: Server, bodies: Path, load: Callable[[Loader], float]) -> float:
    """Load the server, and print what came of it; returns decisions a second."""
    before, cpu = counted(server), cpu_seconds(server.pid)
    with Loader(server.url, bodies) as loader:
        seconds = load(loader)
    cpu = cpu_seconds(server.pid) - cpu
    after = counted(server)
    made = {name: after[name] - before[name] for name in after}
    decisions = max(1, made["decisions"])
    began = time.perf_counter()
    fetch(server.url, "/health/live")
    sys.stdout.write(
        f"{name:>16}: {made['decisions'] / seconds:7,.0f} decisions/s, "
        f"{made['arbiter_shed_total'] / seconds:7,.0f} turned away/s, "
        f"{made['degraded'] / decisions:6.1%} degraded, "
        f"{made['arbiter_decision_seconds_sum'] / decisions * 1e3:5.1f} ms each, "
        f"core {cpu / seconds:4.0%} busy, health in {(time.perf_counter() - began) * 1e3:.1f} ms\n"
    )
    sys.stdout.flush()
    return made["decisions"] / seconds


def main(world: Path) -> None:
    """All phases."""
    server_core, load_core = two_cores() or (None, None)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="arbiter-overload-")))
        stack.enter_context(pinned(load_core))
        store = stack.enter_context(EmbeddedStore(folder / "store"))
        run("load", str(world), str(world / "customers.parquet"), "--redis-url", store.url)
        serve = ("serve", str(world), "--redis-url", store.url)
        with pinned(server_core):
            server = stack.enter_context(
                arbiter(*serve, data=folder / "data", log=folder / "service.log", port=free_port())
            )
        bodies = write_bodies(folder / "bodies.jsonl", 20_000)
        with Loader(server.url, bodies) as loader:
            loader.closed(CONNECTIONS, 2.0)
        closed = f"{CONNECTIONS} connections"
        peak = phase(closed, server, bodies, lambda loader: loader.closed(CONNECTIONS, SECONDS))
        for factor in BEYOND:
            rate = factor * peak
            phase(f"{factor:g} x", server, bodies, lambda loader, rate=rate: loader.open(rate, SECONDS))  # type: ignore[misc]
        phase(closed, server, bodies, lambda loader: loader.closed(CONNECTIONS, SECONDS))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
