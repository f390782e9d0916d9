"""The shape of objectives.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from service.workspace.shapes.basics import Dated, Document, Name, Scoped

Metric = Literal["accepts", "clicks", "value", "acceptance_rate"]


class ObjectiveDocument(Scoped, Dated):
    """What the covered actions and channels are to reach between two dates."""

    description: str = ""
    metric: Metric
    target: Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)]


class ObjectivesDocument(Document):
    """objectives.yaml"""

    objectives: dict[Name, ObjectiveDocument] = {}
