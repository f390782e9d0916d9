"""Files that are bad, drifted or there twice: a clear error that names them, or no difference."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_store.logbook.folder import BadLog, LogFolder
from feature_store.logbook.reading import open_log
from feature_store.logbook.rows import decision_rows, offer_rows
from feature_store.logbook.tables import DECISIONS, OFFERS, OUTCOMES, VERSION, VERSION_KEY, LogTable
from feature_store.schema import Feature, FeatureSchema, FeatureType, Source

from .conftest import NOON, SCHEMA, entry

DAY = 86_400.0


@pytest.fixture
def log(tmp_path: Path) -> LogFolder:
    """A log of two days with an empty one between."""
    folder = LogFolder(tmp_path)
    folder.prepare()
    for day in (0, 2):
        made = entry([f"d{day}"], NOON + day * DAY)
        folder.add(DECISIONS, decision_rows([made], SCHEMA), "1-0", lambda: False)
        folder.add(OFFERS, offer_rows([made]), "1-0", lambda: False)
    return folder


def query(log: LogFolder, table: LogTable, what: str, *bounds: float) -> Sequence[tuple[object, ...]]:
    with open_log(log.path) as reader:
        rows: Sequence[tuple[object, ...]] = duckdb.execute(
            f"SELECT {what} FROM {reader.relation(table, *bounds)} ORDER BY ALL"
        ).fetchall()
        return rows


def some_file(log: LogFolder, table: LogTable = DECISIONS) -> Path:
    return log.files(table, log.hours(table)[0])[0].path


def test_days_without_anything_are_no_gap(log: LogFolder) -> None:
    assert query(log, DECISIONS, "decision_id") == [("d0",), ("d2",)]
    assert query(log, DECISIONS, "decision_id", NOON + DAY, NOON + 3 * DAY) == [("d2",)]
    assert query(log, DECISIONS, "decision_id", NOON + DAY, NOON + DAY + 60) == []
    assert query(log, OUTCOMES, "outcome_id, value, experiments") == []


def test_a_folder_without_a_log_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadLog, match="there is no log here"), open_log(tmp_path):
        pass


@pytest.mark.parametrize("size", [0, 3, 200])
def test_a_file_that_is_cut_off_is_named(log: LogFolder, size: int) -> None:
    path = some_file(log)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(BadLog, match=f"{path}: .*damaged or cut off"):
        query(log, DECISIONS, "1")


def test_a_feature_of_two_types_is_named_with_both_files(log: LogFolder) -> None:
    retyped = FeatureSchema((Feature("age", FeatureType.CATEGORY, Source.PROFILE, levels=("old",)),))
    made = entry(["d9"], NOON, retyped, [0.0])
    log.add(DECISIONS, decision_rows([made], retyped), "2-0", lambda: False)
    with pytest.raises(BadLog, match=r"2-0-.*: column 'features.age' is string, but float in .*1-0-"):
        query(log, DECISIONS, "1")
    assert query(log, DECISIONS, "decision_id", NOON + DAY, NOON + 3 * DAY) == [("d2",)]


def test_a_column_of_another_type_is_named(log: LogFolder) -> None:
    path = some_file(log, OFFERS)
    rows = pq.read_table(path, partitioning=None)
    place = rows.schema.get_field_index("rank")
    pq.write_table(rows.set_column(place, "rank", pa.array(["first"])), path)
    with pytest.raises(BadLog, match=f"{path}: column 'rank' is string, but int32"):
        query(log, OFFERS, "1")


def test_a_column_that_a_file_lacks_is_null_and_one_that_it_has_on_top_does_not_matter(
    log: LogFolder,
) -> None:
    path = some_file(log, OFFERS)
    rows = pq.read_table(path, partitioning=None).drop_columns(["lever"])
    pq.write_table(rows.append_column("more", pa.array([1])), path)
    assert query(log, OFFERS, "lever") == [(1.3,), (None,)]


@pytest.mark.parametrize("column", ["decision_id", "placement", "decided_at"])
def test_a_file_whose_rows_can_not_be_told_apart_is_named(log: LogFolder, column: str) -> None:
    path = some_file(log, OFFERS)
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns([column]), path)
    with pytest.raises(BadLog, match=f"{path}: the column '{column}' is missing"):
        query(log, OFFERS, "1")


def test_a_file_of_another_table_is_named(log: LogFolder) -> None:
    path = some_file(log, DECISIONS)
    shutil.copy(path, some_file(log, OFFERS).with_name("2-0-1.parquet"))
    with pytest.raises(BadLog, match=r"2-0-1.parquet: is a file of 'decisions' among those of 'offers'"):
        query(log, OFFERS, "1")


def test_a_file_that_is_damaged_in_the_middle_is_named_when_it_is_read(log: LogFolder) -> None:
    path = some_file(log, OFFERS)
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + bytes(60) + whole[100:])
    with pytest.raises(BadLog, match=f"{path}: .*damaged or cut off"):
        query(log, OFFERS, "*")


def test_a_file_of_a_later_version_is_refused_by_its_name(log: LogFolder) -> None:
    path = some_file(log)
    rows = pq.read_table(path, partitioning=None)
    pq.write_table(rows.replace_schema_metadata({VERSION_KEY: str(VERSION + 1).encode()}), path)
    with pytest.raises(BadLog, match=f"{path}: is of version {VERSION + 1}"):
        query(log, DECISIONS, "1")


@pytest.mark.parametrize(
    "name", ["date=2026-13-01/hour=00", "date=2026-01-01/hour=24", "date=2026-01-01/hour=7"]
)
def test_a_folder_that_is_no_hour_is_named(log: LogFolder, name: str) -> None:
    (log.path / "decisions" / name).mkdir(parents=True)
    with pytest.raises(BadLog, match=f"{name}: is no folder of a day and an hour"):
        query(log, DECISIONS, "1")


def test_rows_that_are_there_already_are_not_added_again(log: LogFolder) -> None:
    made = entry(["d0", "new"])
    assert log.add(DECISIONS, decision_rows([made], SCHEMA), "3-0", lambda: True) == 1
    assert log.add(OFFERS, offer_rows([made]), "3-0", lambda: True) == 1
    assert log.add(OFFERS, offer_rows([made]), "3-0", lambda: True) == 0
    assert query(log, DECISIONS, "decision_id") == [("d0",), ("d2",), ("new",)]


def test_a_copied_file_changes_no_label_and_goes_with_the_next_merge(log: LogFolder) -> None:
    path = some_file(log)
    shutil.copy(path, path.with_name("copy-0-1.parquet"))
    assert query(log, DECISIONS, "DISTINCT decision_id") == [("d0",), ("d2",)]
