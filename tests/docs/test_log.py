"""The page of the log: its queries run as they stand, over a log that a consumer has written."""

import asyncio
from pathlib import Path
from typing import Any

import duckdb
import pytest

from feature_store.client import connect
from feature_store.decision_log import DecisionLog
from feature_store.embedded import EmbeddedStore
from feature_store.logbook.keeping import drain_log
from feature_store.logbook.tables import TABLES
from tests.feature_store.logbook.conftest import SCHEMA, entry

from .markdown import blocks

DAY = 1_769_817_600.0  # 2026-01-31


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the queries are typed: the folder that has `log/` in it."""

    async def write(url: str) -> None:
        stream = DecisionLog(connect(url, timeout=30), 1000)
        for hour in (7, 8, 30):
            made = entry([f"d{hour}-{row}" for row in range(3)], DAY + hour * 3600)
            await stream.write([made.pack()], {SCHEMA.fingerprint: SCHEMA.packed})
        await stream.close()
        await drain_log(url, tmp_path / "log")

    monkeypatch.chdir(tmp_path)
    with EmbeddedStore(tmp_path / "store") as store:
        asyncio.run(write(store.url))
    return tmp_path / "log"


def test_the_query_runs_as_it_stands(root: Path, log: Path) -> None:
    (block,) = blocks(root / "docs" / "log.md", "sql")
    assert duckdb.execute(block.text).fetchall() == [("join_club", 6, 35.0)]


def test_the_function_runs_as_it_stands(root: Path, log: Path) -> None:
    (block,) = blocks(root / "docs" / "log.md", "python")
    page: dict[str, Any] = {}
    exec(block.text, page)
    assert page["offered"](log) == [("join_club", 9)]


def test_the_page_names_every_column(root: Path) -> None:
    text = (root / "docs" / "log.md").read_text(encoding="utf-8")
    for table in TABLES.values():
        assert [name for name in table.columns.names if f"`{name}`" not in text] == []
