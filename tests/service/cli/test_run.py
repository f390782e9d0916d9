"""What `arbiter run` finds in its data folder, and what it makes anew."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from feature_store.embedded import EmbeddedStore
from feature_store.progress import silent
from feature_store.store import Customer, CustomerStore, connect
from service.cli.run import load_population
from service.settings import Settings
from service.workspace.loading import Workspace, load_workspace


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    """The embedded store of one data folder."""
    with EmbeddedStore(tmp_path / "store") as server:
        yield server


@pytest.fixture
def other(world: Workspace, tmp_path: Path) -> Workspace:
    """Another workspace, some of whose customers have the same ids and are others."""
    folder = tmp_path / "other"
    shutil.copytree(world.folder, folder, ignore=shutil.ignore_patterns("models"))
    table = pq.read_table(world.folder / "customers.parquet")
    pq.write_table(table.select(table.column_names[:3]).slice(0, 10), folder / "customers.parquet")
    return load_workspace(folder)


def populate(workspace: Workspace, store: EmbeddedStore) -> None:
    settings = Settings(workspace=workspace.folder, redis_url=store.url)
    load_population(settings, workspace, workspace.folder / "customers.parquet", silent)


def customer(workspace: Workspace, store: EmbeddedStore, account_id: str | None = None) -> Customer:
    """What is stored of c1, whose account is set before where one is given."""

    async def read() -> Customer | None:
        customers = CustomerStore(connect(store.url, timeout=30), workspace.schema)
        if account_id is not None:
            await customers.put("c1", {}, account_id, now=0)
        found = await customers.get("c1")
        await customers.close()
        return found

    found = asyncio.run(read())
    assert found is not None
    return found


def test_what_was_written_since_the_population_was_loaded_stays(
    world: Workspace, store: EmbeddedStore, capsys: pytest.CaptureFixture[str]
) -> None:
    populate(world, store)
    changed = customer(world, store, account_id="changed")
    populate(world, store)
    assert "400, found in the store" in capsys.readouterr().out
    assert customer(world, store).account_id == changed.account_id == "changed"


def test_a_population_is_loaded_again_when_another_one_has_taken_its_place(
    world: Workspace, other: Workspace, store: EmbeddedStore
) -> None:
    """Workspaces that are run in one data folder share its store, and their customers share ids."""
    populate(world, store)
    before = customer(world, store)
    populate(other, store)
    assert customer(world, store).profile != before.profile
    populate(world, store)
    assert customer(world, store).profile == before.profile
