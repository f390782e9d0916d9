"""The shape of an action's offers."""

from typing import Annotated

from pydantic import Field

from service.workspace.shapes.basics import Document, Duration, Name

MOST_TERMS = 32
LONGEST_TERM = 1_000

Term = (
    Annotated[str, Field(max_length=LONGEST_TERM)]
    | bool
    | Annotated[int, Field(ge=-(10**15), le=10**15)]
    | Annotated[float, Field(allow_inf_nan=False)]
)


class OfferDocument(Document):
    """Terms on which an action may be offered: for whom, and how long they are kept once they were made."""

    name: Name
    when: str | None = None
    valid_for: Duration
    terms: Annotated[dict[Name, Term], Field(min_length=1, max_length=MOST_TERMS)]
