"""`make bench`: how many decisions one worker makes, beside a FastAPI endpoint that does nothing.

The server and the load have a core each; the store shares the load's, as if it were on another machine. Both
servers take turns in rounds, so that a machine that gets slower slows both down, and medians are reported.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from statistics import median

from feature_store.embedded import EmbeddedStore, EmbeddedStoreError
from loadtests.cores import cpu_seconds, pinned, two_cores
from loadtests.generators import LoadGenerator, Sample, best_generator
from loadtests.server import ARBITER, Server, ServerFailed, arbiter, free_port, process, wait_until_ready
from service.cli.console import table

BARE, SERVICE = "bare FastAPI", "arbiter"
PLACEMENTS = [{"id": "home_tiles", "limit": 3}]
SIZES = ("actions", "customers", "features", "models", "decisions")
WARM_UP = 2.0  # seconds


@dataclass(frozen=True)
class Round:
    """One measurement of one server. `cpu_us` is the server's processor time a request in microseconds."""

    server: str
    connections: int
    sample: Sample
    cpu_us: float


class BenchFailed(Exception):
    """The benchmark could not be made; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write the JSON file."""
    options = parse_options(arguments)
    try:
        world = prepare_world(options)
        rounds = measure(world, options)
    except (BenchFailed, ServerFailed, EmbeddedStoreError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    show(rounds)
    if options.json:
        options.json.write_text(json.dumps(record(options, rounds), indent=2) + "\n")
        print(f"\nWritten to {options.json}")
    return 0


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="arbiter bench", description="Measure decisions per second.")
    parser.add_argument("--actions", type=int, default=50)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--decisions", type=int, default=150_000, help="logged requests to train on")
    parser.add_argument("--connections", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="how long a round takes")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    data = Path(os.environ.get("ARBITER_DATA", ".arbiter"))
    parser.add_argument(
        "--worlds", type=Path, default=data / "bench", help="where worlds are kept between runs"
    )
    return parser.parse_args(arguments)


def prepare_world(options: argparse.Namespace) -> Path:
    """The synthetic workspace of this size with its trained models, made once."""
    sizes = {name: getattr(options, name) for name in SIZES}
    world: Path = options.worlds / "-".join(f"{name}{size}" for name, size in sizes.items())
    if world.exists():
        print(f"World: {world} (remove it to have it made anew)", flush=True)
        return world
    draft = world.with_name(f".{world.name}.{uuid.uuid4().hex[:8]}")
    options.worlds.mkdir(parents=True, exist_ok=True)
    flags = [word for name, size in sizes.items() for word in (f"--{name}", str(size))]
    for command in (["world", str(draft), *flags], ["train", str(draft)]):
        if subprocess.run([*ARBITER, *command], check=False).returncode != 0:
            raise BenchFailed(f"arbiter {' '.join(command)} failed")
    return draft.rename(world)


