"""Periods in which something is counted: full hours, days where the business is, a campaign."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

HOUR = 3_600.0


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` until before `end`, in epoch seconds."""

    start: float
    end: float

    def has(self, now: float) -> bool:
        """Whether a time lies within it."""
        return self.start <= now < self.end

    def share(self, now: float) -> float:
        """How much of it has passed, from 0 to 1."""
        return min(max((now - self.start) / (self.end - self.start), 0.0), 1.0)


class Period(Protocol):
    """A kind of period; `kind` names it, as it is told to people and in keys of the store."""

    @property
    def kind(self) -> str: ...

    def span(self, now: float) -> Span:
        """The one that counts at a time in epoch seconds."""


@dataclass(frozen=True, slots=True)
class Hourly:
    """Each full hour."""

    kind: str = "hour"

    def span(self, now: float) -> Span:
        start = now // HOUR * HOUR
        return Span(start, start + HOUR)


@dataclass(frozen=True, slots=True)
class Daily:
    """Each day from midnight to midnight of a time zone: 23 or 25 hours when its clocks are changed."""

    zone: tzinfo = UTC
    kind: str = "day"

    def span(self, now: float) -> Span:
        today = datetime.fromtimestamp(now, self.zone).replace(
            hour=0, minute=0, second=0, microsecond=0, fold=0
        )
        return Span(today.timestamp(), (today + timedelta(days=1)).timestamp())


@dataclass(frozen=True, slots=True)
class Campaign:
    """One span, once."""

    dates: Span
    kind: str = "campaign"

    def span(self, now: float) -> Span:
        return self.dates
