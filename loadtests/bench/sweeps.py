"""What a decision costs in worlds of other sizes, and on more workers."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from loadtests.bench.figures import BARE, CONNECTIONS, SERVICE
from loadtests.bench.measuring import Meter, Middle, Readings, Target, write_bodies
from loadtests.bench.servers import Site
from loadtests.bench.worlds import Size, prepare
from loadtests.generators import LoadGenerator

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


def sweep(name: str, base: Size, worlds: Path, site: Site, generator: LoadGenerator) -> list[Point]:
    """Vary one thing: all variants are served at once, and take turns.

    Workers share all cores with the load and the stores, as there is no core to spare for these.
    """
    values = SWEEPS[name]
    sizes = [base if name == "workers" else replace(base, **{name: value}) for value in values]
    prepared = [prepare(size, worlds) for size in sizes]
    targets: dict[str, Target] = {}
    with ExitStack() as stack:
        for value, size, world in zip(values, sizes, prepared, strict=True):
            workers = value if name == "workers" else 1
            bodies = write_bodies(site.folder / f"{name}-{value}.jsonl", size.customers)
            served = {SERVICE: site.service(world, f"{name}-{value}", workers)}
            if name == "workers" or not targets:
                served[BARE] = site.bare(f"{name}-{value}-bare", workers)
            for title, server in served.items():
                targets[f"{title} {value}"] = Target(stack.enter_context(server), bodies)
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
