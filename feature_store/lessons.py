"""Lessons: what outcomes teach of the actions that were shown, counted once for all workers.

What there is to count goes into a stream, in the round trip in which outcomes become durable. Whoever comes
first folds it into the counts of cells, an action in a channel as one model predicts it, and moves a cursor
in the same step: of two who fold the same entries one comes too late, and nothing counts twice. An entry
may be there twice, and offers may be reported several times: the hash of the customer remembers by which
entry each was first counted, so a fold that was cut short can be done again.

`arb:lessons` is the stream, `arb:learned` a hash of a cell's blocks by its number, with the `cursor`.
"""

import hashlib
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from feature_store.blocks import NOTHING, Blocks, Count, Length, counted, unpacked
from feature_store.client import Client, Command, all_good
from feature_store.keys import customer_key
from feature_store.script import Script, run_calls

log = structlog.get_logger()

STREAM, LEARNED, CURSOR, FIELD = b"arb:lessons", b"arb:learned", b"cursor", b"lessons"
MOST_ENTRIES = 1_000_000
"""That the stream keeps, about, if nobody folds it."""
MOST_READ, MOST_AT_ONCE = 100, 2_000
"""Entries that are read for one fold, and reports that are counted in it, unless a single entry has more."""
WITHIN = 10.0
"""Seconds for a fold's round trips: nobody waits for them."""
FORGOTTEN_AFTER = 90 * 86_400.0
"""Seconds after the last decision of a cell."""
SHOWN, RESPONDED, SHOWN_AS_OFFERED = 1, 2, 4
"""What is said of an offer; together they are added up. A channel that reports no impressions shows what it
offers."""

_BEGINNING = b"0-0"
_IN_MILLISECOND = 4096
"""Entries of one millisecond: a number of entry and millisecond has to be an exact float."""


class Report(msgspec.Struct, frozen=True, array_like=True):
    """What a channel says of one offer: `said` of it, `predicted` and decided at a time in epoch seconds, for
    a cell whose blocks are of a `length`. It is remembered `until` it can't be said again."""

    cell: int
    length: Length
    decided_at: float
    predicted: float
    said: int
    customer: str
    offer: bytes
    until: float


class Showing(msgspec.Struct, frozen=True, array_like=True):
    """Some offers of one cell in a channel that shows what it offers."""

    cell: int
    length: Length
    decided_at: float
    number: int
    expected: float


class Lessons(msgspec.Struct, frozen=True, array_like=True):
    """One entry of the stream."""

    reports: list[Report] = []
    showings: list[Showing] = []

    def add(self) -> Command:
        """The command that leaves them in the stream."""
        return ("XADD", STREAM, "MAXLEN", "~", MOST_ENTRIES, "*", FIELD, _encode(self))


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Lessons).decode


def offer_id(decision_id: str, placement: str, action: str) -> bytes:
    """What an offer is known by among those of its customer, 8 bytes."""
    text = f"{decision_id}\0{placement}\0{action}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


MARK = Script("""
local id, number, said = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local marks, kept, shown, responded = redis.call('HGET', KEYS[1], 'x') or '', {}, 0, 0
for at = 1, #marks, 32 do
  local till, by_showing, by_response = struct.unpack('<ddd', marks, at + 8)
  if string.sub(marks, at, at + 7) == id then shown, responded = by_showing, by_response
  elseif till > tonumber(ARGV[5]) then kept[#kept + 1] = string.sub(marks, at, at + 31) end
end
if said % 2 == 1 and shown == 0 then shown = number end
if said % 4 >= 2 and responded == 0 then responded = number end
kept[#kept + 1] = id .. struct.pack('<ddd', tonumber(ARGV[4]), shown, responded)
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'x', table.concat(kept)) end
local whole = responded > 0 and (shown > 0 or said >= 4)
return {shown == number and 1 or 0, whole and math.max(shown, responded) == number and 1 or 0}
""")
"""Arguments: the id of an offer, the number of an entry, what it says of it, until when it is remembered, and
the time now. A mark has 32 bytes: the id, that time, and the numbers of the entries that were first to say
that it was shown, and responded to (0: none). Returns whether the entry is the first to say that it was
shown, and the one that makes it known that what was shown was responded to."""

COMMIT = Script("""
if (redis.call('HGET', KEYS[1], 'cursor') or '0-0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'cursor', ARGV[2])
for at = 3, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1]) end
return 1
""")
"""Arguments: the cursor that is expected and the new one, then fields and values. Returns 0 and does nothing
if the cursor is not the expected one."""


_Entry = tuple[bytes, Lessons]
"""Of the stream, with its id."""
_Counts = dict[int, tuple[Length, list[Count]]]
"""By cell, the length of its blocks and what is to be counted."""


