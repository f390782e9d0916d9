"""A consumer of the log: from the streams into files, each row exactly once, whatever crashes when.

Entries are acknowledged when all their rows are in files that have their names. What a consumer held when it
ended goes to another one, which looks in the files for what is there already.
"""

import os
import secrets
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import pyarrow as pa
import structlog

from feature_store.client import Client, StoreUnavailable
from feature_store.decision_log import DECISION_LOG, DecisionEntry
from feature_store.logbook.folder import LogFolder
from feature_store.logbook.rows import decision_rows, offer_rows, outcome_rows
from feature_store.logbook.stream import Entry, EntryStream, Held
from feature_store.logbook.tables import DECISIONS, OFFERS, OUTCOMES, LogTable
from feature_store.outcomes import OUTCOME_LOG, unpack_outcomes
from feature_store.schema import FeatureSchema
from feature_store.vectors import schema_key

log = structlog.get_logger()

CLAIM_AFTER = 60.0
"""Seconds after which what a consumer holds is given to another one."""

Tables = list[tuple[LogTable, pa.Table]]
Convert = Callable[[Sequence[Entry]], Awaitable[Tables]]


class Unreadable(Exception):
    """An entry that this software can't read now; another version may."""


class Consumer:
    """One of the consumers that share the log. `written` counts rows by table, `unreadable` entries that
    stay in the stream because they can't be read."""

    def __init__(self, client: Client, folder: LogFolder, claim_after: float = CLAIM_AFTER) -> None:
        self._client, self._folder = client, folder
        name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._streams: tuple[tuple[EntryStream, Convert], ...] = (
            (EntryStream(client, DECISION_LOG, name, claim_after), self._decisions),
            (EntryStream(client, OUTCOME_LOG, name, claim_after), self._outcomes),
        )
        self._schemas: dict[str, FeatureSchema] = {}
        self.written: Counter[str] = Counter()
        self.unreadable = 0

    async def drain(self) -> None:
        """Write all that nobody has had yet, or that others have held for too long.

        Raises:
            StoreUnavailable, OSError: the store or the disk does not take part; nothing is lost.
        """
        for stream, convert in self._streams:
            while (held := await stream.take()).entries:
                await self._write(stream, convert, held)
            if (held := await stream.claim()).entries:
                await self._write(stream, convert, held)

    async def leave(self) -> None:
        """Leave the group."""
        for stream, _ in self._streams:
            await stream.leave()

    async def _write(self, stream: EntryStream, convert: Convert, held: Held) -> None:
        """Write what is held. If some of it can't be read, find out which: the rest is written."""
        try:
            tables = await convert(held.entries)
        except (Unreadable, ValueError) as error:  # a DecodeError is a ValueError
            if len(held.entries) > 1:
                for half in held.halves():
                    await self._write(stream, convert, half)
                return
            self.unreadable += 1
            log.error("log_entry_unreadable", stream=stream.key, entry=held.entries[0].id, reason=str(error))
            return
        for table, rows in tables:
            self.written[table.name] += self._folder.add(table, rows, held.entries[0].id, held.shared)
        await stream.done(held.entries)

    async def _decisions(self, entries: Sequence[Entry]) -> Tables:
        """Decisions before what they have offered; those of two feature schemas do not share a table."""
        decided: dict[str, list[DecisionEntry]] = {}
        for entry in entries:
            one = DecisionEntry.unpack(entry.packed)
            decided.setdefault(one.features, []).append(one)
        schemas = {fingerprint: await self._schema(fingerprint) for fingerprint in decided}
        tables: Tables = [(DECISIONS, decision_rows(alike, schemas[name])) for name, alike in decided.items()]
        return [*tables, *((OFFERS, offer_rows(alike)) for alike in decided.values())]

    async def _outcomes(self, entries: Sequence[Entry]) -> Tables:
        happened = [(one, entry.added_at) for entry in entries for one in unpack_outcomes(entry.packed)]
        return [(OUTCOMES, outcome_rows(happened))]

    async def _schema(self, fingerprint: str) -> FeatureSchema:
        """The feature schema of a fingerprint, which stays in the folder from its first entry on."""
        if fingerprint not in self._schemas:
            found = self._folder.schema(fingerprint)
            if found is None:
                [definition] = await self._client.run([("GET", schema_key(fingerprint))])
                if isinstance(definition, Exception):
                    raise StoreUnavailable(str(definition))
                if definition is None:
                    raise Unreadable(
                        f"nobody has left the definition of its feature schema {fingerprint} in the store"
                    )
                found = self._folder.keep_schema(fingerprint, definition)
            self._schemas[fingerprint] = found
        return self._schemas[fingerprint]
