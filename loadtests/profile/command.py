"""`make profile`: where a decision's microseconds go, sampled by py-spy from a worker under load."""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from feature_store.embedded import EmbeddedStoreError
from loadtests.bench.measuring import Meter, Target, write_bodies
from loadtests.bench.servers import Site
from loadtests.bench.worlds import BenchFailed, Size, prepare
from loadtests.cores import family, pinned, two_cores
from loadtests.generators import best_generator
from loadtests.profile.stages import OTHER, STAGES, shares
from loadtests.server import Server, ServerFailed
from service.cli.console import table

CONNECTIONS = (1, 16, 64)
SECONDS = 10.0
SAMPLES = 250  # a second

Profile = Mapping[str, float]
"""Microseconds of processor time a decision, by stage."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Sample, print the table, and write the page."""
    options = parse_options(arguments)
    if shutil.which("py-spy", path=Path(sys.executable).parent) is None:
        print("py-spy not found: it is installed by `make profile`.", file=sys.stderr)
        return 1
    try:
        world = prepare(Size(actions=options.actions), options.worlds)
        profiles = [sample(world, connections, options.seconds) for connections in CONNECTIONS]
    except (BenchFailed, ServerFailed, EmbeddedStoreError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    header, rows = ("stage", *(f"{count} connections" for count in CONNECTIONS)), tabled(profiles)
    table("Microseconds of CPU a decision", header, rows)
    if options.docs:
        options.docs.write_text(page(header, rows))
        print(f"\nWritten to {options.docs}")
    return 0


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command."""
    parser = argparse.ArgumentParser(prog="loadtests.profile", description=__doc__)
    parser.add_argument("--actions", type=int, default=Size().actions, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of load (default: %(default)s)")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="a Markdown page for the table")
    data = Path(os.environ.get("ARBITER_DATA", ".arbiter"))
    parser.add_argument("--worlds", type=Path, default=data / "bench", help="where worlds are kept")
    return parser.parse_args(arguments)


def sample(world: Path, connections: int, seconds: float) -> Profile:
    """The profile of one worker under a closed loop of so many connections.

    Raises:
        BenchFailed, ServerFailed, ValueError: it could not be taken.
    """
    core, load_core = two_cores() or (None, None)
    with tempfile.TemporaryDirectory(prefix="arbiter-profile-") as name, pinned(load_core):
        folder = Path(name)
        bodies, samples = write_bodies(folder / "bodies.jsonl", Size().customers), folder / "samples"
        spy = [str(Path(sys.executable).with_name("py-spy")), "record", "--format", "raw"]
        spy += ["--rate", str(SAMPLES), "--duration", "unlimited", "--output", str(samples), "--"]
        site = Site(folder, core, under=tuple(spy))
        with site.service(world, "service") as server:
            worker = family(server.pid)[1]  # what py-spy itself takes is none of a decision's
            target = Target(Server(server.url, worker), bodies)
            meter = Meter(best_generator())
            meter.warm_up([target])
            [reading] = meter.closed({"service": target}, (connections,), 1, seconds)
        with samples.open() as lines:
            return {stage: share * reading.cpu_us for stage, share in shares(lines).items()}


def tabled(profiles: Sequence[Profile]) -> list[list[str]]:
    """The profiles as rows: the stages, the costliest at the last profile first, and their sum."""
    stages = [name for name in (*dict(STAGES), OTHER) if any(name in profile for profile in profiles)]
    stages.sort(key=lambda name: -profiles[-1].get(name, 0.0))
    rows = [[name, *(f"{profile.get(name, 0.0):,.0f}" for profile in profiles)] for name in stages]
    return [*rows, ["in all", *(f"{sum(profile.values()):,.0f}" for profile in profiles)]]


def page(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table as a page."""
    return "\n".join(
        [
            "# Where a decision's microseconds go",
            "",
            "Made by `make profile`, with everything on: one worker on a core of its own, sampled 250 times",
            "a second by py-spy while so many connections ask as fast as they are answered. A stage is a",
            "module or a few (`loadtests/profile/stages.py`), with what the operating system does for it.",
            "The sampling itself slows the worker down a little: compare shares, and take throughput from",
            "[performance](performance.md).",
            "",
            f"| {' | '.join(header)} |",
            "|---|" + "--:|" * (len(header) - 1),
            *(f"| {' | '.join(row)} |" for row in rows),
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
