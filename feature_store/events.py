"""Events in the store: logged, and then counted once in the state of their customer, in one round trip."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from feature_store.aggregates import Aggregates, Misfit, seen_too
from feature_store.client import Client, Command, all_good
from feature_store.event import ID_BYTES, MOST_ID_BYTES, REMEMBERED, Event, pack_events
from feature_store.event_scripts import APPLY
from feature_store.keys import customer_key
from feature_store.script import Script, run_calls
from feature_store.visitors import Visitors

EVENT_LOG = "arb:events"
IDS = b"m"
"""Field of a customer's hash: the ids of the last events, each with the time at which it is forgotten."""

_APPLY = Script(APPLY)
_UNTIL = struct.Struct(">I")
_ID_AND_UNTIL = ID_BYTES + _UNTIL.size


class Applied(NamedTuple):
    """What became of an event: whether it was new, and what of it could not be used."""

    new: bool
    misfits: Sequence[Misfit] = ()


@dataclass
class _Lot:
    """Events of one owner that are applied together: which they are among all, and what each adds."""

    owner: str
    rows: list[int] = field(default_factory=list)
    words: list[bytes] = field(default_factory=list)


class Events:
    """The events in one store. Every method raises `StoreUnavailable` when the store is away."""

    def __init__(self, client: Client, of_schema: Aggregates, *, ttl: int, log_length: int) -> None:
        """`ttl` is for how many seconds a customer lives from their last event on; 0 is for ever.

        `log_length` is about how many entries the log keeps; without any, there is none.
        """
        self._client = client
        self._aggregates = of_schema
        self._ttl, self._log_length = ttl, log_length
        self.visitors = Visitors(client, ttl)

    async def apply(self, events: Sequence[Event], now: float) -> list[Applied]:
        """Log events and add each to the state of its owner.

        A visitor's who has become a customer are the customer's. When this fails, call it again with the same
        events: each counts once, and the log, whose readers drop what they have seen by `message_id`, holds
        each at least once.
        """
        if not events:
            return []
        added = [self._aggregates.records(event) for event in events]
        lots = _lots([event.owner for event in events], events, added)
        news = [False] * len(events)
        replies = await self._run(lots, now, self._log(events))
        redirected = [(lot, reply) for lot, reply in zip(lots, replies, strict=True) if _is_link(reply)]
        for lot, reply in zip(lots, replies, strict=True):
            if not _is_link(reply):
                _mark(news, lot, reply)
        if redirected:
            await self._apply_elsewhere(redirected, events, news, now)
        return [Applied(new, misfits) for new, (_, misfits) in zip(news, added, strict=True)]

    async def _apply_elsewhere(
        self, redirected: Sequence[tuple[_Lot, Any]], events: Sequence[Event], news: list[bool], now: float
    ) -> None:
        """Apply what visitors did who have become customers; a merger that was not ended is ended first."""
        for lot, (link, merger) in redirected:
            lot.owner = link.decode("utf-8", "surrogatepass")
            if merger:
                await self.visitors.end_merger(events[lot.rows[0]].anonymous_id or "", lot.owner, now)
        lots = [lot for lot, _ in redirected]
        for lot, reply in zip(lots, await self._run(lots, now), strict=True):
            _mark(news, lot, reply)

    async def known(self, owner: str, events: Sequence[Event]) -> list[bool]:
        """Which of the events have been counted under that id."""
        [ids] = all_good(await self._client.run([("HGET", customer_key(owner), IDS)]))
        return [_holds(ids or b"", event.key) for event in events]

    def foreseen(
        self,
        states: Sequence[bytes | None],
        ids: Sequence[bytes | None],
        events: Mapping[int, Sequence[Event]],
    ) -> list[bytes | None]:
        """The states of customers with events that are not stored; those of each by its place."""
        found = list(states)
        for row, some in events.items():
            known = ids[row] or b""
            new = {event.key: event for event in reversed(some) if not _holds(known, event.key)}
            found[row] = seen_too(states[row], [self._aggregates.records(e)[0] for e in new.values()])
        return found

    async def _run(self, lots: Sequence[_Lot], now: float, before: Sequence[Command] = ()) -> list[Any]:
        until = _UNTIL.pack(int(now) + REMEMBERED)
        calls = [
            _APPLY.call(customer_key(lot.owner), self._ttl, int(now), until, MOST_ID_BYTES, *lot.words)
            for lot in lots
        ]
        return all_good(await run_calls(self._client, _APPLY, calls, before))[len(before) :]

    def _log(self, events: Sequence[Event]) -> list[Command]:
        if not self._log_length:
            return []
        packed = pack_events(events)
        return [("XADD", EVENT_LOG, "MAXLEN", "~", self._log_length, "*", "events", packed)]


def _lots(
    owners: Sequence[str], events: Sequence[Event], added: Sequence[tuple[bytes, Sequence[Misfit]]]
) -> list[_Lot]:
    lots: dict[str, _Lot] = {}
    for row, (owner, event, (records, _)) in enumerate(zip(owners, events, added, strict=True)):
        lot = lots.get(owner)
        if lot is None:
            lot = lots[owner] = _Lot(owner)
        lot.rows.append(row)
        lot.words += (event.key, records)
    return list(lots.values())


def _is_link(reply: Any) -> bool:
    return isinstance(reply, list)


def _mark(news: list[bool], lot: _Lot, reply: bytes) -> None:
    for row, new in zip(lot.rows, reply, strict=True):
        news[row] = new == ord("1")


def _holds(ids: bytes, key: bytes) -> bool:
    at = ids.find(key)
    while at >= 0 and at % _ID_AND_UNTIL:
        at = ids.find(key, at + 1)
    return at >= 0
