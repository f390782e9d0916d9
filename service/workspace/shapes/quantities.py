"""Numbers that may be computed: a number, a formula in CEL, or a formula with what stands in for it."""

from typing import Annotated

from pydantic import Discriminator, Field, Tag

from service.workspace.shapes.basics import Amount, Document, Percent

Signed = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]


def _written_as(value: object) -> str:
    """Which way of writing is meant: a complaint is about that one."""
    return "text" if isinstance(value, str) else "mapping" if isinstance(value, dict) else "plain"


class FormulaDocument(Document):
    """A formula, and the number for those for whom it can't be computed."""

    formula: str
    otherwise: Signed


Formula = Annotated[str, Tag("text")] | Annotated[FormulaDocument, Tag("mapping")]
AmountOrFormula = Annotated[Annotated[Amount, Tag("plain")] | Formula, Discriminator(_written_as)]
SignedOrFormula = Annotated[Annotated[Signed, Tag("plain")] | Formula, Discriminator(_written_as)]
PercentOrFormula = Annotated[Annotated[Percent, Tag("plain")] | Formula, Discriminator(_written_as)]

Values = Annotated[dict[str, str | bool | float], Field(min_length=1)]
ValuesOrRule = Annotated[
    Annotated[Values, Tag("mapping")] | Annotated[str, Tag("text")],
    Discriminator(lambda value: "text" if isinstance(value, str) else "mapping"),
]
"""A condition: values of features that all have to be there, or a rule in CEL."""
BoolOrRule = Annotated[
    Annotated[bool, Tag("plain")] | Annotated[str, Tag("text")],
    Discriminator(lambda value: "text" if isinstance(value, str) else "plain"),
]