class Classroom:
    """The lessons in one store. Every method raises `StoreUnavailable` when the store is away."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def add(self, lessons: Lessons) -> None:
        """Leave lessons that come with no outcomes."""
        all_good(await self._client.run([lessons.add()]))

    async def fold(self) -> bool:
        """Count the next entries of the stream; whether there were any that nobody else has counted."""
        cursor = await self._cursor()
        [found] = await self._run([("XRANGE", STREAM, b"(" + cursor, "+", "COUNT", MOST_READ)])
        if not found:
            return False
        entries = _some([(id_, _read(id_, fields)) for id_, fields in found])
        last = entries[-1][0]
        fields = await self._updated(await self._counts(entries))
        [committed] = await self._call(COMMIT, [COMMIT.call(LEARNED, cursor, last, *fields)])
        if committed:
            milliseconds, _, number = last.partition(b"-")
            following = b"%b-%d" % (milliseconds, int(number) + 1)
            await self._run([("XTRIM", STREAM, "MINID", following)])
        return bool(committed)

    async def learned(self, seen: bytes | None = None) -> tuple[bytes, Mapping[int, Blocks]] | None:
        """The cursor and the blocks of every cell; None where the cursor is the one that was `seen`."""
        if await self._cursor() == seen:
            return None
        [fields] = await self._run([("HGETALL", LEARNED)])
        kept = dict(zip(fields[::2], fields[1::2], strict=True))
        cursor = kept.pop(CURSOR, _BEGINNING)
        cells = {int(name): unpacked(blocks) for name, blocks in kept.items()}
        over = [cell for cell, blocks in cells.items() if blocks["until"][-1] < time.time() - FORGOTTEN_AFTER]
        if over:
            await self._run([("HDEL", LEARNED, *over)])
        return cursor, cells

    async def _cursor(self) -> bytes:
        """The last entry that is counted."""
        [cursor] = await self._run([("HGET", LEARNED, CURSOR)])
        return cursor or _BEGINNING

    async def _counts(self, entries: Sequence[_Entry]) -> _Counts:
        """What entries add to each cell."""
        counts: _Counts = {}
        for _, lessons in entries:
            for one in lessons.showings:
                _, of_cell = counts.setdefault(one.cell, (one.length, []))
                of_cell.append(Count(one.decided_at, one.number, one.expected, 0.0))
        told = [(_number(id_), report) for id_, lessons in entries for report in _together(lessons.reports)]
        now = time.time()
        calls = [MARK.call(customer_key(r.customer), r.offer, n, r.said, r.until, now) for n, r in told]
        marked = await self._call(MARK, calls) if calls else []
        for (_, report), (shown, responded) in zip(told, marked, strict=True):
            if shown or responded:
                _, of_cell = counts.setdefault(report.cell, (report.length, []))
                of_cell.append(Count(report.decided_at, shown, shown * report.predicted, responded))
        return counts

    async def _updated(self, counts: _Counts) -> list[Any]:
        """The fields of the cells that are changed by counts, each behind its name."""
        if not counts:
            return []
        [stored] = await self._run([("HMGET", LEARNED, *counts)])
        fields: list[Any] = []
        for (cell, (length, more)), blocks in zip(counts.items(), stored, strict=True):
            before = NOTHING if blocks is None else unpacked(blocks)
            fields += [cell, counted(before, more, length).tobytes()]
        return fields

    async def _run(self, commands: Sequence[Command]) -> list[Any]:
        return all_good(await self._client.run(commands, WITHIN))

    async def _call(self, script: Script, calls: Sequence[Command]) -> list[Any]:
        return all_good(await run_calls(self._client, script, calls, within=WITHIN))


def _some(entries: Sequence[_Entry]) -> Sequence[_Entry]:
    """The first entries: as many as have `MOST_AT_ONCE` reports, or one that has more."""
    reports = 0
    for place, (_, lessons) in enumerate(entries):
        reports += len(lessons.reports)
        if place and reports > MOST_AT_ONCE:
            return entries[:place]
    return entries


def _together(reports: Iterable[Report]) -> Collection[Report]:
    """All that one entry says of an offer as one report."""
    found: dict[tuple[str, bytes], Report] = {}
    for report in reports:
        key = report.customer, report.offer
        said = report.said | (found[key].said if key in found else 0)
        found[key] = msgspec.structs.replace(report, said=said)
    return found.values()


def _number(id_: bytes) -> int:
    """The number of an entry: they rise."""
    milliseconds, _, number = id_.partition(b"-")
    return int(milliseconds) * _IN_MILLISECOND + int(number)


def _read(id_: bytes, fields: Sequence[bytes]) -> Lessons:
    """The lessons of an entry; none, if this software can't read it."""
    try:
        return _decode(fields[1])
    except msgspec.DecodeError as error:
        log.error("lesson_unreadable", entry=id_.decode(), reason=str(error))
        return Lessons()
