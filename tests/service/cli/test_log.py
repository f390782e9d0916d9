"""`arbiter log` and `arbiter labels` over a store with decisions and outcomes in it."""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from feature_store.client import connect
from feature_store.decision_log import DecisionLog
from feature_store.embedded import EmbeddedStore
from feature_store.store import CustomerStore
from service.cli.log import consumer_beside
from service.cli.main import app
from service.settings import Settings
from tests.feature_store.logbook.conftest import NOON, SCHEMA, entry, outcome

TELCO = Path(__file__).resolve().parents[3] / "examples" / "telco"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose store holds three decisions and what came of two of them."""
    monkeypatch.setenv("ARBITER_DATA", str(tmp_path))
    return tmp_path


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


async def fill(url: str, names: Sequence[str]) -> None:
    log, store = DecisionLog(connect(url, timeout=30), 1000), CustomerStore(connect(url, timeout=30), SCHEMA)
    await log.write([entry(names).pack()], {SCHEMA.fingerprint: SCHEMA.packed})
    await store.record_outcomes([outcome(names[0]), outcome(names[0], "impression")], NOON)
    await log.close()
    await store.close()


async def erase(url: str, customer: str) -> None:
    store = CustomerStore(connect(url, timeout=30), SCHEMA)
    await store.delete(customer, now=4e9)
    await store.close()


def test_what_is_in_the_store_goes_into_files_and_is_joined(data: Path) -> None:
    with EmbeddedStore(data / "store") as store:
        asyncio.run(fill(store.url, ["d1", "d2", "d3"]))
        assert "3 decisions, 3 offers, 2 outcomes written" in run("log", "--once")
        assert "0 decisions, 0 offers, 0 outcomes written" in run("log", "--once")
        printed = run("labels", TELCO, data / "labels.parquet")
        assert "3 rows, 3 final and 0 provisional, of 3 offers" in printed
        assert "channel 'web' reports impressions, and channels.yaml does not say so" in printed
        assert pq.read_table(data / "labels.parquet")["decision_id"].to_pylist() == ["d1", "d2", "d3"]
        asyncio.run(erase(store.url, "c-d1"))
        assert "4 rows of erased customers taken out" in run("log", "--compact")
        assert "2 rows" in run("labels", TELCO, data / "labels.parquet")


def test_a_damaged_file_fails_a_compaction_that_names_it(data: Path) -> None:
    with EmbeddedStore(data / "store") as store:
        asyncio.run(fill(store.url, ["d1"]))
        run("log", "--once")
        [damaged] = (data / "log" / "outcomes").rglob("*.parquet")
        damaged.write_bytes(damaged.read_bytes()[:100])
        asyncio.run(erase(store.url, "c-d1"))
        result = CliRunner().invoke(app, ["log", "--compact"])
    assert result.exit_code == 1
    assert "2 rows of erased customers taken out" in result.output
    assert f"{damaged}: can't be read as Parquet, it is damaged or cut off" in result.output.replace(
        "\n", " "
    )


def test_a_folder_without_a_log_is_told(data: Path) -> None:
    result = CliRunner().invoke(app, ["labels", str(TELCO), str(data / "labels.parquet")])
    assert result.exit_code == 1
    assert "there is no log here; `arbiter log` writes one" in result.output


def test_training_says_so_before_it_trains_anything(data: Path) -> None:
    result = CliRunner().invoke(app, ["train", str(TELCO), "--log", str(data), "--data", str(data)])
    assert result.exit_code == 1
    assert result.output == f"{data}: there is no log here; `arbiter log` writes one\n"


@pytest.mark.parametrize("words", [["labels", str(TELCO), "labels.parquet"], ["evaluate", str(TELCO)]])
def test_a_period_that_is_none_is_told(words: list[str]) -> None:
    result = CliRunner().invoke(app, [*words, "--since", "2026-02-01", "--until", "2026-01-01"])
    assert result.exit_code == 1
    assert "--since is not before --until" in result.output


def test_a_file_without_a_place_is_told_before_any_work(data: Path) -> None:
    for place, said in ((data / "none" / "labels.parquet", "there is no folder"), (data, "is a folder")):
        result = CliRunner().invoke(app, ["labels", str(TELCO), str(place)])
        assert result.exit_code == 1
        assert f"{place}: {said}" in result.output


def test_an_entry_that_cannot_be_read_stays_and_is_counted(data: Path) -> None:
    with EmbeddedStore(data / "store") as store:

        async def garble() -> None:
            log = DecisionLog(connect(store.url, timeout=30), 1000)
            await log.write([b"\xc1", entry(["d1"]).pack()], {})
            await log.write([entry(["d2"]).pack()], {SCHEMA.fingerprint: SCHEMA.packed})
            await log.close()

        asyncio.run(garble())
        printed = run("log", "--once")
        assert "2 decisions, 2 offers" in printed
        assert "1 entries can't be read, and stay in the store" in printed


def test_ctrl_c_of_a_terminal_does_not_meet_the_consumer_beside_a_service(data: Path) -> None:
    before = set(_groups())
    with EmbeddedStore(data / "store") as store, consumer_beside(Settings(data=data, redis_url=store.url)):
        deadline = time.monotonic() + 10
        while not (consumers := set(_groups()) - before) and time.monotonic() < deadline:
            time.sleep(0.05)
        [(process, group)] = consumers
        assert process == group


def _groups() -> Iterator[tuple[int, int]]:
    """The consumers that are children of this process, each with its process group."""
    for child in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        for process in map(int, child.read_text().split()):
            if b"feature_store.logbook" in Path(f"/proc/{process}/cmdline").read_bytes():
                yield process, os.getpgid(process)
