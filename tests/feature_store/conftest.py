"""A schema with every type, and servers of every kind."""

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from feature_store.embedded import find_server
from feature_store.schema import FeatureSchema
from feature_store.store import CustomerStore, connect

FEATURES = """\
features:
  age: {type: number, source: profile, default: 40, max_age: 365d, description: Age in years}
  is_business: {type: flag, source: profile, default: false, description: A company}
  segment: {type: category, source: profile, levels: [consumer, soho, enterprise], description: Market}
  products: {type: set, source: profile, members: [fibre_500, mobile_5g, tv], default: [], description: Owned}
  contract_end: {type: timestamp, source: profile, description: When the contract ends}
  visits_30d: {type: number, source: behaviour, max_age: 7d, description: Visits in 30 days}
  last_page: {type: category, source: behaviour, levels: [home, cart], max_age: 1h, description: Last page}
  page: {type: category, source: context, levels: [home, cart], description: Page now}
"""

Scenario = Callable[[CustomerStore], Awaitable[None]]
RunWithStore = Callable[..., None]
PATIENCE = 30.0
"""Seconds: what the store promises does not depend on how busy the machine is."""


@pytest.fixture(scope="session")
def features_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("workspace") / "features.yaml"
    path.write_text(FEATURES)
    return path


@pytest.fixture(scope="session")
def schema(features_file: Path) -> FeatureSchema:
    return FeatureSchema.load(features_file)


@pytest.fixture(scope="session")
def debian_redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    binary = shutil.which("redis-server", path="/usr/bin")
    if binary is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have Debian's redis-server installed")
        pytest.skip("there is no /usr/bin/redis-server here")
    folder = tmp_path_factory.mktemp("redis")
    path = folder / "redis.sock"
    with _server(Path(binary), folder, ["--port", "0", "--unixsocket", str(path)]):
        _wait(lambda: bool(redis.Redis(unix_socket_path=str(path)).ping()))
        yield f"unix://{path}"


@dataclass(frozen=True)
class Cluster:
    """Three processes on loopback, each with a third of the slots."""

    url: str
    nodes: list[redis.Redis]
    processes: list["subprocess.Popen[bytes]"]


@contextmanager
def _cluster_of_three(folder: Path) -> Iterator[Cluster]:
    ports = _free_ports(6)
    with ExitStack() as stack:
        nodes, processes = [], []
        for port, bus in zip(ports[:3], ports[3:], strict=True):
            home = folder / str(port)
            home.mkdir()
            options = ["--port", str(port), "--bind", "127.0.0.1", "--cluster-enabled", "yes"]
            server = _server(find_server(), home, [*options, "--cluster-port", str(bus)])
            processes.append(stack.enter_context(server))
            nodes.append(stack.enter_context(closing(redis.Redis(port=port))))
        _form_cluster(nodes, ports)
        yield Cluster(
            "redis-cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports[:3]), nodes, processes
        )


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster that all tests share."""
    with _cluster_of_three(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster.url


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster that one test may do anything to."""
    with _cluster_of_three(tmp_path) as cluster:
        yield cluster


def _form_cluster(nodes: list[redis.Redis], ports: list[int]) -> None:
    bounds = [0, 5461, 10923, 16384]
    for node, first, last in zip(nodes, bounds, bounds[1:], strict=False):
        _wait(lambda node=node: bool(node.ping()))  # type: ignore[misc]
        _cluster(node, "ADDSLOTSRANGE", first, last - 1)
    for port, bus in zip(ports[1:3], ports[4:6], strict=True):
        _cluster(nodes[0], "MEET", "127.0.0.1", port, bus)
    for node in nodes:
        _wait(lambda node=node: "cluster_state:ok" in str(_cluster(node, "INFO")))  # type: ignore[misc]


def _cluster(node: redis.Redis, *words: object) -> Any:
    return node.execute_command("CLUSTER", *words)  # type: ignore[no-untyped-call]


@contextmanager
def _server(binary: Path, folder: Path, options: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    command = [str(binary), "--dir", str(folder), "--save", "", "--appendonly", "no", *options]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def _wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            if ready():
                return
        except redis.ConnectionError:
            pass
        if time.monotonic() > deadline:
            pytest.fail("a test server did not come up within 20 s")
        time.sleep(0.05)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@pytest.fixture(params=["embedded", "debian_redis", "cluster"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of a server of each kind."""
    names = {"embedded": "embedded_store_url", "debian_redis": "debian_redis_url", "cluster": "cluster_url"}
    url: str = request.getfixturevalue(names[request.param])
    return url


@pytest.fixture
def run_with_store(store_url: str, schema: FeatureSchema) -> RunWithStore:
    """Runs a scenario with a store of that server, of the common schema if no other is named."""

    def run(scenario: Scenario, of: FeatureSchema = schema, **options: Any) -> None:
        async def main() -> None:
            client = connect(store_url, connect_timeout=PATIENCE, timeout=PATIENCE)
            store = CustomerStore(client, of, **options)
            try:
                await scenario(store)
            finally:
                await store.close()

        asyncio.run(main())

    return run
