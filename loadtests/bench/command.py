"""`make bench`: one run on one machine, from making the worlds to the table of figures."""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from feature_store.embedded import EmbeddedStoreError
from loadtests.bench.figures import BARE, CONNECTIONS, SERVICE, USUAL, figures, more, rate
from loadtests.bench.measuring import Meter, Readings, Target, write_bodies
from loadtests.bench.outbound import customers_a_second
from loadtests.bench.page import PageUnfit, frame, write_page
from loadtests.bench.report import Report
from loadtests.bench.servers import Site, all_at_once
from loadtests.bench.sweeps import SWEEPS, sweep, variants
from loadtests.bench.worlds import BenchFailed, Size, prepare_all
from loadtests.cores import pinned, two_cores
from loadtests.generators import LoadGenerator, best_generator
from loadtests.server import ServerFailed
from service.cli.console import table

SHARES = (0.25, 0.5, 0.75)
"""Of the service's saturation: the rates of requests at which latency is measured."""


@dataclass(frozen=True)
class Effort:
    """How long is measured, in rounds and seconds."""

    connections: tuple[int, ...]
    rounds: int
    seconds: float
    shares: tuple[float, ...]
    open_rounds: int
    open_seconds: float
    copies: int
    """Of the world's customers, for outbound."""


FULL = Effort((1, 16, 64), rounds=5, seconds=4, shares=SHARES, open_rounds=3, open_seconds=6, copies=51)
QUICK = Effort((CONNECTIONS,), rounds=3, seconds=2, shares=(0.5,), open_rounds=3, open_seconds=3, copies=20)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables and write the files; 1 where a figure that must be reached is not."""
    options = parse_options(arguments)
    try:
        if options.docs:
            frame(options.docs)  # before half an hour is spent on what can't be written
        report = measure(options)
    except (BenchFailed, ServerFailed, EmbeddedStoreError, PageUnfit) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report.document(), indent=2) + "\n")
        print(f"\nWritten to {options.json}")
    if options.docs:
        print("Written: " + ", ".join(str(path) for path in write_page(report, options.docs)))
    return 1 if any(one.verdict == "MISSED" for one in report.figures) else 0


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of `arbiter bench`."""
    parser = argparse.ArgumentParser(
        prog="arbiter bench",
        description="Measure decisions with everything on, beside a FastAPI endpoint that does nothing and "
        "the usual way to write such a service. Ends with status 1 when a figure is missed.",
    )
    parser.add_argument("--quick", action="store_true", help="the table of figures alone, in two minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="a file for all that was measured")
    parser.add_argument(
        "--docs", type=Path, metavar="DIR", help="a folder whose performance.md gets tables and pictures"
    )
    parser.add_argument(
        "--sweeps", nargs="*", choices=SWEEPS, default=list(SWEEPS), help="what to vary (default: all)"
    )
    for name, default in asdict(Size()).items():
        parser.add_argument(
            f"--{name}", type=int, default=default, metavar="N", help="(default: %(default)s)"
        )
    parser.add_argument(
        "--more-actions",
        type=int,
        default=1_000,
        metavar="N",
        help="what the cost of --actions is compared at",
    )
    data = Path(os.environ.get("ARBITER_DATA", ".arbiter"))
    parser.add_argument(
        "--worlds",
        type=Path,
        default=data / "bench",
        metavar="DIR",
        help="where worlds are kept between runs",
    )
    return parser.parse_args(arguments)


def measure(options: argparse.Namespace) -> Report:
    """Make the worlds, start the servers, and take turns with them."""
    size = Size(**{name: getattr(options, name) for name in asdict(Size())})
    cores, generator = two_cores(), best_generator()
    if cores is None:
        print("Not pinned: this machine has no two cores to choose, so figures vary more.", flush=True)
    server_core, load_core = cores or (None, None)
    effort = QUICK if options.quick else FULL
    large = replace(size, actions=options.more_actions)
    worlds = prepare_all((size, large), options.worlds)
    readings, sweeps = Readings(), {}
    with _site(server_core) as site, pinned(load_core):
        compare(readings, size, large, worlds, effort, site, generator)
    for name in [] if options.quick else options.sweeps:
        print(f"Sweep: {name}", flush=True)
        shared = name == "workers"
        varied = prepare_all(variants(name, size), options.worlds)
        with _site(None if shared else server_core) as site, pinned(None if shared else load_core):
            sweeps[name] = sweep(name, size, varied, site, generator)
    print("Outbound", flush=True)
    with _site(None) as site:
        outbound = customers_a_second(worlds[size], site.folder, effort.copies)
    found = figures(readings, size.actions, options.more_actions, outbound)
    return Report(_machine(generator), size, options.more_actions, readings, found, sweeps)


def compare(
    readings: Readings,
    size: Size,
    large: Size,
    worlds: Mapping[Size, Path],
    effort: Effort,
    site: Site,
    generator: LoadGenerator,
) -> None:
    """The service beside the bare endpoint, the usual way and itself in a larger world: closed loops, then
    open ones at shares of its saturation."""
    bodies = write_bodies(site.folder / "bodies.jsonl", size.customers)
    meter = Meter(generator)
    starting = {
        BARE: site.bare("bare"),
        USUAL: site.usual(worlds[size], "usual"),
        SERVICE: site.service(worlds[size], "service"),
        more(SERVICE, large.actions): site.service(worlds[large], "large"),
    }
    with all_at_once(starting) as servers:
        targets = {name: Target(server, bodies) for name, server in servers.items()}
        meter.warm_up(targets.values())
        print(f"Closed loops by {generator.name}, {effort.rounds} rounds", flush=True)
        readings.all += meter.closed(targets, effort.connections, effort.rounds, effort.seconds)
        rates = [rate(readings, share) for share in effort.shares]
        print(f"Open loops, {effort.open_rounds} rounds", flush=True)
        both = {name: targets[name] for name in (BARE, SERVICE)}
        readings.all += meter.open(both, rates, effort.open_rounds, effort.open_seconds)


@contextmanager
def _site(core: int | None) -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="arbiter-bench-") as folder:
        yield Site(Path(folder), core)


def _machine(generator: LoadGenerator) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "pinned": two_cores() is not None,
        "processor": platform.machine(),
        "python": platform.python_version(),
        "closed_loop_by": generator.name,
    }


def show(report: Report) -> None:
    """Print all tables, the one that decides last."""
    first, *others = report.tables()
    for one in (*others, first):
        table(one.title, one.header, one.rows)


if __name__ == "__main__":
    sys.exit(main())
