"""The telco workspace as a running service, small enough to be made for the tests of the pages."""

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from examples.telco import demo
from feature_store.ingestion import load_customers
from feature_store.store import CustomerStore, connect
from models import training
from models.workshop import train_workspace
from service.app import create_app
from service.settings import Settings
from service.workspace.loading import load_workspace
from tests.service.conftest import listening

CUSTOMERS = 1_500
NOW = 1_790_000_000.0  # 21 September 2026
TREES = 4


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def telco(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the telco workspace with a small population and models of a few trees, that leaves nothing to
    chance: the pages show the answers of four times out of five."""
    folder = tmp_path_factory.mktemp("telco") / "telco"
    shutil.copytree(root / "examples" / "telco", folder, ignore=shutil.ignore_patterns("models"))
    policies = folder / "policies.yaml"
    written = policies.read_text(encoding="utf-8")
    certain, explores = re.subn("^exploration: .*$", "", written, flags=re.MULTILINE)
    assert explores == 1
    policies.write_text(certain, encoding="utf-8")
    demo.write_demo(folder, customers=CUSTOMERS, seed=7, now=NOW)
    workspace = load_workspace(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "MAX_TREES", TREES)
        train_workspace(
            workspace.specs,
            workspace.schema,
            workspace.action_models,
            folder,
            workspace.registry,
            seed=1,
            derivations=workspace.derivations,
        )
    return folder


@pytest.fixture(scope="session")
def client(
    telco: Path, embedded_store_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of a service of that workspace, over real HTTP, with its customers in a real store."""

    async def fill() -> None:
        schema = load_workspace(telco).schema
        store = CustomerStore(connect(embedded_store_url, timeout=30), schema)
        await store.register_schema()
        report = await load_customers(telco / "customers.parquet", schema, store)
        assert report.loaded == CUSTOMERS
        await store.close()

    asyncio.run(fill())
    settings = Settings(
        workspace=telco,
        redis_url=embedded_store_url,
        data=tmp_path_factory.mktemp("data"),
        deadline_ms=10_000,  # a busy test machine must not degrade decisions
    )
    with listening(create_app(settings)) as url, httpx.Client(base_url=url, timeout=30) as real:
        yield real
