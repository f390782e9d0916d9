"""`aggregate:` of a feature in features.yaml: its keys, and what makes no sense among them."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from feature_store.aggregate import Aggregate, Kind, Scalar
from feature_store.durations import UNITS, seconds
from feature_store.feature import FeatureType, Source

LEAST_WINDOW, LONGEST_WINDOW = 60.0, 400 * 86_400.0
"""Seconds."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Value = str | bool | int | float

_WITH_PROPERTY = frozenset({Kind.SUM, Kind.DISTINCT, Kind.LAST})
_WITH_WINDOW = frozenset({Kind.COUNT, Kind.SUM, Kind.RATE, Kind.DISTINCT})
_WITHOUT_WINDOW = frozenset({Kind.DECAYED})
_ANY_TYPE = frozenset({FeatureType.NUMBER, FeatureType.FLAG, FeatureType.CATEGORY, FeatureType.TIMESTAMP})
_TYPES = {
    Kind.LAST: _ANY_TYPE,
    Kind.RECENCY: frozenset({FeatureType.NUMBER, FeatureType.TIMESTAMP}),
}
_NUMBER = frozenset({FeatureType.NUMBER})

Fault = tuple[tuple[str, ...], str]


class AggregateSpec(BaseModel):
    """An aggregation as it is written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    event: Name | Annotated[list[Name], Field(min_length=1, max_length=100)]
    of: Name | None = Field(None, alias="property")
    where: dict[Name, Value | Annotated[list[Value], Field(min_length=1, max_length=100)]] = Field(
        default_factory=dict, max_length=20
    )
    window: Any = None
    half_life: Any = None
    unit: Literal["s", "m", "h", "d"] | None = None

    def declared(self) -> Aggregate:
        """The aggregation that is meant."""
        where = {name: value if isinstance(value, list) else [value] for name, value in self.where.items()}
        return Aggregate(
            kind=self.kind,
            events=tuple(sorted(self._events)),
            of=self.of,
            where=tuple(sorted((name, _sorted(values)) for name, values in where.items())),
            window=seconds(self.window),
            half_life=seconds(self.half_life),
            unit=UNITS[self.unit or "s"],
        )

    @property
    def _events(self) -> list[str]:
        return self.event if isinstance(self.event, list) else [self.event]

    def faults(self, kind: FeatureType, source: Source, *, aged: bool) -> Iterator[Fault]:
        """What is wrong with it in a feature of that type and source, each with its place in the feature;
        `aged` is whether the feature has a max_age."""
        fitting = _TYPES.get(self.kind, _NUMBER)
        if source is not Source.BEHAVIOUR:
            yield (), f"only a behaviour feature comes from events, and this is a {source} feature"
        if aged:
            yield (), "events have a time of their own: use the window, and leave max_age out"
        if kind not in fitting:
            wanted = " or ".join(sorted(fitting))
            yield ("kind",), f"{self.kind} gives a {wanted}, and this feature is a {kind}"
        if len(set(self._events)) < len(self._events):
            yield ("event",), "an event is listed twice"
        if (self.kind in _WITH_PROPERTY) is not (self.of is not None):
            yield from self._property_fault()
        yield from self._time_faults()
        yield from self._unit_faults(kind)

    def _property_fault(self) -> Iterator[Fault]:
        if self.of is None:
            yield (), f"{self.kind} needs a property: of which property of the event?"
        else:
            yield (
                ("property",),
                f"{self.kind} is of events, not of a property; where chooses among them",
            )

    def _time_faults(self) -> Iterator[Fault]:
        decays = self.kind in _WITHOUT_WINDOW
        if self.window is None and self.kind in _WITH_WINDOW:
            yield (), f"{self.kind} needs a window, such as 30m, 24h or 90d"
        elif self.window is not None and decays:
            yield ("window",), f"{self.kind} forgets by its half_life and has no window"
        elif self.window is not None:
            yield from _span_fault("window", self.window)
        if self.half_life is None and decays:
            yield (), f"{self.kind} needs a half_life, such as 12h or 7d"
        elif self.half_life is not None and not decays:
            yield ("half_life",), f"only decayed has a half_life, and this is a {self.kind}"
        elif self.half_life is not None:
            yield from _span_fault("half_life", self.half_life)

    def _unit_faults(self, kind: FeatureType) -> Iterator[Fault]:
        told_in = self.kind is Kind.RATE or (self.kind is Kind.RECENCY and kind is FeatureType.NUMBER)
        if told_in and self.unit is None:
            what = "events per s, m, h or d" if self.kind is Kind.RATE else "how many s, m, h or d ago"
            yield (), f"{self.kind} needs a unit: {what}"
        elif self.unit is not None and not told_in:
            yield ("unit",), f"a {kind} by {self.kind} has no unit"


def _span_fault(key: str, span: object) -> Iterator[Fault]:
    length = seconds(span)
    if length is None:
        yield (key,), f"must be a number and a unit, such as 30m, 24h or 90d, not '{span}'"
    elif not LEAST_WINDOW <= length <= LONGEST_WINDOW:
        yield (key,), f"must be between 1m and 400d, not '{span}'"


def _sorted(values: list[Value]) -> tuple[Scalar, ...]:
    return tuple(sorted(values, key=lambda value: (type(value).__name__, value)))
