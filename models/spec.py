"""models.yaml: which models a workspace has, and what each predicts: the response to an action, or something
about the customer."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from feature_store import durations
from feature_store.documents import Document, Problem, WorkspaceError, did_you_mean, load_document, parse
from feature_store.schema import Feature, FeatureSchema, FeatureType, Source

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TABLE = re.compile(r"[A-Za-z0-9_-]+\.parquet")
Direction = Literal["increasing", "decreasing"]
_ORDERED = (FeatureType.NUMBER, FeatureType.FLAG, FeatureType.TIMESTAMP)
_PREDICTABLE = (FeatureType.FLAG, FeatureType.NUMBER, FeatureType.CATEGORY)


def _seconds(span: object) -> float:
    """The seconds of a span such as 90s; 0 is none."""
    found = 0.0 if span == 0 else durations.seconds(span)
    if found is None:
        raise ValueError(f"must be 0, or a number and a unit, such as 90s, 15m, 12h or 30d, not {span!r}")
    return found


class Adapts(BaseModel):
    """How predictions follow the last outcomes: after `half_life` more responses than an outcome, by what was
    predicted, it counts half; what the others of a group show counts as `prior` responses; `delay` is the
    mean time in seconds from a decision to a response."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    half_life: Annotated[float, Field(ge=1, le=1e9)] = 50.0
    prior: Annotated[float, Field(ge=1, le=1e9)] = 10.0
    delay: Annotated[float, PlainValidator(_seconds)]