def measure(world: Path, options: argparse.Namespace) -> list[Round]:
    """Start both servers and take turns with them."""
    cores = two_cores()
    if cores is None:
        print("Not pinned: this machine has no two cores to choose, so figures vary more.", flush=True)
    server_core, load_core = cores or (None, None)
    generator = best_generator()
    print(f"Load by {generator.name}, {options.rounds} rounds of {options.seconds:g} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="arbiter-bench-") as name, pinned(load_core):
        folder = Path(name)
        bodies = write_bodies(folder / "bodies.jsonl", options.customers)
        with servers(world, folder, server_core) as both:
            for server in both.values():
                generator.run(server.url, bodies, options.connections[0], WARM_UP)
            return take_turns(both, generator, bodies, options)


@contextmanager
def servers(world: Path, folder: Path, core: int | None) -> Iterator[dict[str, Server]]:
    """The bare endpoint and the service, one worker each, on one core; the store where this process runs."""
    with ExitStack() as stack:
        store = EmbeddedStore(folder / "store")
        stack.callback(store.stop)
        store.start()
        load = [*ARBITER, "load", str(world), str(world / "customers.parquet"), "--redis-url", store.url]
        loaded = subprocess.run(load, capture_output=True, text=True, check=False)
        if loaded.returncode != 0:
            raise BenchFailed(f"arbiter load failed:\n{loaded.stdout}{loaded.stderr}")
        with pinned(core):
            port, log = free_port(), folder / "bare.log"
            bare = stack.enter_context(process([sys.executable, "-m", "loadtests.bare", str(port)], log=log))
            ready = wait_until_ready(bare, port, "/health/ready", log, within=60)
            serve = ("serve", str(world), "--redis-url", store.url)
            log = folder / "service.log"
            service = stack.enter_context(arbiter(*serve, data=folder / "data", log=log, port=free_port()))
        yield {BARE: ready, SERVICE: service}


def write_bodies(path: Path, customers: int, count: int = 20_000) -> Path:
    """Requests about random customers in random moments, one a line."""
    random = Random(1)
    with path.open("w") as file:
        for _ in range(count):
            context = {
                "page": random.choice(["home", "search", "product", "cart", "account"]),
                "device": random.choice(["desktop", "phone", "tablet"]),
                "cart_value": round(random.uniform(0, 200), 2),
            }
            body = {"customer_id": f"c{random.randrange(customers)}", "channel": "web"}
            file.write(json.dumps(body | {"placements": PLACEMENTS, "context": context}) + "\n")
    return path


def take_turns(
    both: dict[str, Server], generator: LoadGenerator, bodies: Path, options: argparse.Namespace
) -> list[Round]:
    """All rounds. Raises `BenchFailed` when a server answered with an error: its speed would mean nothing."""
    rounds = []
    for number in range(options.rounds):
        for connections in options.connections:
            for name, server in both.items():
                before = cpu_seconds(server.pid)
                sample = generator.run(server.url, bodies, connections, options.seconds)
                cpu = cpu_seconds(server.pid) - before
                if sample.errors or not sample.requests:
                    raise BenchFailed(f"{name}: {sample.errors} errors in {sample.requests} answers")
                rounds.append(Round(name, connections, sample, cpu / sample.requests * 1e6))
        print(f"  round {number + 1} of {options.rounds}", flush=True)
    return rounds


def show(rounds: Sequence[Round]) -> None:
    """Print the medians, and the throughput as a ratio to the bare endpoint."""
    rows = []
    for connections in sorted({one.connections for one in rounds}):
        yardstick = middle(rounds, BARE, connections)
        for name in (BARE, SERVICE):
            got = middle(rounds, name, connections)
            rows.append(
                [
                    f"{name}, {connections} connections",
                    f"{got['per_second']:,.0f}",
                    f"{got['per_second'] / yardstick['per_second']:.2f}",
                    f"{got['p50_ms']:.1f}",
                    f"{got['p99_ms']:.1f}",
                    f"{got['cpu_us']:.0f}",
                ]
            )
    table("One worker on one core", ["server", "per second", "ratio", "p50 ms", "p99 ms", "CPU us"], rows)


def middle(rounds: Sequence[Round], server: str, connections: int) -> dict[str, float]:
    """The medians over the rounds of one server at one number of connections."""
    chosen = [one for one in rounds if one.server == server and one.connections == connections]
    return {
        "per_second": median(one.sample.per_second for one in chosen),
        "p50_ms": median(one.sample.p50_ms for one in chosen),
        "p99_ms": median(one.sample.p99_ms for one in chosen),
        "cpu_us": median(one.cpu_us for one in chosen),
    }


def record(options: argparse.Namespace, rounds: Sequence[Round]) -> dict[str, object]:
    """All figures and what they were made on, for a file."""
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    world = {name: getattr(options, name) for name in SIZES}
    medians = [
        {"server": name, "connections": connections, **middle(rounds, name, connections)}
        for connections in options.connections
        for name in (BARE, SERVICE)
    ]
    return {
        "machine": machine,
        "pinned": two_cores() is not None,
        "load": best_generator().name,
        "world": world,
        "medians": medians,
        "rounds": [asdict(one) for one in rounds],
    }


if __name__ == "__main__":
    sys.exit(main())
