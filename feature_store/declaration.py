"""features.yaml: how features are declared, and what can be wrong with that."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from feature_store.aggregate_spec import AggregateSpec
from feature_store.derivation import ByModel, ByRules, ByShares, Derivation
from feature_store.documents import Document, Loc, WorkspaceError, did_you_mean, parse
from feature_store.durations import seconds
from feature_store.feature import STORED, Feature, FeatureType, Source

MAX_LEVELS = 32_767
RESERVED = frozenset(
    {
        "customer_id",
        "account_id",
        "decision_id",
        "decided_at",
        "channel",
        "placement",
        "issue",
        "group",
        "action",
    }
    | {"treatment", "rank", "propensity", "selection_probability", "true_probability"}
)
"""Columns that the data tables and the models have anyway: no feature may be called so."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PERCENT = re.compile(r"([1-9][0-9]?)%")
_DERIVED = ("model", "segments", "shares")
"""The keys of which a derived feature has one."""
_OF_MODEL = ("scale", "probability_of", "unless")


class _SegmentSpec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    level: str
    when: str


class _SharesSpec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    of: str
    top: tuple[Any, ...] = Field(min_length=1)


class _FeatureSpec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    type: FeatureType
    source: Source
    default: Any = None
    levels: list[str] = Field(default_factory=list, max_length=MAX_LEVELS)
    members: list[str] = Field(default_factory=list, max_length=MAX_LEVELS)
    max_age: Any = None
    aggregate: AggregateSpec | None = None
    description: str = Field(min_length=1)
    model: str | None = None
    scale: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    probability_of: str | None = None
    unless: str | None = None
    segments: tuple[_SegmentSpec, ...] | None = Field(default=None, min_length=1)
    shares: _SharesSpec | None = None


class _SchemaSpec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    features: dict[str, _FeatureSpec]


def declared(document: Document) -> tuple[Feature, ...]:
    """The features of a file, in its order.

    Raises:
        WorkspaceError: with every problem of the file and its line.
    """
    specs = parse(document, _SchemaSpec).features
    problems = [
        document.problem(("features", name, *loc), message)
        for name, spec in specs.items()
        for loc, message in _faults(name, spec)
    ]
    if problems:
        raise WorkspaceError(problems)
    return tuple(_declared(name, spec) for name, spec in specs.items())


def _declared(name: str, spec: _FeatureSpec) -> Feature:
    return Feature(
        name=name,
        type=spec.type,
        source=spec.source,
        default=tuple(spec.default) if isinstance(spec.default, list) else spec.default,
        levels=tuple(spec.levels),
        members=tuple(spec.members),
        max_age=seconds(spec.max_age),
        description=spec.description,
        derivation=_derivation(spec),
        aggregate=None if spec.aggregate is None else spec.aggregate.declared(),
    )


def _derivation(spec: _FeatureSpec) -> Derivation | None:
    if spec.model is not None:
        return ByModel(spec.model, spec.scale or 1.0, spec.probability_of, spec.unless)
    if spec.segments is not None:
        return ByRules(tuple((segment.level, segment.when) for segment in spec.segments))
    if spec.shares is not None:
        return ByShares(spec.shares.of, tuple(_percent(share) or 0 for share in spec.shares.top))
    return None


def _percent(share: object) -> int | None:
    match = _PERCENT.fullmatch(str(share))
    return int(match[1]) if match else None


def _faults(name: str, spec: _FeatureSpec) -> Iterator[tuple[Loc, str]]:
    """What pydantic can't see: each fault with its place below the feature."""
    if not _NAME.fullmatch(name):
        yield (), "a feature's name is lower-case letters, digits and _, and begins with a letter"
    if name in RESERVED:
        yield (), f"'{name}' is the name of a built-in column; call the feature something else"
    if spec.max_age is not None:
        if spec.source not in STORED:
            yield ("max_age",), f"{_AGELESS[spec.source]} and has no age; leave it out"
        elif seconds(spec.max_age) is None:
            yield (
                ("max_age",),
                f"must be a number and a unit, such as 90s, 15m, 12h or 30d, not '{spec.max_age}'",
            )
    yield from _derived_faults(spec)
    if spec.aggregate is not None:
        aged = spec.max_age is not None
        for place, message in spec.aggregate.faults(spec.type, spec.source, aged=aged):
            yield ("aggregate", *place), message
    names = list(_name_faults(spec))
    yield from names
    if not names:
        try:
            _declared(name, spec).encode(spec.default)
        except ValueError as error:
            yield ("default",), str(error)


def _derived_faults(spec: _FeatureSpec) -> Iterator[tuple[Loc, str]]:
    given = [key for key in _DERIVED if getattr(spec, key) is not None]
    if spec.source is not Source.DERIVED:
        for key in (*given, *(key for key in _OF_MODEL if getattr(spec, key) is not None)):
            yield (key,), f"only a derived feature has it, and this one comes from {spec.source}"
        return
    if len(given) != 1:
        yield (), "a derived feature says what makes it by one of model, segments and shares"
    if spec.model is None:
        for key in (key for key in _OF_MODEL if getattr(spec, key) is not None):
            yield (key,), "belongs to what a model says, and there is no model here"
    yield from _level_faults(spec)


def _level_faults(spec: _FeatureSpec) -> Iterator[tuple[Loc, str]]:
    """Faults of derived levels."""
    if spec.model is None and spec.type is not FeatureType.CATEGORY:
        yield ("type",), f"a segment is a category, not a {spec.type}"
    for place, segment in enumerate(spec.segments or ()):
        if segment.level not in spec.levels:
            hint = did_you_mean(segment.level, spec.levels)
            yield ("segments", place, "level"), f"'{segment.level}' is not one of its levels{hint}"
    if spec.shares is None:
        return
    percents = [_percent(share) for share in spec.shares.top]
    if None in percents or sum(filter(None, percents)) > 99:
        yield ("shares", "top"), "must be whole percentages, such as [20%, 30%], that leave somebody over"
    if len(spec.levels) != len(percents) + 1:
        levels = len(percents) + 1
        message = f"with everybody else these make {levels} levels, and it has {len(spec.levels)}"
        yield ("shares", "top"), message


_AGELESS = {
    Source.CONTEXT: "context comes with the request",
    Source.DERIVED: "what is derived is made when it is decided",
}


def _name_faults(spec: _FeatureSpec) -> Iterator[tuple[Loc, str]]:
    for key, owner, names in (
        ("levels", FeatureType.CATEGORY, spec.levels),
        ("members", FeatureType.SET, spec.members),
    ):
        if spec.type is not owner and names:
            yield (key,), f"only a {owner} has {key}, and this is a {spec.type}"
        elif spec.type is owner and not names:
            yield (), f"a {owner} needs its {key}"
        if len(set(names)) < len(names):
            twice = next(item for item in names if names.count(item) > 1)
            yield (key,), f"'{twice}' is listed twice"
        if any(not item or (key == "members" and "|" in item) for item in names):
            yield (key,), "a name must not be empty" + (" or contain '|'" if key == "members" else "")
