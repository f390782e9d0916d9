"""Upkeep of the log's files: the small ones of past hours become one, and erased customers go out of all."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from feature_store.logbook.folder import BadLog, LogFile, LogFolder, identities, stage
from feature_store.logbook.tables import TABLES, LogTable

QUIET = 600.0
"""Seconds without a new file after which those of a past hour are merged."""
LARGE = 256 * 2**20
"""Bytes from which on a file stays as it is: a merge never takes more memory than its ids do."""
STALE = 3600.0
"""Seconds after which a file that was begun and never completed belongs to nobody."""


@dataclass
class Upkeep:
    """What was done: files before and after a merge, rows that were there twice, rows of erased customers,
    whether something has to wait because the log is being read, or rewritten by another, and what is wrong
    with files that can't be used: their hours stay as they are."""

    merged: int = 0
    into: int = 0
    duplicates: int = 0
    erased: int = 0
    postponed: bool = False
    damaged: list[str] = field(default_factory=list)


def compact(folder: LogFolder, now: float, quiet: float, done: Upkeep) -> None:
    """Merge the files of each past hour that have the same columns, each row once, where none is younger than
    `quiet` seconds."""
    for table in TABLES.values():
        for hour in folder.hours(table):
            if hour.ends_at > now:
                continue
            with _by_itself(done):
                if not folder.clean(table, hour, now - STALE):
                    done.postponed = True  # a merge would take away who says that they do not count
                    continue
                files = folder.files(table, hour)
                if len(files) > 1 and max(file.path.stat().st_mtime for file in files) <= now - quiet:
                    _merge(folder, table, files, done)


def erase(folder: LogFolder, customers: Mapping[bytes, float], done: Upkeep) -> None:
    """Take the rows of customers out of all files, as far as they were known until a moment, in epoch
    seconds, by customer."""
    ids: Any = pa.array(list(customers), pa.binary())
    until = pa.array([datetime.fromtimestamp(moment, UTC) for moment in customers.values()])
    for table in TABLES.values():
        for hour in folder.hours(table):
            with _by_itself(done):
                for file in folder.files(table, hour):
                    rows = file.read(["customer_id", table.known_at])
                    places: Any = pc.index_in(rows.column("customer_id").cast(pa.binary()), value_set=ids)
                    gone = pc.less_equal(rows.column(table.known_at), until.take(places.combine_chunks()))
                    keep = ~gone.fill_null(False).to_numpy()
                    if keep.all():
                        continue
                    if _rewrite(folder, table, [file], [keep]):
                        done.erased += int((~keep).sum())
                    else:
                        done.postponed = True


@contextmanager
def _by_itself(done: Upkeep) -> Iterator[None]:
    """A file that can't be used holds up its own hour, and no other."""
    try:
        yield
    except BadLog as error:
        if str(error) not in done.damaged:
            done.damaged.append(str(error))


def _merge(folder: LogFolder, table: LogTable, files: Sequence[LogFile], done: Upkeep) -> None:
    for together in _alike(files):
        keep = _first_of_each(together, table)
        if _rewrite(folder, table, together, keep):
            done.merged += len(together)
            done.into += 1
            done.duplicates += int(sum((~kept).sum() for kept in keep))
        else:
            done.postponed = True


def _alike(files: Sequence[LogFile]) -> Iterator[list[LogFile]]:
    """Small files that have the same columns, as many together as make a large one."""
    groups: dict[str, list[LogFile]] = {}
    for file in files:
        if file.path.stat().st_size < LARGE:
            groups.setdefault(file.schema.remove_metadata().to_string(), []).append(file)
    for group in groups.values():
        together: list[LogFile] = []
        size = 0
        for file in group:
            together.append(file)
            size += file.path.stat().st_size
            if size >= LARGE:
                yield together
                together, size = [], 0
        if len(together) > 1:
            yield together


def _first_of_each(files: Sequence[LogFile], table: LogTable) -> list[NDArray[np.bool_]]:
    """By file, which of its rows are the first with their identity."""
    keys = list(table.identity)
    read = [file.read(keys) for file in files]
    codes = identities(pa.concat_tables(read), keys).dictionary_encode().indices.to_numpy()
    first = np.zeros(len(codes), bool)
    first[np.unique(codes, return_index=True)[1]] = True
    return np.split(first, np.cumsum([part.num_rows for part in read])[:-1])


def _rewrite(
    folder: LogFolder, table: LogTable, files: Sequence[LogFile], keep: Sequence[NDArray[np.bool_]]
) -> bool:
    """Put one file with the rows that are kept in the place of some; whether that was possible."""
    place = files[0].successor()
    staged = None
    if any(kept.any() for kept in keep):
        replaces = [file.path.name for file in files]
        staged = stage(place, table, files[0].schema, _kept(files, keep), replaces)
    if folder.replace(files, place, staged):
        return True
    if staged is not None:
        staged.unlink()
    return False


def _kept(files: Sequence[LogFile], keep: Sequence[NDArray[np.bool_]]) -> Iterator[pa.RecordBatch]:
    for file, kept in zip(files, keep, strict=True):
        start = 0
        for batch in file.batches():
            yield batch.filter(pa.array(kept[start : start + batch.num_rows]))
            start += batch.num_rows
