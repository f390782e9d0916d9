"""Taking in events: by our clock, durable before they are acknowledged, counted once."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from feature_store.event import Event
from feature_store.events import Applied
from feature_store.store import CustomerStore
from service import clock
from service.observability import metrics
from service.runtime.event_reports import (
    EventReport,
    Refused,
    fitting_traits,
    misspelt,
    received,
    unknown_traits,
)
from service.runtime.faults import Fault
from service.runtime.intake import Intake

TRACK = "track"
_of_type = cache(metrics.EVENTS.labels)
LATE = 3600.0
"""Seconds after which an event that comes is late."""


@dataclass(frozen=True, slots=True)
class EventReceipt:
    """What became of the events of one call; `warnings` has what of them could not be used, and `faults` the
    refused ones, both by their index."""

    accepted: int
    duplicates: int
    warnings: tuple[tuple[int, Fault], ...]
    faults: tuple[tuple[int, Fault], ...]


class EventIntake:
    """Checks events and adds them to what is known of their customers; `store` is swapped with its schema."""

    def __init__(self, store: CustomerStore, *, max_batch: int, max_waiting: int) -> None:
        self.store = store
        self._intake = Intake(self._apply, "apply_events", max_batch=max_batch, max_waiting=max_waiting)

    async def take(self, reports: Sequence[EventReport]) -> EventReceipt:
        """Take in the good ones among the reports; when this returns they are durable, and the next decision
        sees them.

        Raises:
            StoreUnavailable: nothing is acknowledged; the same call may be made again, each counts once.
            Overloaded: too many events are waiting.
        """
        checked = self.check(reports)
        events = {index: event for index, event in enumerate(checked) if isinstance(event, Event)}
        refused = {index: found for index, found in enumerate(checked) if isinstance(found, Refused)}
        applied = await self.apply(list(events.values()))
        new = sum(each.new for each in applied)
        return EventReceipt(
            accepted=new,
            duplicates=len(applied) - new,
            warnings=tuple(
                (index, said)
                for (index, event), result in zip(events.items(), applied, strict=True)
                for said in self.unused(event, result)
            ),
            faults=tuple((index, fault) for index, found in refused.items() for fault in found.faults),
        )

    def check(self, reports: Sequence[EventReport]) -> list[Event | Refused]:
        """The events that are reported now, and in the place of one that can't be taken in, why."""
        now = clock.now()
        checked = [received(report, now, self.store.schema) for report in reports]
        for reason, number in Counter(e.reason for e in checked if isinstance(e, Refused)).items():
            metrics.EVENTS_REFUSED.labels(reason).inc(number)
        return checked

    async def apply(self, events: list[Event]) -> list[Applied]:
        """Add events to what is known; raises like `take`."""
        applied = await self._intake.take(events)
        new = [event for event, result in zip(events, applied, strict=True) if result.new]
        for type_, number in Counter(event.type for event in new).items():
            _of_type(type_).inc(number)
        late = sum(event.received_at - event.occurred_at > LATE for event in new)
        if late:
            metrics.EVENTS_LATE.inc(late)
        if len(new) < len(applied):
            metrics.EVENT_DUPLICATES.inc(len(applied) - len(new))
        return applied

    def unused(self, event: Event, applied: Applied) -> list[Fault]:
        """What of an event could not be used."""
        said = [
            Fault(f"properties.{misfit.property}", f"{misfit.message}; left out of {misfit.feature}")
            for misfit in applied.misfits
        ]
        if event.type == TRACK:
            said += misspelt(self.store.schema, event.event)
        return said + unknown_traits(self.store.schema, event.traits) if event.traits else said

    async def drain(self) -> None:
        """Wait until every event that waits is applied."""
        await self._intake.drain()

    async def _apply(self, events: list[Event]) -> list[Applied]:
        now = clock.now()
        applied: list[Applied] = []
        for wave in _waves(events):
            applied += await self._apply_wave(wave, now)
        return applied

    async def _apply_wave(self, wave: Sequence[Event], now: float) -> list[Applied]:
        """Apply events of which none depends on another: what was tracked in one round trip, beside the
        others."""
        tracked = [event for event in wave if event.type == TRACK]
        others = [event for event in wave if event.type != TRACK]
        tracks, rest = map(
            iter,
            await asyncio.gather(
                self.store.events.apply(tracked, now),
                asyncio.gather(*(self._identify(event, now) for event in others)),
            ),
        )
        return [next(tracks) if event.type == TRACK else next(rest) for event in wave]

    async def _identify(self, event: Event, now: float) -> Applied:
        """Write traits and merge a visitor into a customer. All of it may be done again, and the event is
        known only when all is done."""
        store = self.store
        if (await store.events.known(event.owner, [event]))[0]:
            return Applied(new=False)
        traits = fitting_traits(store.schema, event.traits)
        if traits:
            await store.put(event.owner, traits, now=now)
        if event.customer_id is not None and event.anonymous_id is not None:
            await store.events.visitors.identify(event.anonymous_id, event.customer_id, now)
        return (await store.events.apply([event], now))[0]


def _waves(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """Runs of events that may be applied at the same time: who identifies a visitor comes behind what the
    visitor did before, and before what they do then."""
    start, seen, identified = 0, set[str](), set[str]()
    for place, event in enumerate(events):
        visitor = event.anonymous_id
        if visitor is None:
            continue
        if visitor in identified or (event.type != TRACK and visitor in seen):
            yield events[start:place]
            start, seen, identified = place, set(), set()
        seen.add(visitor)
        if event.type != TRACK:
            identified.add(visitor)
    yield events[start:]
