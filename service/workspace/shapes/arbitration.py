"""The shapes of what arbitration is told: in policies.yaml, and in an experiment that decides otherwise."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from service.workspace.shapes.basics import Amount, Document, Name, Probability, Scoped
from service.workspace.shapes.quantities import PercentOrFormula, ValuesOrRule


class ValueScalingDocument(Document):
    method: Literal["none", "logarithm", "square_root"] = "none"
    reference: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)] = 100.0


class ArbitrationDocument(Document):
    """The switches of the factors, and how value is made."""

    propensity: bool = True
    context_weight: bool = True
    value: bool = True
    lever: bool = True
    customer_benefit_weight: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 0.0
    value_scaling: ValueScalingDocument = ValueScalingDocument()


class ContextWeightDocument(Scoped):
    when: ValuesOrRule = "true"
    weight: PercentOrFormula


class ThresholdDocument(Scoped):
    """The least propensity, the least priority, or both."""

    name: Name
    description: str = ""
    propensity: Probability | None = None
    priority: Amount | None = None

    @model_validator(mode="after")
    def _asks_for_something(self) -> "ThresholdDocument":
        if self.propensity is None and self.priority is None:
            raise ValueError("asks for nothing: give it a propensity, a priority or both")
        return self


class DoNothingDocument(Document):
    """What a contact costs, by channel, in units of value."""

    cost: Annotated[dict[str, Amount], Field(min_length=1)]


class ArbitrationSections(Document):
    """The sections of a file that say how to arbitrate."""

    arbitration: ArbitrationDocument = ArbitrationDocument()
    context_weights: list[ContextWeightDocument] = []
    thresholds: list[ThresholdDocument] = []
    do_nothing: DoNothingDocument | None = None
