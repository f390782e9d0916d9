"""A real service for the tests of the runtime and the HTTP edge: small world, trained models, real store."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
import uvicorn

from feature_store.embedded import EmbeddedStore
from feature_store.ingestion import load_customers
from feature_store.store import CustomerStore, connect
from models.workshop import train_workspace
from service.api.server import OPTIONS
from service.app import create_app
from service.settings import Settings
from service.workspace.loading import Workspace, load_workspace
from service.world.synthetic import write_world

CUSTOMERS = 400

Serve = Callable[..., AbstractContextManager[httpx.Client]]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A synthetic workspace of 12 actions with two trained models."""
    folder: Path = tmp_path_factory.mktemp("world") / "world"
    write_world(folder, actions=12, customers=CUSTOMERS, features=24, models=2, decisions=6000, seed=1)
    workspace = load_workspace(folder)
    train_workspace(
        workspace.specs, workspace.schema, workspace.action_models, folder, workspace.registry, seed=1
    )
    return workspace


@pytest.fixture(scope="session")
def world_store(world: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """An embedded store that holds the world's customers and that all tests share."""
    with holding_customers(world, tmp_path_factory.mktemp("world-store")) as server:
        yield server


@pytest.fixture(scope="module")
def own_store(world: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """A store with the world's customers that a file's tests have for themselves: they may stop it, and they
    find its customers as they were loaded."""
    with holding_customers(world, tmp_path_factory.mktemp("own-store")) as server:
        yield server


@contextlib.contextmanager
def holding_customers(world: Workspace, folder: Path) -> Iterator[EmbeddedStore]:
    """An embedded store that holds the world's customers."""

    async def fill(url: str) -> None:
        store = CustomerStore(connect(url, timeout=30), world.schema)
        await store.register_schema()
        report = await load_customers(world.folder / "customers.parquet", world.schema, store)
        assert report.loaded == CUSTOMERS
        await store.close()

    with EmbeddedStore(folder) as server:
        asyncio.run(fill(server.url))
        yield server


@pytest.fixture(scope="session")
def serve(world: Workspace, world_store: EmbeddedStore, tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """Starts a service of the world over real HTTP; settings may differ from call to call."""

    @contextlib.contextmanager
    def start(**settings: Any) -> Iterator[httpx.Client]:
        given = {
            "workspace": world.folder,
            "redis_url": world_store.url,
            "data": tmp_path_factory.mktemp("data"),
            "deadline_ms": 10_000,  # a busy test machine must not degrade decisions
            **settings,
        }
        app = create_app(Settings.model_validate(given))
        with listening(app) as url, httpx.Client(base_url=url, timeout=30) as client:
            yield client

    return start


@pytest.fixture(scope="session")
def client(serve: Serve) -> Iterator[httpx.Client]:
    """A client of a service that all tests share: use customers of your own to change something."""
    with serve() as shared:
        yield shared


@pytest.fixture(scope="session")
def customer_ids(world: Workspace) -> list[str]:
    """The customers of the world."""
    table = pq.read_table(world.folder / "customers.parquet", columns=["customer_id"])
    return [str(value) for value in table.column(0).to_pylist()]


@contextlib.contextmanager
def listening(app: Any) -> Iterator[str]:
    """An app behind a real server in a thread; yields its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on", **OPTIONS))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                thread.join(0.01)
                assert thread.is_alive(), "the service did not start"
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
