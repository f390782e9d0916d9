"""One stream of the store, shared by the consumers of a group: each entry goes to one of them, and to another
one when the first has been silent for too long."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from feature_store.client import Client, Command, StoreUnavailable

GROUP = "log"
COUNT = 32
"""Entries of one reply: the server answers nobody else meanwhile."""
MOST_BYTES = 16_000_000
"""Of entries that are held at a time; the last reply may go beyond it."""
WITHIN = 30.0
"""Seconds for a reply."""


_BACKLOG = """\
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
return {redis.call('XLEN', KEYS[1]), first and first[1]}
"""


class Entry(NamedTuple):
    """An entry: its id in the stream, and its one value."""

    id: str
    packed: bytes

    @property
    def added_at(self) -> float:
        """Epoch seconds at which the store has taken it."""
        return int(self.id.partition("-")[0]) / 1000


@dataclass(frozen=True)
class Held:
    """Entries that this consumer holds, since `taken_at` on the monotonic clock; `again`: another consumer
    held them before and may have written some."""

    entries: Sequence[Entry]
    taken_at: float
    again: bool
    claim_after: float

    def halves(self) -> "tuple[Held, Held]":
        """The first and the second half of the entries."""
        middle = len(self.entries) // 2
        return replace(self, entries=self.entries[:middle]), replace(self, entries=self.entries[middle:])

    def shared(self) -> bool:
        """Whether somebody else may have had them, or have them by now."""
        return self.again or time.monotonic() - self.taken_at > self.claim_after / 2


class EntryStream:
    """A stream as one consumer of the group sees it.

    Every method raises `StoreUnavailable` when the store is away, too slow, or refuses.
    """

    def __init__(self, client: Client, key: str, consumer: str, claim_after: float) -> None:
        """After `claim_after` seconds another consumer may take what this one holds."""
        self.key = key
        self._client, self._consumer, self._claim_after = client, consumer, claim_after

    async def take(self) -> Held:
        """Entries that nobody has had yet."""
        began = time.monotonic()
        entries: list[Entry] = []
        size = 0
        while size < MOST_BYTES:
            reply = await self._run(
                "XREADGROUP", "GROUP", GROUP, self._consumer, "COUNT", COUNT, "STREAMS", self.key, ">"
            )
            found = _entries(reply[0][1]) if reply else []
            entries += found
            size += sum(len(entry.packed) for entry in found)
            if len(found) < COUNT:
                break
        return Held(entries, began, False, self._claim_after)

    async def claim(self) -> Held:
        """Entries that a consumer has held for too long."""
        began = time.monotonic()
        entries: list[Entry] = []
        size, cursor = 0, b"0-0"
        idle = round(self._claim_after * 1000)
        while size < MOST_BYTES:
            cursor, found, *_ = await self._run(
                "XAUTOCLAIM", self.key, GROUP, self._consumer, idle, cursor, "COUNT", COUNT
            )
            entries += _entries(found)
            size = sum(len(entry.packed) for entry in entries)
            if cursor == b"0-0":
                break
        return Held(entries, began, True, self._claim_after)

    async def done(self, entries: Sequence[Entry]) -> None:
        """These are safe elsewhere: the stream may forget them."""
        if entries:
            ids = [entry.id for entry in entries]
            replies = await self._client.run_at_once(
                [("XDEL", self.key, *ids), ("XACK", self.key, GROUP, *ids)], WITHIN
            )
            _good(replies)

    async def leave(self) -> None:
        """Take this consumer out of the group, unless it still holds something."""
        pending = await self._run("XPENDING", self.key, GROUP, "-", "+", 1, self._consumer)
        if not pending:
            await self._run("XGROUP", "DELCONSUMER", self.key, GROUP, self._consumer)

    async def _run(self, *command: object) -> Any:
        """The reply to a command, of a group that is made where there is none."""
        make: Command = ("XGROUP", "CREATE", self.key, GROUP, "0", "MKSTREAM")
        made, reply = await self._client.run([make, command], WITHIN)
        if isinstance(made, StoreUnavailable):
            raise made
        return _good([reply])[0]


def _entries(found: Sequence[Any]) -> list[Entry]:
    """The entries of a reply; one that was trimmed meanwhile has no fields."""
    return [Entry(id_.decode(), fields[1]) for id_, fields in filter(None, found) if fields]


def _good(replies: Sequence[Any]) -> Sequence[Any]:
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply if isinstance(reply, StoreUnavailable) else StoreUnavailable(str(reply))
    return replies


class Backlog(NamedTuple):
    """How many entries of a stream are not safe in files yet, and the epoch seconds at which the oldest was
    added, None where there is none."""

    entries: int
    oldest: float | None


async def backlog(client: Client, key: str) -> Backlog:
    """What waits in a stream.

    Raises:
        StoreUnavailable: the store is away.
    """
    ((entries, *first),) = _good(await client.run([("EVAL", _BACKLOG, 1, key)], WITHIN))
    found = [Entry(id_.decode(), b"").added_at for id_ in first if id_]
    return Backlog(entries, found[0] if found else None)
