"""The shapes of a workspace's YAML files: what may be written in them, checked field by field."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal, NamedTuple

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


class InlineRule(NamedTuple):
    """A rule that stands with what it covers: its name if it has one, its place below the key, its text."""

    name: str | None
    loc: tuple[str | int, ...]
    text: str


def _inline_rules(value: object) -> tuple[InlineRule, ...]:
    """A rule in CEL, a list of them, or rules by name."""
    if isinstance(value, str):
        return (InlineRule(None, (), value),)
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return tuple(InlineRule(None, (index,), text) for index, text in enumerate(value))
    if isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
        for name in value:
            if not (isinstance(name, str) and re.fullmatch(NAME, name)):
                raise ValueError(f"{name!r} can't name a rule: lower-case letters, digits and _")
        return tuple(InlineRule(name, (name,), text) for name, text in value.items())
    raise ValueError("must be a rule in quotes, a list of rules, or rules by name")


InlineRules = Annotated[tuple[InlineRule, ...], PlainValidator(_inline_rules)]


class Covered(Document):
    """What engagement policies can stand with."""

    eligibility: InlineRules = ()
    applicability: InlineRules = ()
    suitability: InlineRules = ()


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


class RuleDocument(Document):
    """An engagement policy; without issue, group, action and treatment it covers the whole catalogue."""

    name: Name
    when: str
    description: str = ""
    issue: str | None = None
    group: str | None = None
    action: str | None = None
    treatment: str | None = None


class PurposeDocument(Document):
    """What consent is asked for: in which channels, for which issues (default: all), how a customer counts of
    whom nothing is known, and by channel a rule for what other systems know."""

    description: str = ""
    channels: Annotated[list[str], Field(min_length=1)]
    issues: Annotated[list[str], Field(min_length=1)] | None = None
    unknown: Literal["granted", "denied"]
    imported: dict[str, str] = {}


class PoliciesDocument(Document):
    """policies.yaml"""

    conditions: dict[Name, str] = {}
    eligibility: list[RuleDocument] = []
    applicability: list[RuleDocument] = []
    suitability: list[RuleDocument] = []
    consent: dict[Name, PurposeDocument] = {}
    emergency_exclusion: list[str] = []
    arbitration: ArbitrationDocument = ArbitrationDocument()
    context_weights: list[ContextWeightDocument] = []
