"""Reads the log's files together, whatever has changed between them, as a relation of DuckDB."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as kinds

from feature_store.logbook.folder import BadLog, Hour, LogFile, LogFolder
from feature_store.logbook.tables import DECISIONS, FEATURES, LogTable


class LogReader:
    """A log of which no file goes away, for as long as `open_log` lasts."""

    def __init__(self, folder: LogFolder, scratch: Path) -> None:
        self._folder, self._scratch = folder, scratch
        self._read: dict[Path, LogFile] = {}

    def relation(self, table: LogTable, since: float = -inf, until: float = inf) -> str:
        """SQL that reads all columns of a table, of the files in which rows between two moments lie, in epoch
        seconds. A row may be there twice, and rows of other moments, too.

        Raises:
            BadLog: a file is damaged or of another table, or its columns contradict those of others.
        """
        hours = self._hours(table, since, until)
        files = [file for hour in hours for file in self._folder.files(table, hour)]
        self._read |= {file.path: file for file in files}
        # without rows, but with all columns: what a file lacks, and what none has, is null
        whole = self._scratch / f"{table.name}-{len(list(self._scratch.iterdir()))}.parquet"
        pq.write_table(_whole(table, files).empty_table(), whole)
        paths = ", ".join(_quoted(path) for path in [whole, *(file.path for file in files)])
        return f"read_parquet([{paths}], union_by_name = true, hive_partitioning = false)"

    def blame(self) -> None:
        """Read all files of the relations from end to end.

        Raises:
            BadLog: one of them is damaged.
        """
        for file in self._read.values():
            for _ in file.batches():
                pass

    def _hours(self, table: LogTable, since: float, until: float) -> Iterator[Hour]:
        for hour in self._folder.hours(table):
            if hour.ends_at > since and hour.begins.timestamp() <= until:
                yield hour


@contextmanager
def open_log(path: Path) -> Iterator[LogReader]:
    """The log of a folder, to be read. DuckDB does not say which of the files it has failed at: that is found
    out when it has.

    Raises:
        BadLog: there is none, or a file that was read is damaged.
    """
    folder = LogFolder(path)
    with folder.reading(), TemporaryDirectory() as scratch:
        reader = LogReader(folder, Path(scratch))
        try:
            yield reader
        except (duckdb.Error, pa.ArrowException):
            reader.blame()
            raise


def _whole(table: LogTable, files: list[LogFile]) -> pa.Schema:
    """All columns of a table and of its files."""
    whole = table.columns
    known: dict[str, tuple[pa.Field[Any], str]] = {
        field.name: (field, "the log's version of that table") for field in table.columns
    }
    features: dict[str, tuple[pa.Field[Any], str]] = {}
    for file in files:
        schema = file.schema
        _belongs(table, file, schema)
        for field in schema:
            if field.name != FEATURES:
                _agree(known, field, file)
        if FEATURES in schema.names:
            kind = schema.field(FEATURES).type
            if not isinstance(kind, pa.StructType):
                raise BadLog(f"{file.path}: column '{FEATURES}' is {kind}, and must be a struct of features")
            for field in kind:
                _agree(features, field, file, f"{FEATURES}.")
    if table is DECISIONS and features:
        whole = whole.append(pa.field(FEATURES, pa.struct([field for field, _ in features.values()])))
    return whole


def _belongs(table: LogTable, file: LogFile, schema: pa.Schema) -> None:
    if file.table not in (None, table.name):
        raise BadLog(f"{file.path}: is a file of '{file.table}' among those of '{table.name}'; move it there")
    if missing := [name for name in table.required if name not in schema.names]:
        raise BadLog(
            f"{file.path}: the column '{missing[0]}' is missing, without which its rows are no {table.name}: "
            "mend the file, or take it out of the log"
        )


def _agree(
    known: "dict[str, tuple[pa.Field[Any], str]]", field: "pa.Field[Any]", file: LogFile, prefix: str = ""
) -> None:
    first, there = known.setdefault(field.name, (field, str(file.path)))
    if _sort(first.type) != _sort(field.type) and not kinds.is_null(field.type):
        raise BadLog(
            f"{file.path}: column '{prefix}{field.name}' is {field.type}, but {first.type} in {there}: "
            "they can't be read together; read them apart, by their days"
        )


def _sort(kind: pa.DataType) -> str:
    """What values of a type are, whatever their width."""
    if isinstance(kind, pa.DictionaryType):
        return _sort(kind.value_type)
    if isinstance(kind, pa.ListType | pa.LargeListType):
        return f"list of {_sort(kind.value_type)}"
    if isinstance(kind, pa.MapType):
        return f"map of {_sort(kind.key_type)} to {_sort(kind.item_type)}"
    if isinstance(kind, pa.StructType):
        return f"struct of {[(field.name, _sort(field.type)) for field in kind]}"
    if kinds.is_string(kind) or kinds.is_large_string(kind):
        return "text"
    if kinds.is_integer(kind) or kinds.is_floating(kind):
        return "number"
    if kinds.is_timestamp(kind):
        return "time"
    return str(kind)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
