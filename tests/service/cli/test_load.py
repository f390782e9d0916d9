"""`arbiter load`: rows that can be used go into the store, and the others are told by row and column."""

import asyncio
import itertools
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from feature_store.embedded import EmbeddedStore
from feature_store.schema import FeatureType, Source
from feature_store.store import Customer, CustomerStore, connect
from service.cli.main import app
from service.workspace.loading import Workspace

numbers = itertools.count()


@pytest.fixture
def number(world: Workspace) -> str:
    """The name of a number in the world's profiles."""
    profile = world.schema.by_source(Source.PROFILE)
    return next(feature.name for feature in profile if feature.type is FeatureType.NUMBER)


@pytest.fixture
def prefix() -> str:
    """The beginning of customer ids that no other test has."""
    return f"load-{next(numbers)}-"


def load(world: Workspace, store: EmbeddedStore, table: Path, *options: str) -> Result:
    command = ["load", str(world.folder), str(table), "--redis-url", store.url, *options]
    return CliRunner().invoke(app, command)


def stored(world: Workspace, store: EmbeddedStore, customer_id: str) -> Customer | None:
    async def read() -> Customer | None:
        customers = CustomerStore(connect(store.url, timeout=30), world.schema)
        try:
            return await customers.get(customer_id)
        finally:
            await customers.close()

    return asyncio.run(read())


@pytest.fixture
def table(tmp_path: Path, number: str, prefix: str) -> Path:
    """A table with two good rows and two bad ones."""
    path = tmp_path / "customers.csv"
    rows = [("a", "1.5"), ("b", "many"), ("", "2"), ("d", "4")]
    lines = [f"customer_id,{number}", *(f"{prefix + name if name else ''},{value}" for name, value in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_bad_rows_are_told_by_row_and_column_and_the_others_are_loaded(
    world: Workspace, world_store: EmbeddedStore, table: Path, number: str, prefix: str
) -> None:
    result = load(world, world_store, table)
    assert result.exit_code == 1
    assert "2 customers loaded" in result.output
    assert "2 of 4 rows can't be loaded" in result.output
    told = [line.strip() for line in result.output.splitlines() if line.strip().startswith("row ")]
    assert len(told) == 2
    assert told[0].startswith("row 2")
    assert number in told[0]
    assert "many" in told[0]
    assert told[1].startswith("row 3")
    assert "customer_id" in told[1]
    found = stored(world, world_store, f"{prefix}a")
    assert found is not None
    assert found.profile[number] == 1.5
    assert stored(world, world_store, f"{prefix}d") is not None
    assert stored(world, world_store, f"{prefix}b") is None


def test_strictly_nothing_is_loaded_if_any_row_is_bad(
    world: Workspace, world_store: EmbeddedStore, table: Path, number: str, prefix: str
) -> None:
    result = load(world, world_store, table, "--strict")
    assert result.exit_code == 1
    assert "row 2" in result.output
    assert number in result.output
    assert stored(world, world_store, f"{prefix}a") is None


def test_an_unknown_column_is_told_with_the_right_one(
    world: Workspace, world_store: EmbeddedStore, tmp_path: Path, number: str, prefix: str
) -> None:
    table = tmp_path / "customers.csv"
    table.write_text(f"customer_id,{number}s\n{prefix}a,1\n")
    result = load(world, world_store, table)
    assert result.exit_code == 1
    assert f"did you mean '{number}'" in result.output
    assert stored(world, world_store, f"{prefix}a") is None


@pytest.mark.parametrize("name", ["nowhere.csv", "nowhere.parquet", "customers.xlsx"])
def test_a_table_that_cannot_be_read_is_told_by_its_name(
    world: Workspace, world_store: EmbeddedStore, tmp_path: Path, name: str
) -> None:
    result = load(world, world_store, tmp_path / name)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert name in result.output


def test_without_a_store_it_says_how_to_get_one(
    world: Workspace, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARBITER_DATA", str(tmp_path / "nothing"))
    result = CliRunner().invoke(app, ["load", str(world.folder), str(table)])
    assert result.exit_code == 1
    assert "start `arbiter run`, or give --redis-url" in result.output


def test_a_store_that_is_away_is_told(world: Workspace, table: Path, tmp_path: Path) -> None:
    command = ["load", str(world.folder), str(table), "--redis-url", f"unix://{tmp_path}/nobody.sock"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert "the store is away" in result.output


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:1", "redis://127.0.0.1:none"])
def test_a_url_that_is_none_of_a_store_is_told(world: Workspace, table: Path, url: str) -> None:
    result = CliRunner().invoke(app, ["load", str(world.folder), str(table), "--redis-url", url])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "--redis-url) can't be used" in result.output
