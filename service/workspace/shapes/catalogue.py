"""The shapes of channels.yaml and actions/*.yaml."""

from typing import Annotated, Any, Literal

from pydantic import Field

from service.workspace.shapes.basics import Dated, Document, Duration, Name, Percent, Probability
from service.workspace.shapes.offers import OfferDocument
from service.workspace.shapes.quantities import AmountOrFormula, BoolOrRule, SignedOrFormula
from service.workspace.shapes.rules import Covered


class PlacementDocument(Document):
    limit: Annotated[int, Field(ge=1, le=100)] = 1
    description: str = ""


class ChannelDocument(Document):
    direction: Literal["inbound", "outbound"] = "inbound"
    reports_impressions: bool = False
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
    reasons: dict[str, Any] = {}


class ActionDocument(Covered, Dated):
    title: str = ""
    description: str = ""
    active: bool = True
    value: AmountOrFormula = 1.0
    customer_value: SignedOrFormula = 0.0
    mandatory: BoolOrRule = False
    lever: Percent = 0.0
    outcome_window: Duration | None = None
    model: str | None = None
    propensity: Probability | None = None
    evidence: Annotated[float, Field(ge=0, le=1e9)] | None = None
    owns: dict[str, str | list[str]] = {}
    tags: list[Name] = []
    fallback: bool = False
    offers: list[OfferDocument] = []
    reasons: dict[str, Any] = {}
    treatments: dict[Name, TreatmentDocument] = {}


class GroupDocument(Covered):
    lever: Percent = 0.0
    outcome_window: Duration | None = None
    description: str = ""
    model: str | None = None
    actions: dict[Name, ActionDocument] = {}


class IssueDocument(Covered):
    """A file of actions/: one business issue."""

    issue: Name
    lever: Percent = 0.0
    outcome_window: Duration | None = None
    description: str = ""
    model: str | None = None
    groups: dict[Name, GroupDocument] = {}
