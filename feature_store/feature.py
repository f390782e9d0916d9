"""One declared feature: its type, where its value comes from, and the columns of X that hold it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cached_property

from feature_store.aggregate import Aggregate
from feature_store.derivation import Derivation
from feature_store.documents import did_you_mean

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_SECOND = (datetime.min.replace(tzinfo=UTC) - _EPOCH).total_seconds()
"""Epoch seconds of the first moment of year 1, the earliest timestamp that can be shown."""
LAST_SECOND = (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - _EPOCH).total_seconds()
"""Epoch seconds of the last second of year 9999, the latest timestamp that can be shown."""

_MISSING = (math.nan,)


class FeatureType(StrEnum):
    """What kind of value a feature has."""

    NUMBER = "number"
    FLAG = "flag"
    CATEGORY = "category"
    SET = "set"
    TIMESTAMP = "timestamp"


class Source(StrEnum):
    """Where a value comes from: the stored profile, the stored behaviour, the request's context, or, derived,
    what these make when it is decided."""

    PROFILE = "profile"
    BEHAVIOUR = "behaviour"
    CONTEXT = "context"
    DERIVED = "derived"


STORED = (Source.PROFILE, Source.BEHAVIOUR)
"""What is kept of a customer."""
GIVEN = (*STORED, Source.CONTEXT)
"""What somebody has to say: all that is not derived."""


@dataclass(frozen=True)
class Feature:
    """A declared feature. `max_age` is in seconds; `default` is None where missing stays missing. With an
    `aggregate` it is computed from the customer's events."""

    name: str
    type: FeatureType
    source: Source
    default: object = None
    levels: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    max_age: float | None = None
    description: str = ""
    derivation: Derivation | None = None
    aggregate: Aggregate | None = None

    @property
    def width(self) -> int:
        """How many columns of X the feature takes: one, but for a set one per member."""
        return len(self.members) if self.type is FeatureType.SET else 1

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns."""
        if self.type is FeatureType.SET:
            return tuple(f"{self.name}={member}" for member in self.members)
        return (self.name,)

    @cached_property
    def codes(self) -> dict[str, int]:
        """The position of each level or member."""
        return {name: code for code, name in enumerate(self.levels or self.members)}

    def encode(self, value: object) -> Sequence[float]:
        """The value as the numbers of its columns; None is missing, which is NaN in all of them.

        Raises:
            ValueError: the value doesn't fit; the message says what would be right.
        """
        if value is None:
            return _MISSING * self.width
        return _ENCODERS[self.type](self, value)

    def decode(self, values: Sequence[float]) -> object:
        """The numbers of its columns as a JSON-ready value, None where it is missing: `encode` undone."""
        first = float(values[0])
        if math.isnan(first):
            return None
        match self.type:
            case FeatureType.NUMBER:
                return first
            case FeatureType.FLAG:
                return first != 0.0
            case FeatureType.CATEGORY:
                return self.levels[int(first)]
            case FeatureType.SET:
                return [member for member, value in zip(self.members, values, strict=True) if value]
            case FeatureType.TIMESTAMP:
                return iso_timestamp(first)


def iso_timestamp(seconds: float) -> str:
    """Epoch seconds as ISO-8601 in UTC, to the microsecond: `2026-01-31T12:00:00Z`."""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def epoch_seconds(moment: datetime | date | str) -> float:
    """A moment as epoch seconds. Without an offset it is UTC, without a time it is midnight.

    Raises:
        ValueError: a text that is not ISO-8601.
    """
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    elif not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH).total_seconds()


def _encode_number(feature: Feature, value: object) -> Sequence[float]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return (number,)
    raise ValueError(f"must be a finite number, not {_shown(value)}")


def _encode_flag(feature: Feature, value: object) -> Sequence[float]:
    if value is True:
        return (1.0,)
    if value is False:
        return (0.0,)
    raise ValueError(f"must be true or false, not {_shown(value)}")


def _encode_category(feature: Feature, value: object) -> Sequence[float]:
    code = feature.codes.get(value) if isinstance(value, str) else None
    if code is None:
        raise ValueError(f"must be one of {_listed(feature.levels)}, not {_named(value, feature.levels)}")
    return (float(code),)


def _encode_set(feature: Feature, value: object) -> Sequence[float]:
    if not isinstance(value, list | tuple | set | frozenset):
        raise ValueError(f"must be a list of {_listed(feature.members)}, not {_shown(value)}")
    flags = [0.0] * len(feature.members)
    for member in value:
        code = feature.codes.get(member) if isinstance(member, str) else None
        if code is None:
            raise ValueError(f"may hold {_listed(feature.members)}, not {_named(member, feature.members)}")
        flags[code] = 1.0
    return flags


def _encode_timestamp(feature: Feature, value: object) -> Sequence[float]:
    if isinstance(value, str | date):  # a datetime is a date
        try:
            seconds = epoch_seconds(value)
        except (ValueError, OverflowError):
            seconds = math.nan
        if FIRST_SECOND <= seconds <= LAST_SECOND:
            return (seconds,)
    raise ValueError(f"must be an ISO-8601 timestamp such as 2026-01-31T12:00:00Z, not {_shown(value)}")


_ENCODERS: dict[FeatureType, Callable[[Feature, object], Sequence[float]]] = {
    FeatureType.NUMBER: _encode_number,
    FeatureType.FLAG: _encode_flag,
    FeatureType.CATEGORY: _encode_category,
    FeatureType.SET: _encode_set,
    FeatureType.TIMESTAMP: _encode_timestamp,
}


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _named(value: object, names: Sequence[str]) -> str:
    return _shown(value) + did_you_mean(value, names)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > 8 else shown
