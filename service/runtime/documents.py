"""The shapes of a workspace's YAML files: what may be written in them, checked field by field."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, field_validator

from feature_store.feature import FIRST_SECOND, LAST_SECOND, epoch_seconds

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Percent = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Probability = Annotated[float, Field(gt=0, le=1)]
Moment = AwareDatetime | date
ONE_DAY = 86_400.0


class Document(BaseModel):
    """Nothing is written in a workspace that nobody reads: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


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


class TreatmentDocument(Document):
    channel: str
    placements: list[str] | None = None
    active: bool = True
    content: dict[str, Any] = {}


class ActionDocument(Document):
    title: str = ""
    description: str = ""
    active: bool = True
    start: Moment | None = None
    end: Moment | None = None
    value: Amount = 1.0
    lever: Percent = 0.0
    model: str | None = None
    propensity: Probability | None = None
    treatments: dict[Name, TreatmentDocument] = {}

    @field_validator("start", "end", mode="before")
    @classmethod
    def _has_an_offset(cls, value: object) -> object:
        if isinstance(value, datetime) and value.tzinfo is None:
            raise ValueError(f"must have an offset, such as {value.isoformat()}Z, or be a date")
        if value is not None and not isinstance(value, date):
            raise ValueError("must be a date such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z")
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


class GroupDocument(Document):
    lever: Percent = 0.0
    description: str = ""
    model: str | None = None
    actions: dict[Name, ActionDocument] = {}


class IssueDocument(Document):
    """A file of actions/: one business issue."""

    issue: Name
    lever: Percent = 0.0
    description: str = ""
    model: str | None = None
    groups: dict[Name, GroupDocument] = {}


class ArbitrationDocument(Document):
    propensity: bool = True
    context_weight: bool = True
    value: bool = True
    lever: bool = True


class ContextWeightDocument(Document):
    when: Annotated[dict[str, str | bool | float], Field(min_length=1)]
    issue: str
    group: str | None = None
    weight: Percent


class PoliciesDocument(Document):
    """policies.yaml"""

    arbitration: ArbitrationDocument = ArbitrationDocument()
    context_weights: list[ContextWeightDocument] = []
