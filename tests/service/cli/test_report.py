"""`arbiter report` over what the consumers have written."""

import asyncio
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from feature_store.client import connect
from feature_store.decision_log import DecisionLog
from feature_store.embedded import EmbeddedStore
from feature_store.store import CustomerStore
from service.cli.main import app
from tests.feature_store.logbook.conftest import NOON, SCHEMA, entry, outcome

TELCO = Path(__file__).resolve().parents[3] / "examples" / "telco"


def run(*words: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.output


async def fill(url: str) -> None:
    log, store = DecisionLog(connect(url, timeout=30), 1000), CustomerStore(connect(url, timeout=30), SCHEMA)
    await log.write([entry(["d1", "d2", "d3"]).pack()], {SCHEMA.fingerprint: SCHEMA.packed})
    happened = [outcome("d1", "impression"), outcome("d1", "accept", value=95.0), outcome("d2", "click")]
    await store.record_outcomes(happened, NOON)
    await log.close()
    await store.close()


def test_what_the_consumers_wrote_becomes_a_page_and_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARBITER_DATA", str(tmp_path))
    page, tables = tmp_path / "report.html", tmp_path / "tables"
    with EmbeddedStore(tmp_path / "store") as store:
        asyncio.run(fill(store.url))
        assert run("log", "--once")[0] == 0
        status, printed = run("report", TELCO, "--out", page, "--pdstools", tables)
    assert status == 0, printed
    assert "3 decisions, 3 offers seen, 1 accepted" in printed
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "sales / club / join_club" in text
    history = pq.read_table(tables / "interaction_history.parquet").to_pylist()
    assert sorted(row["pyOutcome"] for row in history) == [
        "Accepted",
        "Clicked",
        *["Impression"] * 3,
    ]


def test_a_folder_without_a_log_is_told(tmp_path: Path) -> None:
    status, printed = run("report", TELCO, "--log", tmp_path, "--out", tmp_path / "report.html")
    assert status == 1
    assert "there is no log here; `arbiter log` writes one" in printed


def test_a_period_that_is_none_is_told(tmp_path: Path) -> None:
    status, printed = run("report", TELCO, "--since", "2026-02-01", "--until", "2026-01-01")
    assert status == 1
    assert "--since is not before --until" in printed


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.models.test_labels import write

    write(tmp_path / "log")
    status, printed = run(
        "report", TELCO, "--log", tmp_path / "log", "--out", tmp_path / "none" / "report.html"
    )
    assert status == 1
    assert f"there is no folder {tmp_path / 'none'}; make it first" in printed
