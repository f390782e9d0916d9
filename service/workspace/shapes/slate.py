"""The shape of the rules of an answer as a whole."""

from typing import Annotated, Literal

from pydantic import Field

from service.workspace.shapes.basics import Document, Name, Scoped

Names = Annotated[list[str], Field(min_length=1)]


class AnswerLimitDocument(Scoped):
    """At most so many of the covered actions in one answer; a `tag` narrows them to those that have it."""

    name: Name
    description: str = ""
    tag: str | None = None
    at_most: Annotated[int, Field(ge=1, le=100)]


class BundleDocument(Document):
    """Actions that stand together; the first one leads."""

    name: Name
    description: str = ""
    kind: Literal["fixed", "flexible"]
    actions: Annotated[list[str], Field(min_length=2, max_length=100)]


class SlateDocument(Document):
    duplicates: bool = False
    limits: list[AnswerLimitDocument] = []
    tiers: Annotated[list[Names], Field(max_length=100)] = []
    bundles: list[BundleDocument] = []
