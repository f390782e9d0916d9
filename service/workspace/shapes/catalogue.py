"""The shapes of channels.yaml and actions/*.yaml."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from feature_store.feature import FIRST_SECOND, LAST_SECOND, epoch_seconds
from service.workspace.shapes.basics import ONE_DAY, Amount, Document, Moment, Name, Percent, Probability
from service.workspace.shapes.rules import Covered


class PlacementDocument(Document):
    limit: Annotated[int, Field(ge=1, le=100)] = 1
    description: str = ""


class ChannelDocument(Document):
    direction: Literal["inbound", "outbound"] = "inbound"
    description: str = ""
    placements: Annotated[dict[Name, PlacementDocument], Field(min_length=1)]


class ChannelsDocument(Document):
    """channels.yaml; `outcomes` declares outcomes beside the standard ones, each with its description."""

    channels: Annotated[dict[Name, ChannelDocument], Field(min_length=1)]
    outcomes: dict[Name, str] = {}


class TreatmentDocument(Covered):
    channel: str
    placements: list[str] | None = None
    active: bool = True
    content: dict[str, Any] = {}


class ActionDocument(Covered):
    title: str = ""
    description: str = ""
    active: bool = True
    start: Moment | None = None
    end: Moment | None = None
    value: Amount = 1.0
    lever: Percent = 0.0
    model: str | None = None
    propensity: Probability | None = None
    owns: dict[str, str | list[str]] = {}
    treatments: dict[Name, TreatmentDocument] = {}

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


class GroupDocument(Covered):
    lever: Percent = 0.0
    description: str = ""
    model: str | None = None
    actions: dict[Name, ActionDocument] = {}


class IssueDocument(Covered):
    """A file of actions/: one business issue."""

    issue: Name
    lever: Percent = 0.0
    description: str = ""
    model: str | None = None
    groups: dict[Name, GroupDocument] = {}
