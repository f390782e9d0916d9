"""The folder of the log: Parquet files by table, day and hour, which appear and are replaced as a whole.

    decisions/date=2026-01-31/hour=07/1769842800123-0-9f2c61d0.parquet
    offers/...  outcomes/...
    schemas/<fingerprint>.json    the definition of each feature schema
    commit.lock  files.lock  upkeep.lock
                                  held by who brings files into place, who reads, and who rewrites them

A file is written under another name, synced to the disk and renamed. Whoever replaces files puts the new one
in place, which names those it stands in for, and then takes them away, while no reader holds `files.lock`:
after a crash in between, readers pass over what is replaced already.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_store.errors import Mendable
from feature_store.logbook.tables import (
    REPLACES_KEY,
    TABLE_KEY,
    VERSION,
    VERSION_KEY,
    LogTable,
)
from feature_store.schema import FeatureSchema

HOUR_TICKS = 3_600_000_000
"""Microseconds of an hour."""
BATCH_ROWS = 16_384
PARTIAL = ".partial"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadLog(Mendable):
    """A file of the log that can't be used; the message names it and says what is wrong."""


@dataclass(frozen=True, order=True)
class Hour:
    """One hour of the log, counted from 1970 in UTC."""

    number: int

    @classmethod
    def of(cls, seconds: float) -> "Hour":
        """The hour in which a moment, in epoch seconds, lies."""
        return cls(int(seconds // 3600))

    @property
    def begins(self) -> datetime:
        return _EPOCH + timedelta(hours=self.number)

    @property
    def ends_at(self) -> float:
        """Epoch seconds, exclusive."""
        return (self.number + 1) * 3600.0

    @property
    def path(self) -> str:
        """Of its folder, below that of the table."""
        return f"{self.begins:date=%Y-%m-%d/hour=%H}"


@dataclass(frozen=True)
class LogFile:
    """A file of the log."""

    path: Path

    @cached_property
    def metadata(self) -> pq.FileMetaData:
        """Its footer. Of a later version of the columns nothing is read.

        Raises:
            BadLog: it is no Parquet file, or cut off.
        """
        with self._told():
            footer = pq.read_metadata(self.path)

        version = int((footer.metadata or {}).get(VERSION_KEY, VERSION))
        if version > VERSION:
            raise BadLog(f"{self.path}: is of version {version}; this software reads up to {VERSION}")
        return footer

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Some columns of all rows.

        Raises:
            BadLog: it is damaged.
        """
        with self._told():
            return pq.read_table(self.path, columns=list(columns), partitioning=None)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, some thousand at a time.

        Raises:
            BadLog: it is damaged.
        """
        with self._told(), pq.ParquetFile(self.path) as rows:
            yield from rows.iter_batches(BATCH_ROWS)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Says of a file that can't be read which one it is."""
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            raise BadLog(
                f"{self.path}: can't be read as Parquet, it is damaged or cut off: {error}"
            ) from error

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""
        return self.metadata.schema.to_arrow_schema()

    @property
    def table(self) -> str | None:
        """The name of the table that it says to belong to."""
        name = (self.metadata.metadata or {}).get(TABLE_KEY)
        return None if name is None else name.decode()

    @property
    def replaces(self) -> Sequence[str]:
        """The names of the files in the same folder that it stands in for."""
        names: Sequence[str] = json.loads((self.metadata.metadata or {}).get(REPLACES_KEY, b"[]"))
        return names

    def successor(self) -> Path:
        """A new name for what stands in for it, in the same place of the order."""
        return self.path.with_name(_name(self.path.name.rpartition("-")[0]))


class LogFolder:
    """Writes and finds the files of the log. Several processes may use one folder at the same time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def is_there(self) -> bool:
        """Whether it holds a log."""
        return (self.path / "files.lock").exists()

    def require(self) -> None:
        """Make sure of it.

        Raises:
            BadLog: there is none.
        """
        if not self.is_there:
            raise BadLog(f"{self.path}: there is no log here; `arbiter log` writes one")

    def prepare(self) -> None:
        """Make the folder, if it is not there."""
        (self.path / "schemas").mkdir(parents=True, exist_ok=True)
        for name in ("commit.lock", "files.lock", "upkeep.lock"):
            (self.path / name).touch()

    def schema(self, fingerprint: str) -> FeatureSchema | None:
        """The feature schema of a fingerprint, None if it was never left here."""
        try:
            text = (self.path / "schemas" / f"{fingerprint}.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return FeatureSchema.from_definition(json.loads(text))

    def keep_schema(self, fingerprint: str, definition: bytes) -> FeatureSchema:
        """Leave the definition of a feature schema, JSON, for those who read the log later."""
        schema = FeatureSchema.from_definition(json.loads(definition))
        place = self.path / "schemas" / f"{fingerprint}.json"
        staged = place.with_name(f"{secrets.token_hex(4)}{PARTIAL}")
        with staged.open("wb") as file:
            file.write(definition)
            file.flush()
            os.fsync(file.fileno())
        _appear(staged, place)
        return schema

    @contextmanager
    def committing(self) -> Iterator[None]:
        """While the context lasts, nobody else brings a file into place."""
        with _locked(self.path / "commit.lock", fcntl.LOCK_EX):
            yield

    @contextmanager
    def keeping_up(self) -> Iterator[bool]:
        """Whether nobody else rewrites files, which nobody else does then while the context lasts."""
        with (self.path / "upkeep.lock").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    @contextmanager
    def reading(self) -> Iterator[None]:
        """While the context lasts, no file goes away; new ones may come."""
        self.require()
        with _locked(self.path / "files.lock", fcntl.LOCK_SH):
            yield

    def hours(self, table: LogTable) -> list[Hour]:
        """The hours that the table has a folder of, in their order."""
        found = []
        for folder in (self.path / table.name).glob("date=*/hour=*"):
            try:
                day, hour = date.fromisoformat(folder.parent.name[5:]), int(folder.name[5:])
            except ValueError as error:
                raise BadLog(f"{folder}: is no folder of a day and an hour: {error}") from error
            found.append(Hour((day - _EPOCH.date()).days * 24 + hour))
            if folder != self.path / table.name / found[-1].path:
                raise BadLog(f"{folder}: is no folder of a day and an hour: hours go from 00 to 23")
        return sorted(found)

    def files(self, table: LogTable, hour: Hour) -> list[LogFile]:
        """The files of one hour, without those that others stand in for; in the order in which they were
        begun."""
        return self._listed(table, hour)[0]

    def _listed(self, table: LogTable, hour: Hour) -> tuple[list[LogFile], list[LogFile]]:
        """The files of one hour that count, and those that others stand in for, both of one look: what comes
        after it must not be taken for one of the latter."""
        found = [LogFile(path) for path in sorted((self.path / table.name / hour.path).glob("*.parquet"))]
        if len(found) < 2:
            return found, []
        names = {name for file in found for name in file.replaces}
        live = [file for file in found if file.path.name not in names]
        return live, [file for file in found if file.path.name in names]

    def add(self, table: LogTable, rows: pa.Table, first: str, known: Callable[[], bool]) -> int:
        """Add rows, each to its hour, and return how many. `first` is the id of the first entry that they
        come from. Where `known` says that somebody may have written some of them, those that are there are
        left out; it is asked when nobody else can write any more.
        """
        added = 0
        for hour, part in _by_hour(distinct(rows, table), table.time):
            folder = self.path / table.name / hour.path
            folder.mkdir(parents=True, exist_ok=True)
            place = folder / _name(first)
            staged = None if known() else stage(place, table, part.schema, part.to_batches())
            with self.committing():
                if known():
                    part = self._without_known(table, hour, part)
                    if staged is not None:
                        staged.unlink()
                        staged = None
                    if not part.num_rows:
                        continue
                    staged = stage(place, table, part.schema, part.to_batches())
                if staged is not None:
                    _appear(staged, place)
            added += part.num_rows
        return added

    def _without_known(self, table: LogTable, hour: Hour, rows: pa.Table) -> pa.Table:
        """The rows of which none with the same identity is in that hour."""
        keys = list(table.identity)
        for file in self.files(table, hour):
            there = file.read(keys)
            rows = rows.filter(pc.invert(pc.is_in(identities(rows, keys), value_set=identities(there, keys))))
        return rows

    def replace(self, old: Sequence[LogFile], place: Path, staged: Path | None) -> bool:
        """Let a staged file, whose metadata names the `old` ones, or nothing stand in for them. Returns
        whether it was possible now: not while somebody reads, nor when one of them is gone."""
        with self.committing(), (self.path / "files.lock").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if not all(file.path.exists() for file in old):
                return False
            if staged is not None:
                _appear(staged, place)
            for file in old:
                file.path.unlink()
            _sync(place.parent)
        return True

    def clean(self, table: LogTable, hour: Hour, before: float) -> bool:
        """Take away what crashes have left: files that others stand in for, and files begun before that
        moment, in epoch seconds, and never completed. Returns whether it was possible now."""
        folder = self.path / table.name / hour.path
        for partial in folder.glob(f"*{PARTIAL}"):
            with suppress(FileNotFoundError):  # it was completed meanwhile
                if partial.stat().st_mtime < before:
                    partial.unlink()
        _, replaced = self._listed(table, hour)
        return not replaced or self.replace(replaced, replaced[0].path, None)


def stage(
    place: Path,
    table: LogTable,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    replaces: Sequence[str] = (),
) -> Path:
    """Write rows into a file beside its later place, safe on the disk, and return it."""
    staged = place.with_name(f"{place.stem}-{secrets.token_hex(4)}{PARTIAL}")
    metadata = {
        VERSION_KEY: str(VERSION).encode(),
        TABLE_KEY: table.name.encode(),
        REPLACES_KEY: json.dumps(list(replaces)).encode(),
    }
    try:
        with staged.open("wb") as file:
            stamped = schema.with_metadata(metadata)
            with pq.ParquetWriter(file, stamped, compression="zstd", compression_level=3) as writer:
                for batch in batches:
                    writer.write_batch(batch.cast(stamped))
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    return staged


def _name(first: str) -> str:
    """A name that no other file has, for rows from the entry `first` on."""
    return f"{first}-{secrets.token_hex(4)}.parquet"


def _by_hour(rows: pa.Table, column: str) -> Iterator[tuple[Hour, pa.Table]]:
    """The rows of each hour, in the order of the hours."""
    ticks = rows.column(column).cast(pa.int64()).to_numpy()
    hours = ticks // HOUR_TICKS
    for number in np.unique(hours).tolist():
        yield Hour(number), rows.filter(pa.array(hours == number))


def distinct(rows: pa.Table, table: LogTable) -> pa.Table:
    """The rows without those that the table identifies with one before them."""
    codes = identities(rows, table.identity).dictionary_encode().indices.to_numpy()
    _, first = np.unique(codes, return_index=True)
    return rows if len(first) == len(codes) else rows.take(np.sort(first))


def identities(rows: pa.Table, columns: Sequence[str]) -> Any:
    """What identifies each row, as one text."""
    join: Any = pc.binary_join_element_wise
    texts = [rows.column(name).cast(pa.string()) for name in columns]
    return join(*texts, "\x1f").combine_chunks()


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    with path.open("rb") as file:
        fcntl.flock(file, how)
        yield  # closing the file lets go of it


def _appear(staged: Path, place: Path) -> None:
    """Give a staged file its name, for good."""
    staged.rename(place)
    _sync(place.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
