"""What is kept of an aggregation: records that any number of events, in any order, add up to.

A record is a mark, a slot and a number. The mark names the aggregation by all that gives its numbers their
meaning, and says in itself how two records of it become one, so that states can be added up by who doesn't
know the aggregation:

    ADD      slot is the number of a bucket of time; numbers add up; the newest `keep` buckets stay
    SEEN     slot is the hash of a value, the number when it was seen last; the latest `keep` values stay
    DECAYED  one record: the binary logarithm of a sum of weights that double with every half-life
    LAST     one record: slot is the time of the latest event, the number what it said
"""

import hashlib
import json
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from feature_store.aggregate import Aggregate, Kind, alike
from feature_store.event import Event
from feature_store.feature import Feature, FeatureType, epoch_seconds
from feature_store.history import name_hash

RECORD = np.dtype([("mark", "<u8"), ("slot", "<f8"), ("number", "<f8")])
ADD, SEEN, DECAYED, LAST = range(4)
BUCKETS = 60
"""Into which a window is divided: a sum is right to a sixtieth of its window."""
MOST_VALUES = 100
"""Distinct values that are told apart."""

_LAYOUT = 1
_PACKED = struct.Struct("<Qdd")
_OPERATIONS = {Kind.DISTINCT: SEEN, Kind.DECAYED: DECAYED, Kind.LAST: LAST, Kind.RECENCY: LAST}
_KEEP = {ADD: BUCKETS, SEEN: MOST_VALUES, DECAYED: 1, LAST: 1}


class Unfit(ValueError):
    """A property can't be used as what it is declared to be."""


@dataclass(frozen=True)
class Tally:
    """The records of one aggregation; features that count the same share it."""

    mark: int
    operation: int
    aggregate: Aggregate
    type: FeatureType

    @property
    def bucket(self) -> float:
        """The seconds of a bucket."""
        return (self.aggregate.window or math.inf) / BUCKETS

    def wants(self, properties: Mapping[str, Any]) -> bool:
        """Whether an event with these properties counts."""
        where = self.aggregate.where
        return not where or all(
            any(alike(properties.get(name), value) for value in wanted) for name, wanted in where
        )

    def record(self, event: Event) -> bytes:
        """What an event adds.

        Raises:
            Unfit: its property is missing, or not what it must be.
        """
        return _PACKED.pack(self.mark, *_PLACES[self.aggregate.kind](self, event))

    def property_of(self, event: Event) -> Any:
        """The event's value of the property that is aggregated."""
        return event.properties.get(self.aggregate.of or "")


def tally_of(feature: Feature) -> Tally:
    """The tally that an aggregated feature is computed from."""
    aggregate = feature.aggregate
    assert aggregate is not None, "only aggregated features have tallies"  # noqa: S101
    operation = _OPERATIONS.get(aggregate.kind, ADD)
    meaning = {
        "layout": _LAYOUT,
        "number": _meaning(feature, aggregate),
        "events": aggregate.events,
        "property": aggregate.of,
        "where": aggregate.where,
        "half_life": aggregate.half_life,
        "window": aggregate.window,
    }
    text = json.dumps(meaning, sort_keys=True)
    name = hashlib.blake2b(text.encode(), digest_size=6, person=b"tally").digest()
    mark = int.from_bytes(bytes([operation, _KEEP[operation]]) + name, "little")
    return Tally(mark, operation, aggregate, feature.type)


def _meaning(feature: Feature, aggregate: Aggregate) -> str:
    """What the numbers are: a rate is a count, and told in another way."""
    if aggregate.kind is Kind.LAST:
        return f"last {feature.type}"
    return str(Kind.COUNT if aggregate.kind is Kind.RATE else aggregate.kind)


def _in_bucket(tally: Tally, event: Event) -> tuple[float, float]:
    return float(event.occurred_at // tally.bucket), 1.0


def _summed(tally: Tally, event: Event) -> tuple[float, float]:
    return float(event.occurred_at // tally.bucket), _number(tally.property_of(event))


def _seen(tally: Tally, event: Event) -> tuple[float, float]:
    return _hashed(tally.property_of(event)), event.occurred_at


def _weighed(tally: Tally, event: Event) -> tuple[float, float]:
    return 0.0, event.occurred_at / (tally.aggregate.half_life or math.inf)


def _last(tally: Tally, event: Event) -> tuple[float, float]:
    return event.occurred_at, _SAID[tally.type](tally.property_of(event))


def _happened(tally: Tally, event: Event) -> tuple[float, float]:
    return event.occurred_at, 0.0


_PLACES: Mapping[Kind, Callable[[Tally, Event], tuple[float, float]]] = {
    Kind.COUNT: _in_bucket,
    Kind.RATE: _in_bucket,
    Kind.SUM: _summed,
    Kind.DISTINCT: _seen,
    Kind.DECAYED: _weighed,
    Kind.LAST: _last,
    Kind.RECENCY: _happened,
}
"""The slot and the number of what an event adds."""


def _number(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST:
        return float(value)
    raise Unfit(f"must be a number of at most {_LARGEST:g}, not {_shown(value)}")


_LARGEST = 1e15
"""Of a number that is added up: beyond it a 64-bit float loses cents."""


def _hashed(value: Any) -> float:
    if not isinstance(value, str | int | float) or (value != value):
        raise Unfit(f"must be a text, a number or true or false, not {_shown(value)}")
    shown = float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    text = f"{type(shown).__name__}:{shown}".encode("utf-8", "surrogatepass")
    return float(int.from_bytes(hashlib.blake2b(text, digest_size=6).digest(), "little"))


def _flag(value: Any) -> float:
    if isinstance(value, bool):
        return float(value)
    raise Unfit(f"must be true or false, not {_shown(value)}")


def _level(value: Any) -> float:
    if isinstance(value, str):
        return float(name_hash(value))
    raise Unfit(f"must be a text, not {_shown(value)}")


def _moment(value: Any) -> float:
    try:
        return epoch_seconds(str(value))
    except (ValueError, OverflowError):
        raise Unfit(f"must be a time such as 2026-01-31T12:00:00Z, not {_shown(value)}") from None


_SAID: Mapping[FeatureType, Callable[[Any], float]] = {
    FeatureType.NUMBER: _number,
    FeatureType.FLAG: _flag,
    FeatureType.CATEGORY: _level,
    FeatureType.TIMESTAMP: _moment,
}


def _shown(value: Any) -> str:
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