class Target(BaseModel):
    """What a model of customers learns: the column `label` of a table `file` among the data. A flag becomes a
    probability, a number an expected value, a category one of the `levels`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    label: str
    type: FeatureType
    levels: tuple[str, ...] = ()

    @property
    def feature(self) -> Feature:
        """The label as a feature of its own."""
        return Feature(self.label, self.type, Source.PROFILE, levels=self.levels)


@dataclass(frozen=True)
class ModelSpec:
    """A declared model: `positive` are the outcomes that it predicts, or `target` what it says about the
    customer; `features` None is all that are not derived. `monotone` has the features that may move the
    prediction one way only. With a `control`, an action, it predicts how much likelier the outcomes are than
    with that one: see `models.uplift`. What it predicts follows the last outcomes as it `adapts`; None: it
    does not. One that `starts_untrained` may serve without a version: its actions are taken at what they
    declare until it has one."""

    name: str
    positive: tuple[str, ...]
    description: str
    features: tuple[str, ...] | None = None
    target: Target | None = None
    monotone: Mapping[str, Direction] = field(default_factory=dict)
    control: str | None = None
    adapts: Adapts | None = None
    starts_untrained: bool = False

    def reads(self, schema: FeatureSchema) -> tuple[str, ...]:
        """The names of the features that the model reads, in its order."""
        given = (feature.name for feature in schema.features if feature.source is not Source.DERIVED)
        return self.features or tuple(given)

    def read_schema(self, schema: FeatureSchema) -> FeatureSchema:
        """The part of a schema that the model reads."""
        return FeatureSchema(tuple(schema.feature(name) for name in self.reads(schema)))


class _ModelEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    positive: tuple[str, ...] | None = Field(default=None, min_length=1)
    learns: Target | None = None
    description: str = Field(min_length=1)
    features: tuple[str, ...] | None = Field(default=None, min_length=1)
    monotone: dict[str, Direction] = {}
    control: str | None = None
    adapts: Adapts | None = None
    starts_untrained: bool = False


class _ModelsFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    models: dict[str, _ModelEntry]


def load_specs(path: Path, schema: FeatureSchema | None = None) -> dict[str, ModelSpec]:
    """The models that a workspace's models.yaml declares, by name, in the order of the file.

    With a `schema`, the features that they name must be in it.

    Raises:
        WorkspaceError: with every problem of the file, by line.
    """
    document = load_document(path)
    entries = parse(document, _ModelsFile).models
    problems = [
        problem
        for name, entry in entries.items()
        for problem in (
            *_names(document, name, entry),
            *_aims(document, name, entry),
            *_strangers(document, name, entry, schema),
            *_constraints(document, name, entry, schema),
        )
    ]
    if problems:
        raise WorkspaceError(problems)
    return {
        name: ModelSpec(
            name,
            entry.positive or (),
            entry.description,
            entry.features,
            entry.learns,
            entry.monotone,
            entry.control,
            entry.adapts,
            entry.starts_untrained,
        )
        for name, entry in entries.items()
    }


def _names(document: Document, name: str, entry: _ModelEntry) -> Iterator[Problem]:
    rule = "is lower-case letters, digits and _, and begins with a letter"
    if not _NAME.fullmatch(name):
        yield document.problem(("models", name), f"a model's name {rule}")
    for place, outcome in enumerate(entry.positive or ()):
        if not _NAME.fullmatch(outcome):
            yield document.problem(("models", name, "positive", place), f"an outcome's name {rule}")
    for key, names in (("positive", entry.positive or ()), ("features", entry.features or ())):
        for word, count in Counter(names).items():
            if count > 1:
                yield document.problem(("models", name, key), f"'{word}' is listed {count} times")


def _aims(document: Document, name: str, entry: _ModelEntry) -> Iterator[Problem]:
    """What is wrong with what a model is to predict."""
    loc = ("models", name)
    if (entry.positive is None) == (entry.learns is None):
        yield document.problem(
            loc,
            "a model predicts responses to actions (`positive`) or something about the customer (`learns`): "
            "it has one of them",
        )
    if entry.adapts is not None and (entry.positive is None or entry.control is not None):
        yield document.problem(
            (*loc, "adapts"),
            "only a probability of responses can follow outcomes: neither what is said about the customer "
            "(`learns`) nor how much likelier a response is than with a `control` shows in a single one",
        )
    if entry.starts_untrained and (entry.positive is None or entry.control is not None):
        yield document.problem(
            (*loc, "starts_untrained"),
            "until it is trained, actions are taken at the propensities that they declare: nothing declares "
            "what is said about the customer (`learns`), or what a response owes to an action (`control`)",
        )
    if entry.learns is None:
        return
    for key, message in _target_faults(entry.learns):
        yield document.problem((*loc, "learns", key), message)
    if entry.features is None:
        yield document.problem(loc, "name the `features` that it reads: its table has to have them")
    elif entry.learns.label in entry.features:
        yield document.problem((*loc, "features"), f"it would read its own label, '{entry.learns.label}'")


def _target_faults(target: Target) -> Iterator[tuple[str, str]]:
    if not _TABLE.fullmatch(target.file):
        yield (
            "file",
            f"is a Parquet file among the data, such as churn.parquet, not '{target.file}'",
        )
    if target.type not in _PREDICTABLE:
        yield "type", f"a model predicts a flag, a number or a category, not a {target.type}"
    if (target.type is FeatureType.CATEGORY) != (len(target.levels) > 1):
        yield "levels", "a category has two levels or more, and nothing else has any"
    if len(set(target.levels)) < len(target.levels):
        yield "levels", "a level is listed twice"


def _strangers(
    document: Document, name: str, entry: _ModelEntry, schema: FeatureSchema | None
) -> Iterator[Problem]:
    if schema is None:
        return
    known = [feature.name for feature in schema.features]
    for place, feature in enumerate(entry.features or ()):
        if feature not in known:
            message = f"'{feature}' is not a declared feature{did_you_mean(feature, known)}"
            yield document.problem(("models", name, "features", place), message)


def _constraints(
    document: Document, name: str, entry: _ModelEntry, schema: FeatureSchema | None
) -> Iterator[Problem]:
    """What is wrong with the directions that a model is held to."""
    loc = ("models", name, "monotone")
    if entry.monotone and entry.learns is not None and entry.learns.levels:
        yield document.problem(
            loc, "what predicts one of several levels neither rises nor falls: leave it out"
        )
    if schema is None:
        return
    for feature in entry.monotone:
        if fault := _order_fault(feature, entry, schema):
            yield document.problem((*loc, feature), fault)


def _order_fault(name: str, entry: _ModelEntry, schema: FeatureSchema) -> str | None:
    """Why a model can't be held to a direction in a feature."""
    known = {feature.name: feature for feature in schema.features}
    if name not in known:
        return f"'{name}' is not a declared feature{did_you_mean(name, known)}"
    feature = known[name]
    reads = entry.features or [each.name for each in schema.features if each.source is not Source.DERIVED]
    if name not in reads:
        return f"the model does not read '{name}': add it to its `features`"
    if feature.type not in _ORDERED:
        return f"'{name}' is a {feature.type}: only numbers, flags and timestamps have an order"
    return None
