"""The shape of contact policies."""

import re
from typing import Annotated, Literal

from pydantic import Field, PlainValidator

from feature_store.history import MAX_RECORDS
from service.decisioning.counting import Per
from service.decisioning.quiet_hours import DAY
from service.workspace.shapes.basics import Document, Duration, Name, Scoped

Number = Annotated[int, Field(ge=1, le=MAX_RECORDS)]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _minute(value: object) -> int:
    """A time of day such as 21:00 in minutes; 24:00 is the end of the day."""
    written = re.fullmatch(r"([01][0-9]|2[0-4]):([0-5][0-9])", value) if isinstance(value, str) else None
    minute = int(written[1]) * 60 + int(written[2]) if written else DAY + 1
    if minute > DAY:
        hint = "" if isinstance(value, str) else " (put it in quotes)"
        raise ValueError(f'must be a time of day such as "21:00", not {value!r}{hint}')
    return minute


TimeOfDay = Annotated[int, PlainValidator(_minute)]


class CountedDocument(Scoped):
    """What a policy covers, and what it counts: outcomes of the covered actions, in the covered channels."""

    name: Name
    description: str = ""
    of: Annotated[list[str], Field(min_length=1)]
    per: Per
    treatment: str | None = None
    unit: Literal["customer", "account"] = "customer"
    without_history: Literal["suppress", "allow"]


class CapDocument(CountedDocument):
    """At most so many in any time of that length."""

    at_most: Number
    within: Duration
    reserve: Duration | None = None


class GapDocument(CountedDocument):
    """At least so long from one to the next."""

    at_least: Duration
    reserve: Duration | None = None

    @property
    def at_most(self) -> int:
        """It is a cap of one..."""
        return 1

    @property
    def within(self) -> float:
        """... in that time."""
        return self.at_least


class PauseDocument(CountedDocument):
    """A rest after so many."""

    after: Number
    within: Duration | None = None
    pause: Duration


class QuietHoursDocument(Scoped):
    """From when to when nothing is said; a timezone is a zone, or a feature that names the customer's."""

    name: Name
    description: str = ""
    start: TimeOfDay = Field(0, alias="from")
    end: TimeOfDay = Field(DAY, alias="to")
    days: Annotated[list[Weekday], Field(min_length=1)] = list(WEEKDAYS)
    timezone: str
    otherwise: str | None = None


class ContactPoliciesDocument(Document):
    """How often, how soon again and at what hours a customer may be addressed."""

    caps: list[CapDocument] = []
    pauses: list[PauseDocument] = []
    gaps: list[GapDocument] = []
    quiet_hours: list[QuietHoursDocument] = []
