"""`make bench-peers`: what others need for the same decisions, each in turns with the bare endpoint."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

from feature_store.embedded import EmbeddedStore, EmbeddedStoreError
from loadtests.bench.figures import BARE, SERVICE, written
from loadtests.bench.measuring import Meter, Middle, Readings, Target, write_bodies
from loadtests.bench.servers import Site
from loadtests.bench.worlds import BenchFailed, Size, prepare
from loadtests.cores import pinned, started_on, two_cores
from loadtests.generators import best_generator
from loadtests.peers.environments import NotInstalled, environment
from loadtests.peers.export import export_world, load_features
from loadtests.peers.fleet import PEERS, Peer, Place
from loadtests.server import Server, ServerFailed, free_port, process, wait_until_ready
from service.cli.console import table

CONNECTIONS, ROUNDS, SECONDS = 16, 3, 4.0
READY_WITHIN = 120.0
HEADER = ("server", "per second", "ratio to bare", "CPU us", "p50 ms", "p99 ms", "MiB")


class PeerFailed(Exception):
    """A peer could not be measured; the message says why."""


@dataclass(frozen=True)
class Result:
    """A server beside the bare endpoint in the same rounds, or why it was not measured."""

    name: str
    own: Middle | None = None
    bare: Middle | None = None
    failure: str = ""

    @property
    def row(self) -> list[str]:
        """The result as a row of the table."""
        if self.own is None or self.bare is None:
            return [self.name, f"not measured: {self.failure}", *[""] * (len(HEADER) - 2)]
        own = self.own
        numbers = (own.per_second, own.per_second / self.bare.per_second, own.cpu_us)
        return [self.name, *map(written, (*numbers, own.p50_ms, own.p99_ms, own.memory_mib))]


@dataclass(frozen=True)
class Ground:
    """What all peers are measured on: the exported world, its customers in a store, and requests."""

    folder: Path
    world: Path
    store: str
    bodies: Path
    core: int | None
    environments: Path

    @contextmanager
    def serve(self, peer: Peer) -> Iterator[Target]:
        """Install, prepare and start a peer.

        Raises:
            NotInstalled, PeerFailed, ServerFailed: it can't be.
        """
        installed = environment(peer.environment, self.environments)
        port = free_port()
        folder = self.folder / f"{peer.environment}-{port}"
        folder.mkdir()
        at = Place(installed, folder, self.world, self.store, port)
        settings = os.environ | {
            "PEER_WORLD": str(self.world),
            "PEER_STORE": self.store,
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "HOME": str(folder),
        }
        for name, content in peer.settings(port).items():
            (folder / name).write_text(json.dumps(content))
        if peer.prepare:
            _prepare([at.python, "-m", f"loadtests.peers.{peer.prepare}", str(folder)], settings)
        log = folder / "server.log"
        starting = process(peer.command(at), environment=settings, log=log)
        with started_on(self.core, starting) as running:
            try:
                ready = wait_until_ready(running, port, peer.ready, log, READY_WITHIN)
                yield Target(Server(ready.url + peer.path, ready.pid), self._bodies(peer, folder))
            finally:
                _end_all(running.pid)

    def _bodies(self, peer: Peer, folder: Path) -> Path:
        path = folder / "bodies.jsonl"
        path.write_text("".join(f"{peer.wire(line)}\n" for line in self.bodies.read_text().splitlines()))
        return path


def _prepare(command: Sequence[str], settings: dict[str, str]) -> None:
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PeerFailed(done.stderr.strip().splitlines()[-1])


def _end_all(group: int) -> None:
    """Peers that start processes of their own don't always take them along."""
    with suppress(ProcessLookupError):
        os.killpg(group, SIGKILL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every peer, and print and write the table; a peer that fails is a row that says why."""
    options = parse_options(arguments)
    try:
        results = measure(options)
    except (BenchFailed, ServerFailed, EmbeddedStoreError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    rows = [result.row for result in results]
    title = f"The same decisions, {options.connections} connections, one core"
    table(title, HEADER, rows)
    if options.docs:
        options.docs.write_text(page(title, rows))
        print(f"\nWritten to {options.docs}")
    return 0


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command."""
    parser = argparse.ArgumentParser(prog="loadtests.peers", description=__doc__)
    names = [peer.name for peer in PEERS]
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="PEER", help=f"of {', '.join(names)}"
    )
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--docs", type=Path, metavar="FILE", help="a Markdown page for the table")
    data = Path(os.environ.get("ARBITER_DATA", ".arbiter"))
    parser.add_argument("--worlds", type=Path, default=data / "bench", help="where worlds are kept")
    parser.add_argument("--environments", type=Path, default=data / "peers", help="where peers are installed")
    return parser.parse_args(arguments)


def measure(options: argparse.Namespace) -> list[Result]:
    """The bare endpoint and Arbiter first, then every peer."""
    size = Size()
    world = prepare(size, options.worlds)
    core, load_core = two_cores() or (None, None)
    with tempfile.TemporaryDirectory(prefix="arbiter-peers-") as name, pinned(load_core):
        folder = Path(name)
        export_world(world, folder / "world")
        bodies = write_bodies(folder / "bodies.jsonl", size.customers)
        with EmbeddedStore(folder / "store") as store:
            load_features(world, store.url)
            ground = Ground(folder, folder / "world", store.url, bodies, core, options.environments)
            site = Site(folder, core)
            with site.bare("bare") as bare:
                beside = Target(bare, bodies)
                with site.service(world, "service") as service:
                    own = take_turns(SERVICE, Target(service, bodies), beside, options)
                return [Result(BARE, own.bare, own.bare), own, *_peers(ground, beside, options)]


def _peers(ground: Ground, beside: Target, options: argparse.Namespace) -> Iterator[Result]:
    for peer in PEERS:
        if peer.name not in options.only:
            continue
        print(peer.name, flush=True)
        try:
            with ground.serve(peer) as target:
                yield take_turns(peer.name, target, beside, options)
        except (NotInstalled, PeerFailed, ServerFailed, BenchFailed) as error:
            yield Result(peer.name, failure=" ".join(str(error).split())[:300])


def take_turns(name: str, target: Target, beside: Target, options: argparse.Namespace) -> Result:
    """Rounds of a server and of the bare endpoint. Raises `BenchFailed` when it does not decide."""
    meter = Meter(best_generator())
    targets = {BARE: beside, name: target}
    meter.warm_up(targets.values())
    readings = Readings(meter.closed(targets, (options.connections,), options.rounds, options.seconds))
    own, bare = (readings.middle(one, "closed", options.connections) for one in (name, BARE))
    return Result(name, own, bare)


def page(title: str, rows: Sequence[Sequence[str]]) -> str:
    """The table as a page."""
    lines = [
        "# Beside other ways to serve decisions",
        "",
        "Made by `make bench-peers`; [loadtests/peers](../loadtests/peers/README.md) says what each does.",
        "Every row was measured in turns with the bare FastAPI endpoint, and is compared with that.",
        "",
        f"## {title}",
        "",
        f"| {' | '.join(HEADER)} |",
        f"|{'---|' * len(HEADER)}",
        *(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
