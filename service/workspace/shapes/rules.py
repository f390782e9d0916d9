"""Rules that stand with what they cover."""

import re
from typing import Annotated, NamedTuple

from pydantic import PlainValidator

from service.workspace.shapes.basics import NAME, Document


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
