"""What a decision costs in worlds of other sizes, and on more workers."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from loadtests.bench.figures import BARE, CONNECTIONS, SERVICE
from loadtests.bench.measuring import Meter, Middle, Readings, Target, write_bodies
from loadtests.bench.servers import Site, all_at_once
from loadtests.bench.worlds import Size
from loadtests.generators import LoadGenerator
from loadtests.server import Server

SWEEPS: dict[str, tuple[int, ...]] = {
    "actions": (1, 10, 50, 200, 1_000, 2_500),
    "features": (64, 500),
    "models": (1, 10, 50),
    "customers": (20_000, 1_000_000),
    "workers": (1, 2),
}
ROUNDS, SECONDS = 3, 3.0


@dataclass(frozen=True)
class Point:
    """One value of what is varied, with the service and the bare endpoint that took turns with it."""

    value: int
    service: Middle
    bare: Middle


def variants(name: str, base: Size) -> list[Size]:
    """The sizes of the worlds of a sweep."""
    return [base if name == "workers" else replace(base, **{name: value}) for value in SWEEPS[name]]


def sweep(
    name: str, base: Size, worlds: Mapping[Size, Path], site: Site, generator: LoadGenerator
) -> list[Point]:
    """Vary one thing: all variants are served at once, and take turns.

    Workers share all cores with the load and the stores, as there is no core to spare for these.
    """
    values = SWEEPS[name]
    starting: dict[str, AbstractContextManager[Server]] = {}
    bodies: dict[str, Path] = {}
    for value, size in zip(values, variants(name, base), strict=True):
        workers = value if name == "workers" else 1
        served = {SERVICE: site.service(worlds[size], f"{name}-{value}", workers)}
        if name == "workers" or not starting:
            served[BARE] = site.bare(f"{name}-{value}-bare", workers)
        file = write_bodies(site.folder / f"{name}-{value}.jsonl", size.customers)
        starting |= {f"{title} {value}": server for title, server in served.items()}
        bodies |= {f"{title} {value}": file for title in served}
    with all_at_once(starting) as servers:
        targets = {title: Target(server, bodies[title]) for title, server in servers.items()}
        meter = Meter(generator)
        meter.warm_up(targets.values())
        readings = Readings(meter.closed(targets, (CONNECTIONS,), ROUNDS, SECONDS))
    return [
        Point(
            value=value,
            service=readings.middle(f"{SERVICE} {value}", "closed", CONNECTIONS),
            bare=readings.middle(
                f"{BARE} {value if name == 'workers' else values[0]}", "closed", CONNECTIONS
            ),
        )
        for value in values
    ]
