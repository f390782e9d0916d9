"""What a checked part of an expression is: its type, and the nodes that compute it."""

from dataclasses import dataclass

from feature_store.feature import Feature
from service.decisioning.rules.nodes import Flag, Value


@dataclass(frozen=True, slots=True)
class Number:
    """A number. `whole` is the range of one that CEL has as an integer: a literal, a size, or what is made of
    them."""

    value: Value
    whole: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """A truth value."""

    flag: Flag


@dataclass(frozen=True, slots=True)
class Moment:
    """A timestamp, in epoch seconds."""

    value: Value


@dataclass(frozen=True, slots=True)
class Span:
    """A duration, in seconds."""

    value: Value


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is known now. `among` is the set that it is a member of, where it stands for one."""

    text: str
    among: Feature | None = None


@dataclass(frozen=True, slots=True)
class Category:
    """A category, in a column of X."""

    feature: Feature
    index: int


@dataclass(frozen=True, slots=True)
class Members:
    """A set, in columns of X."""

    feature: Feature
    start: int

    @property
    def stop(self) -> int:
        return self.start + self.feature.width


@dataclass(frozen=True, slots=True)
class Several:
    """A list of literals."""

    items: tuple[Number | Text, ...]


Measured = Number | Moment | Span
Typed = Number | Truth | Moment | Span | Text | Category | Members | Several

NAMES: dict[type, str] = {
    Number: "a number",
    Truth: "true or false",
    Moment: "a timestamp",
    Span: "a duration",
    Text: "a text",
    Category: "a category",
    Members: "a set",
    Several: "a list",
}


def named(typed: Typed) -> str:
    """The type in words."""
    return NAMES[type(typed)]
