"""Small files become one, erased customers go out, and who reads meanwhile sees each row once."""

import asyncio
import os
import threading
import time
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from structlog.testing import capture_logs

from feature_store.client import connect
from feature_store.decision_log import DecisionLog
from feature_store.embedded import EmbeddedStore
from feature_store.erasures import Erasures
from feature_store.logbook.folder import LogFolder
from feature_store.logbook.keeping import keep_log, keep_up
from feature_store.logbook.reading import open_log
from feature_store.logbook.rows import decision_rows, offer_rows, outcome_rows
from feature_store.logbook.tables import DECISIONS, OFFERS, OUTCOMES, VERSION_KEY, LogTable
from feature_store.logbook.upkeep import STALE, Upkeep, compact, erase
from feature_store.schema import Feature, FeatureSchema, FeatureType, Source
from feature_store.store import CustomerStore

from .conftest import NOON, SCHEMA, entry, outcome


def later() -> float:
    """A moment when all that was written until now is old."""
    return time.time() + 60.0


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    """A log of six files an hour and table, in two hours, with one decision of each file twice."""
    log = LogFolder(tmp_path)
    log.prepare()
    for hour in range(2):
        for part in range(6):
            made = entry([f"d{hour}-{part}-{row}" for row in range(10)] + ["twice"], NOON + 3600 * hour)
            log.add(DECISIONS, decision_rows([made], SCHEMA), f"{part}-0", lambda: False)
            log.add(OFFERS, offer_rows([made]), f"{part}-0", lambda: False)
            some = [(outcome(name, occurred_at=made.times[0]), NOON + 5) for name in made.decision_id]
            log.add(OUTCOMES, outcome_rows(some), f"{part}-0", lambda: False)
    return log


def paths(folder: LogFolder, table: LogTable) -> list[Path]:
    return [file.path for hour in folder.hours(table) for file in folder.files(table, hour)]


def ids(folder: LogFolder, table: LogTable = DECISIONS, column: str = "decision_id") -> list[str]:
    columns = [pq.read_table(path)[column].to_pylist() for path in paths(folder, table)]
    return sorted(str(name) for names in columns for name in names)


def test_the_files_of_a_past_hour_become_one_with_each_row_once(folder: LogFolder) -> None:
    before = ids(folder)
    done = Upkeep()
    compact(folder, later(), 0.0, done)
    assert (done.merged, done.into, done.postponed) == (36, 6, False)
    assert done.duplicates == 2 * 5 * 3
    for table in (DECISIONS, OFFERS, OUTCOMES):
        assert len(paths(folder, table)) == len(list((folder.path / table.name).rglob("*"))) - 3 == 2
    assert ids(folder) == sorted([*set(before), "twice"])  # it is in two hours
    again = Upkeep()
    compact(folder, later(), 0.0, again)
    assert again == Upkeep()


def test_an_hour_that_is_not_over_or_not_quiet_is_left_alone(folder: LogFolder) -> None:
    for path in paths(folder, DECISIONS) + paths(folder, OFFERS) + paths(folder, OUTCOMES):
        os.utime(path, (0, NOON))
    done = Upkeep()
    compact(folder, NOON + 3600, 0.0, done)
    assert (done.merged, done.into) == (18, 3)
    for path in paths(folder, DECISIONS) + paths(folder, OFFERS) + paths(folder, OUTCOMES):
        os.utime(path, (0, later() - 599))
    done = Upkeep()
    compact(folder, later(), 600.0, done)
    assert done == Upkeep()


def test_while_somebody_reads_no_file_goes_away(folder: LogFolder) -> None:
    before = paths(folder, DECISIONS)
    done = Upkeep()
    with open_log(folder.path):
        compact(folder, later(), 0.0, done)
    assert (done.merged, done.postponed) == (0, True)
    assert paths(folder, DECISIONS) == before
    assert not list(folder.path.rglob("*.partial"))


def test_who_reads_while_files_are_merged_sees_each_row_once(folder: LogFolder) -> None:
    expected = [name for name in ids(folder) if name != "twice"]
    stop, merged = threading.Event(), Upkeep()

    def keep_on() -> None:
        while not stop.is_set():
            compact(folder, later(), 0.0, merged)

    keeper = threading.Thread(target=keep_on)
    keeper.start()
    try:
        for round_ in range(20):
            with open_log(folder.path) as log:
                query = f"SELECT decision_id FROM {log.relation(DECISIONS)} WHERE decision_id <> 'twice'"
                rows = duckdb.execute(query).fetchall()
            assert sorted(name for (name,) in rows) == sorted(expected)
            made = entry([f"more-{round_}"])
            folder.add(DECISIONS, decision_rows([made], SCHEMA), f"{round_}-1", lambda: False)
            expected.append(f"more-{round_}")
            time.sleep(0.02)
    finally:
        stop.set()
        keeper.join()
    assert merged.into > 2


