"""The shape of how candidates are explored."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from service.workspace.shapes.basics import Amount, Document, Probability

OF_METHOD = {"epsilon": "epsilon", "temperature": "softmax", "least_evidence": "thompson"}
"""The settings that only one method reads."""


class ExplorationDocument(Document):
    """How choices are left to chance, and how much that may cost in a day."""

    method: Literal["none", "epsilon", "softmax", "thompson"]
    epsilon: Probability = 0.1
    temperature: Annotated[float, Field(ge=0.01, le=100)] = 0.3
    least_evidence: Annotated[float, Field(ge=1, le=1e9)] = 10.0
    share: Probability = 1.0
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0
    daily_cost: Amount | None = None

    @field_validator("daily_cost")
    @classmethod
    def _pays_for_something(cls, value: float | None) -> float | None:
        if value == 0:
            raise ValueError("must be above 0: who wants to explore nothing writes method: none")
        return value

    @model_validator(mode="after")
    def _says_nothing_that_nobody_reads(self) -> "ExplorationDocument":
        said = self.model_fields_set - {"method"}
        if self.method == "none" and said:
            raise ValueError(f"method 'none' leaves nothing to chance, and does not read {_listed(said)}")
        strange = {name for name in said & OF_METHOD.keys() if OF_METHOD[name] != self.method}
        if strange:
            belongs = ", ".join(f"{name} is read by method '{OF_METHOD[name]}'" for name in sorted(strange))
            raise ValueError(f"{belongs}, not by '{self.method}'")
        return self


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))
