"""The shape of experiments.yaml."""

import re
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, model_validator

from service.workspace.shapes.arbitration import ArbitrationSections
from service.workspace.shapes.basics import Dated, Document, Name, Percent
from service.workspace.shapes.exploration import ExplorationDocument


def share_of(value: object) -> Fraction:
    """A percentage as it is written, without rounding: neighbours must meet."""
    written = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,9})?) ?%", value) if isinstance(value, str) else None
    if written is None:
        raise ValueError(f"must be a percentage, such as 2% or 0.5%, not {value!r}")
    share = Fraction(written[1]) / 100
    if share > 1:
        raise ValueError(f"must be at most 100%, not {value}")
    return share


Share = Annotated[Fraction, PlainValidator(share_of)]


class WithholdDocument(Document):
    """What a control group is not offered."""

    issues: Annotated[list[str], Field(min_length=1)] = []
    groups: Annotated[list[str], Field(min_length=1)] = []
    actions: Annotated[list[str], Field(min_length=1)] = []

    @model_validator(mode="after")
    def _withholds_something(self) -> "WithholdDocument":
        if not (self.issues or self.groups or self.actions):
            raise ValueError("withholds nothing: name issues, groups or actions, or write 'everything'")
        return self


class LeversDocument(Document):
    """Levers in place of those of the catalogue, by issue, group and action."""

    issue: dict[str, Percent] = {}
    group: dict[str, Percent] = {}
    action: dict[str, Percent] = {}


class ConfigurationDocument(ArbitrationSections):
    """What a challenger decides by; what it does not name stays as everybody has it."""

    levers: LeversDocument = LeversDocument()
    exploration: ExplorationDocument | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "ConfigurationDocument":
        if not self.model_fields_set:
            raise ValueError("changes nothing: leave it out for an arm that is there to be compared with")
        return self


class ArmDocument(Document):
    """A part of the units, and what is different for them. An arm for which nothing is different is there to
    be compared with."""

    description: str = ""
    from_: Share = Field(Fraction(0), alias="from")
    share: Share
    withhold: Literal["everything"] | WithholdDocument | None = None
    conduct: (
        Literal["random_eligible", "propensity_only", "no_levers", "eligibility_only", "random_propensity"]
        | None
    ) = None
    configuration: ConfigurationDocument | None = None

    @model_validator(mode="after")
    def _decides_in_one_way(self) -> "ArmDocument":
        if self.conduct is not None and self.configuration is not None:
            raise ValueError("has a conduct and a configuration: which of them decides?")
        if not self.share:
            raise ValueError("has a share of 0%: leave the arm out to end it")
        if self.from_ + self.share > 1:
            raise ValueError("ends beyond 100%")
        return self

    @property
    def decides(self) -> bool:
        """Whether it decides otherwise than everybody."""
        return self.conduct is not None or self.configuration is not None


class ExperimentDocument(Dated):
    """Arms of one namespace never overlap; namespaces are independent of one another."""

    description: str = ""
    namespace: Name
    unit: Literal["customer", "account"] = "customer"
    arms: Annotated[dict[Name, ArmDocument], Field(min_length=1)]


class ExperimentsDocument(Document):
    """experiments.yaml"""

    experiments: dict[Name, ExperimentDocument] = {}