def test_after_a_crash_between_the_new_file_and_the_old_ones_going_away_nothing_is_there_twice(
    folder: LogFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = ids(folder)

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", crash)
        with pytest.raises(KeyboardInterrupt):
            compact(folder, later(), 0.0, Upkeep())
    assert len(list((folder.path / "decisions").rglob("*.parquet"))) == 13
    assert len(ids(folder)) == 61 + 66  # the first hour is merged, the second is not
    compact(folder, later(), 0.0, Upkeep())
    assert len(list((folder.path / "decisions").rglob("*.parquet"))) == 2
    assert set(ids(folder)) == set(expected)


def test_a_file_that_was_never_completed_goes_away_when_nobody_can_be_writing_it(folder: LogFolder) -> None:
    partial = paths(folder, DECISIONS)[0].with_suffix(".partial")
    partial.write_bytes(b"half")
    compact(folder, later(), 0.0, Upkeep())
    assert partial.exists()
    os.utime(partial, (0, later() - STALE - 1))
    compact(folder, later(), 0.0, Upkeep())
    assert not partial.exists()


def test_a_file_that_is_completed_while_upkeep_looks_at_it_is_none_of_its_business(folder: LogFolder) -> None:
    before = set(ids(folder))
    gone = paths(folder, DECISIONS)[0].with_suffix(".partial")
    gone.symlink_to(folder.path / "completed")  # is listed, and not there when it is looked at
    compact(folder, later(), 0.0, Upkeep())
    assert set(ids(folder)) == before


def test_an_erased_customer_is_in_no_file(folder: LogFolder) -> None:
    done = Upkeep()
    erase(folder, {b"c-d0-3-4": NOON + 10, b"c-d1-2-2": NOON + 10}, done)
    # the second one's decision is of an hour later, but what came of it was known before
    assert (done.erased, done.postponed) == (4, False)
    for table in (DECISIONS, OFFERS, OUTCOMES):
        assert "d0-3-4" not in ids(folder, table)
    assert "d1-2-2" in ids(folder)
    assert "d1-2-2" not in ids(folder, OUTCOMES)
    assert len(ids(folder)) == 131


def test_a_file_without_a_row_left_goes_away(tmp_path: Path) -> None:
    log = LogFolder(tmp_path)
    log.prepare()
    log.add(DECISIONS, decision_rows([entry(["d1"])], SCHEMA), "1-0", lambda: False)
    erase(log, {b"c-d1": NOON + 1}, Upkeep())
    assert not list(tmp_path.rglob("*.parquet"))


def test_files_of_different_feature_schemas_stay_apart_and_are_read_together(folder: LogFolder) -> None:
    new = FeatureSchema((Feature("visits", FeatureType.NUMBER, Source.PROFILE),))
    made = entry(["new"], schema=new, row=[3.0])
    folder.add(DECISIONS, decision_rows([made], new), "9-0", lambda: False)
    compact(folder, later(), 0.0, Upkeep())
    assert len(paths(folder, DECISIONS)) == 3
    with open_log(folder.path) as log:
        query = f"SELECT features.visits, features.age FROM {log.relation(DECISIONS)} WHERE decision_id IN "
        rows = duckdb.execute(query + "('new', 'd0-0-0') ORDER BY ALL").fetchall()
    assert rows == [(3.0, None), (None, 34.5)]


def test_the_version_of_the_columns_stays_with_a_merged_file(folder: LogFolder) -> None:
    compact(folder, later(), 0.0, Upkeep())
    for path in paths(folder, OUTCOMES):
        assert (pq.read_metadata(path).metadata or {})[VERSION_KEY] == b"1"


def test_a_damaged_file_holds_up_its_own_hour_and_who_was_erased_stays_on_the_list(
    folder: LogFolder, tmp_path: Path
) -> None:
    damaged = paths(folder, DECISIONS)[0]
    whole = damaged.read_bytes()

    async def keep_after_erasing(url: str) -> tuple[Upkeep, dict[bytes, float]]:
        store = CustomerStore(connect(url, timeout=30), SCHEMA)
        try:
            await store.delete("c-d0-1-0", now=NOON + 7200)
            await store.delete("c-d1-1-0", now=NOON + 7200)
            return await keep_up(store.client, folder, quiet=0.0), await Erasures(store.client).all()
        finally:
            await store.close()

    with EmbeddedStore(tmp_path / "store") as store:
        damaged.write_bytes(whole[:100])
        done, listed = asyncio.run(keep_after_erasing(store.url))
        assert [str(damaged) in reason for reason in done.damaged] == [True]
        assert (done.merged, done.into) == (30, 5), "all hours but the one with the damaged file"
        assert set(listed) == {b"c-d0-1-0", b"c-d1-1-0"}
        damaged.write_bytes(whole)
        done, listed = asyncio.run(keep_after_erasing(store.url))
        assert (done.damaged, done.merged, listed) == ([], 6, {})
    assert not {"c-d0-1-0", "c-d1-1-0"} & set(ids(folder, column="customer_id"))


def test_a_damaged_file_is_told_by_upkeep_and_keeps_nothing_from_being_written(
    folder: LogFolder, tmp_path: Path
) -> None:
    damaged = paths(folder, DECISIONS)[0]
    damaged.write_bytes(damaged.read_bytes()[:100])

    async def keep(url: str) -> None:
        log = DecisionLog(connect(url, timeout=30), 1000)
        await log.write([entry(["new"], NOON + 7200).pack()], {SCHEMA.fingerprint: SCHEMA.packed})
        await log.close()
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(1.0, stop.set)
        await keep_log(url, folder.path, stop)

    with EmbeddedStore(tmp_path / "store") as store, capture_logs() as said:
        asyncio.run(keep(store.url))
    told = [(line["event"], str(damaged) in line["reason"]) for line in said if "reason" in line]
    assert told == [("log_not_kept_up", True)]
    assert [path.parent.name for path in paths_of(folder, "new")] == ["hour=14"]


def paths_of(folder: LogFolder, decision: str) -> list[Path]:
    last = folder.files(DECISIONS, folder.hours(DECISIONS)[-1])
    return [file.path for file in last if decision in pq.read_table(file.path)["decision_id"].to_pylist()]
