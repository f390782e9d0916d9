"""What the shapes of all files are made of."""

import re
from datetime import date, datetime
from typing import Annotated

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    field_validator,
)

from feature_store.feature import FIRST_SECOND, LAST_SECOND, epoch_seconds

NAME = r"[a-z][a-z0-9_]{0,63}"
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Percent = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Probability = Annotated[float, Field(gt=0, le=1)]
Moment = AwareDatetime | date
ONE_DAY = 86_400.0
_CENTURY = 36_525 * ONE_DAY
_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": ONE_DAY}


def _seconds(value: object) -> float:
    """A time such as 90s, 15m, 12h or 30d in seconds."""
    written = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", value) if isinstance(value, str) else None
    if written is None:
        raise ValueError(f"must be a number and a unit, such as 90s, 15m, 12h or 30d, not {value!r}")
    seconds = int(written[1]) * _UNITS[written[2]]
    if seconds > _CENTURY:
        raise ValueError(f"must be at most a hundred years (36525d), not {value}")
    return seconds


Duration = Annotated[float, PlainValidator(_seconds)]


class Document(BaseModel):
    """Nothing is written in a workspace that nobody reads: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Scoped(Document):
    """What an entry covers: without issue, group and action the whole catalogue, without channels all."""

    issue: str | None = None
    group: str | None = None
    action: str | None = None
    channels: Annotated[list[str], Field(min_length=1)] | None = None


class Dated(Document):
    """What holds from a start until an end, dates or times; without them always."""

    start: Moment | None = None
    end: Moment | None = None

    @field_validator("start", "end", mode="before")
    @classmethod
    def _has_an_offset(cls, value: object) -> object:
        if isinstance(value, datetime) and value.tzinfo is None:
            raise ValueError(f"must have an offset, such as {value.isoformat()}Z, or be a date")
        if value is not None and not isinstance(value, date):
            raise ValueError(
                "must be a date such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z, unquoted"
            )
        return value

    @property
    def starts_at(self) -> float:
        """Epoch seconds; a date begins at midnight UTC. What lies before year 1 there is always."""
        start = float("-inf") if self.start is None else epoch_seconds(self.start)
        return start if start >= FIRST_SECOND else float("-inf")

    @property
    def ends_at(self) -> float:
        """Epoch seconds, exclusive; a date includes its whole day. What lies after year 9999 is never."""
        if self.end is None:
            return float("inf")
        end = epoch_seconds(self.end) + (0.0 if isinstance(self.end, datetime) else ONE_DAY)
        return end if end <= LAST_SECOND else float("inf")
