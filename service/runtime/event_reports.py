"""Events as channels report them, and what they are by our clock."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from feature_store.aggregate_spec import LONGEST_WINDOW
from feature_store.documents import did_you_mean
from feature_store.event import Event
from feature_store.schema import FeatureSchema, Source
from service.runtime.faults import LONGEST_SHOWN, MOST_WARNINGS, Fault

CLOCK_SKEW = 300.0
"""Seconds by which an event may lie ahead of our clock, when it has been corrected: it counts as of now."""

ALMOST = 0.8
"""How like another a name is that is taken for a typing error, from 0 to 1, as difflib has it."""


class EventReport(msgspec.Struct, frozen=True, kw_only=True):
    """One event in the shape of the Segment spec."""

    message_id: str
    type: str
    event: str = ""
    customer_id: str | None = None
    anonymous_id: str | None = None
    properties: Mapping[str, Any] = {}
    traits: Mapping[str, Any] = {}
    timestamp: datetime | None = None
    sent_at: datetime | None = None

    def of(self, customer_id: str | None, anonymous_id: str | None) -> "EventReport":
        """The report, as one of somebody who is named beside it if it names nobody itself."""
        if self.customer_id is not None or self.anonymous_id is not None:
            return self
        return msgspec.structs.replace(self, customer_id=customer_id, anonymous_id=anonymous_id)


class Refused(NamedTuple):
    """Why an event can't be taken in; `reason` is a word for metrics."""

    reason: str
    faults: tuple[Fault, ...]


def received(report: EventReport, now: float, schema: FeatureSchema) -> Event | Refused:
    """The event that came in at `now`, or what is wrong with it."""
    occurred_at = _by_our_clock(report, now)
    if occurred_at > now + CLOCK_SKEW:
        why = "lies in the future; send sent_at by the same clock, and its error is taken out"
        return Refused("future", (Fault("timestamp", why),))
    if occurred_at < now - LONGEST_WINDOW:
        why = f"lies more than {LONGEST_WINDOW / 86_400:.0f} days back: no window reaches so far"
        return Refused("too_old", (Fault("timestamp", why),))
    event = Event(
        message_id=report.message_id,
        type=report.type,
        event=report.event,
        customer_id=report.customer_id,
        anonymous_id=report.anonymous_id,
        properties=report.properties,
        traits=report.traits,
        occurred_at=min(occurred_at, now),
        received_at=now,
    )
    faults = [*_unloggable(event), *(_trait_faults(schema, event.traits) if event.traits else ())]
    return Refused("unfit", tuple(faults)) if faults else event


def _by_our_clock(report: EventReport, now: float) -> float:
    """When it happened: as long before it came as it was before it was sent, by whatever clock that was."""
    if report.timestamp is None:
        return now
    if report.sent_at is None:
        return report.timestamp.timestamp()
    return now - (report.sent_at - report.timestamp).total_seconds()


def _unloggable(event: Event) -> list[Fault]:
    """What of an event the log can't hold."""
    try:
        msgspec.msgpack.encode((event.properties, event.traits))
    except (OverflowError, UnicodeEncodeError, RecursionError) as error:
        name = "traits" if event.type == "identify" else "properties"
        return [Fault(name, f"must be texts in UTF-8 and whole numbers of at most 64 bits: {error}")]
    return []


def fitting_traits(schema: FeatureSchema, traits: Mapping[str, Any]) -> dict[str, Any]:
    """The traits that are features of the profile."""
    known = {feature.name for feature in schema.by_source(Source.PROFILE)}
    return {name: value for name, value in traits.items() if name in known}


def unknown_traits(schema: FeatureSchema, traits: Iterable[str]) -> list[Fault]:
    """What is said of traits that are none."""
    known = [feature.name for feature in schema.by_source(Source.PROFILE)]
    strangers = [name for name in traits if name not in known]
    said = [
        Fault(f"traits.{name}", f"is not a profile feature, ignored{did_you_mean(name, known)}")
        for name in (name[:LONGEST_SHOWN] for name in strangers[:MOST_WARNINGS])
    ]
    if len(strangers) > MOST_WARNINGS:
        said.append(Fault("traits", f"{len(strangers) - MOST_WARNINGS} more are no profile features"))
    return said


def misspelt(schema: FeatureSchema, event: str) -> list[Fault]:
    """What is said of a name that is almost that of an event which features count. Others may be as they
    are: a channel reports more than what is counted."""
    meant = None if event in schema.counted_events else _almost(event, schema.counted_events)
    return [] if meant is None else [Fault("event", f"no feature counts it; did you mean '{meant}'?")]


@lru_cache(maxsize=1024)  # a channel sends the same few names all day
def _almost(name: str, names: frozenset[str]) -> str | None:
    lower = {known.lower(): known for known in sorted(names)}
    close = difflib.get_close_matches(name[:LONGEST_SHOWN].lower(), lower, n=1, cutoff=ALMOST)
    return lower[close[0]] if close else None


def _trait_faults(schema: FeatureSchema, traits: Mapping[str, Any]) -> Iterator[Fault]:
    for name, value in fitting_traits(schema, traits).items():
        try:
            schema.feature(name).encode(value)
        except ValueError as error:
            yield Fault(f"traits.{name}", str(error))
