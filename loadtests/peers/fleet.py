"""The peers: which environment each needs, how it is started, and how it is asked."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Where a peer runs: its environment, a folder of its own, the exported world, the store and its port."""

    environment: Path
    folder: Path
    world: Path
    store: str
    port: int

    @property
    def python(self) -> str:
        """The interpreter of the environment."""
        return str(self.environment / "bin" / "python")


Command = Callable[[Place], Sequence[str]]
"""The words that start a peer."""


def as_it_is(body: str) -> str:
    """The request as Arbiter takes it, which most peers take as well."""
    return body


def as_v2(body: str) -> str:
    """The request as a text in the V2 inference protocol."""
    column = {"name": "request", "shape": [1], "datatype": "BYTES", "data": [body]}
    return json.dumps({"inputs": [column]})


@dataclass(frozen=True)
class Peer:
    """One way to serve the same decisions.

    environment  the file in `requirements/`
    command      starts it
    path         where it takes decisions
    ready        answers 200 when it serves
    wire         its request, made of ours
    prepare      writes what it needs into its folder, by a module of its environment; or nothing
    settings     files that it needs there, by name
    """

    name: str
    environment: str
    command: Command
    path: str = "/v1/decisions"
    ready: str = "/health/ready"
    wire: Callable[[str], str] = as_it_is
    prepare: str | None = None
    settings: Callable[[int], dict[str, object]] = lambda port: {}


def module(name: str, *more: str) -> Command:
    """`python -m loadtests.peers.<name> PORT`, and more."""
    return lambda at: [at.python, "-m", f"loadtests.peers.{name}", str(at.port), *more]


def _usual(at: Place) -> Sequence[str]:
    return [at.python, "-m", "loadtests.peers.usual", str(at.world), at.store, str(at.port)]


def _feast(at: Place) -> Sequence[str]:
    return [at.python, "-m", "loadtests.peers.feast_app", str(at.folder), str(at.port)]


def _bentoml(service: str) -> Command:
    target = f"loadtests.peers.bentoml_service:{service}"
    return lambda at: [str(at.environment / "bin/bentoml"), "serve", target, "--port", str(at.port)]


def _mlserver(**batching: object) -> Callable[[int], dict[str, object]]:
    def settings(port: int) -> dict[str, object]:
        implementation = "loadtests.peers.mlserver_runtime.Decisions"
        server = {"host": "127.0.0.1", "http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
        return {
            "settings.json": {**server, "parallel_workers": 0, "debug": False},
            "model-settings.json": {"name": "decisions", "implementation": implementation, **batching},
        }

    return settings


def _mlserver_peer(name: str, **batching: object) -> Peer:
    return Peer(
        name,
        "mlserver",
        lambda at: [str(at.environment / "bin/mlserver"), "start", str(at.folder)],
        path="/v2/models/decisions/infer",
        ready="/v2/models/decisions/ready",
        wire=as_v2,
        settings=_mlserver(**batching),
    )


PEERS: tuple[Peer, ...] = (
    Peer("FastAPI, one predict per action", "fastapi", _usual),
    Peer("FastAPI, one predict per model", "fastapi", module("per_model")),
    Peer("BentoML", "bentoml", _bentoml("Decisions"), ready="/readyz"),
    Peer("BentoML, adaptive batching", "bentoml", _bentoml("BatchedDecisions"), ready="/readyz"),
    Peer("LitServe", "litserve", module("litserve_server"), ready="/health"),
    Peer("LitServe, batching", "litserve", module("litserve_server", "64"), ready="/health"),
    Peer("Ray Serve, @serve.batch", "ray", module("ray_app")),
    _mlserver_peer("MLServer"),
    _mlserver_peer("MLServer, adaptive batching", max_batch_size=64, max_batch_time=0.005),
    Peer("Feast's online store in FastAPI", "feast", _feast, prepare="feast_repository"),
    Peer("Vowpal Wabbit's contextual bandit", "vowpal_wabbit", module("vowpal_app")),
)
