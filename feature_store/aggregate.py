"""What a behaviour feature aggregates: which events, which of their properties, over which time."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

Scalar = str | float | bool


class Kind(StrEnum):
    """How events become a number."""

    COUNT = "count"
    SUM = "sum"
    RATE = "rate"
    DISTINCT = "distinct"
    DECAYED = "decayed"
    LAST = "last"
    RECENCY = "recency"


@dataclass(frozen=True)
class Aggregate:
    """An aggregation over the events of these names whose properties are as `where` says.

    `of` is the property that is aggregated, and `where` has for each property the values that it may have.
    `window` and `half_life` are in seconds; without a window all events count. `unit` is the seconds in which
    a rate or a recency is told.
    """

    kind: Kind
    events: tuple[str, ...]
    of: str | None = None
    where: tuple[tuple[str, tuple[Scalar, ...]], ...] = ()
    window: float | None = None
    half_life: float | None = None
    unit: float = 1.0

    @property
    def definition(self) -> dict[str, Any]:
        """All of it, JSON-ready."""
        return {
            "kind": str(self.kind),
            "events": list(self.events),
            "property": self.of,
            "where": [[name, list(values)] for name, values in self.where],
            "window": self.window,
            "half_life": self.half_life,
            "unit": self.unit,
        }

    @classmethod
    def from_definition(cls, definition: dict[str, Any]) -> Self:
        """The aggregation that `definition` describes."""
        return cls(
            kind=Kind(definition["kind"]),
            events=tuple(definition["events"]),
            of=definition["property"],
            where=tuple((name, tuple(values)) for name, values in definition["where"]),
            window=definition["window"],
            half_life=definition["half_life"],
            unit=definition["unit"],
        )


def alike(value: object, wanted: Scalar) -> bool:
    """Whether a property has that value; true is not 1."""
    return value == wanted and isinstance(value, bool) is isinstance(wanted, bool)
