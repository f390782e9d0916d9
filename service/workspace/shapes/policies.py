"""The shape of policies.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from service.workspace.shapes.arbitration import ArbitrationSections
from service.workspace.shapes.basics import Document, Name
from service.workspace.shapes.contact import ContactPoliciesDocument
from service.workspace.shapes.exploration import ExplorationDocument
from service.workspace.shapes.slate import SlateDocument
from service.workspace.shapes.volumes import VolumeLimitDocument


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


class PoliciesDocument(ArbitrationSections):
    """policies.yaml"""

    conditions: dict[Name, str] = {}
    eligibility: list[RuleDocument] = []
    applicability: list[RuleDocument] = []
    suitability: list[RuleDocument] = []
    consent: dict[Name, PurposeDocument] = {}
    contact_policies: ContactPoliciesDocument = ContactPoliciesDocument()
    exploration: ExplorationDocument | None = None
    emergency_exclusion: list[str] = []
    volume_limits: list[VolumeLimitDocument] = []
    slate: SlateDocument = SlateDocument()
