"""Derived features as features.yaml declares them: checked, put in order, and bound to models."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from feature_store.derivation import ByModel, ByRules, ByShares
from feature_store.documents import Document, Loc, Problem, WorkspaceError, did_you_mean, load_document
from feature_store.schema import Feature, FeatureSchema, FeatureType, Source
from models.deriving import Derive
from models.model import CustomerModel
from models.spec import ModelSpec, Target
from service.decisioning.derived import (
    BoundCustomerModel,
    Derived,
    Guessed,
    Scores,
    Segment,
    Segments,
    Share,
    Shown,
    Stated,
    Step,
)
from service.decisioning.rules import Compiled, Compiler, ExpressionError, ProgramBuilder
from service.decisioning.rules.nodes import Flag

Conditions = Mapping[str, tuple[Compiled[Flag], ...]]
"""The conditions of each segment by rules."""


@dataclass(frozen=True)
class Derivations:
    """The derived features of a workspace. `layers` has them in an order in which each layer reads only what
    those before it have made, and `reads` which features each one reads itself."""

    schema: FeatureSchema
    layers: tuple[tuple[Feature, ...], ...] = ()
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    conditions: Conditions = field(default_factory=dict)

    @cached_property
    def models(self) -> tuple[str, ...]:
        """The models that they take, each after those that it reads from."""
        made = (feature.derivation for layer in self.layers for feature in layer)
        return tuple(dict.fromkeys(by.model for by in made if isinstance(by, ByModel)))

    @cached_property
    def tracked(self) -> tuple[Feature, ...]:
        """The segments that customers move between: they don't depend on the context of a request."""
        return tuple(
            feature
            for layer in self.layers
            for feature in layer
            if not isinstance(feature.derivation, ByModel) and not self._of_moment(feature.name)
        )

    def derive(self, models: Mapping[str, CustomerModel]) -> Derive:
        """Fills in what can be made with these models."""
        return self.bound(models).fill

    def bound(self, models: Mapping[str, CustomerModel]) -> Derived:
        """The derived features as these models make them; what other models make stays missing."""
        binder = _Binder(self.schema, models, self.conditions)
        return Derived(
            steps=tuple(step for layer in self.layers for step in binder.steps(layer)),
            models=tuple(binder.bound.values()),
            tracked=tuple((f.name, self.schema.slice(f.name).start) for f in self.tracked),
        )

    def _of_moment(self, name: str) -> bool:
        if self.schema.feature(name).source is Source.CONTEXT:
            return True
        return any(self._of_moment(other) for other in self.reads.get(name, ()))


class _Binder:
    """Makes the steps of a layer; `bound` has the models met so far."""

    def __init__(
        self, schema: FeatureSchema, models: Mapping[str, CustomerModel], conditions: Conditions
    ) -> None:
        self._schema, self._models, self._conditions = schema, models, conditions
        self.bound: dict[str, BoundCustomerModel] = {}

    def steps(self, layer: Sequence[Feature]) -> Iterator[Step]:
        yield from self._scores(layer)
        yield from self._shares(layer)
        yield from self._segments(layer)

    def _scores(self, layer: Sequence[Feature]) -> Iterator[Scores]:
        made = [(f, f.derivation) for f in layer if isinstance(f.derivation, ByModel)]
        taken = [(feature, by) for feature, by in made if by.model in self._models]
        if not taken:
            return
        found = {by.model: self._bind(self._models[by.model]) for _, by in taken}
        self.bound |= found
        numbers = {name: number for number, name in enumerate(found)}
        outputs = [self._output(feature, by, numbers[by.model]) for feature, by in taken]
        moments = [f for f in self._schema.features if f.type is FeatureType.TIMESTAMP]
        yield Scores(
            models=tuple(found.values()),
            shown=tuple(output for output in outputs if isinstance(output, Shown)),
            guessed=tuple(output for output in outputs if isinstance(output, Guessed)),
            columns=self._schema.width,
            moments=np.array([self._column(feature) for feature in moments], np.intp),
        )

    def _output(self, feature: Feature, by: ByModel, number: int) -> Shown | Guessed:
        levels = self._models[by.model].manifest.target.levels
        column, default = self._column(feature), self._default(feature)
        if not levels or by.probability_of is not None:
            head = levels.index(by.probability_of) if by.probability_of is not None else 0
            return Shown(column, default, number, head, by.scale)
        codes = np.array([feature.codes[level] for level in levels], np.float64)
        return Guessed(column, default, number, codes, self._stated(feature, by))

    def _stated(self, feature: Feature, by: ByModel) -> Stated | None:
        if by.unless is None:
            return None
        said = self._schema.feature(by.unless)
        codes = [float(feature.codes.get(level, np.nan)) for level in said.levels]
        return Stated(self._column(said), np.array(codes, np.float64))

    def _bind(self, model: CustomerModel) -> BoundCustomerModel:
        return BoundCustomerModel(
            name=model.name,
            version=model.version,
            scorers=model.heads.scorers,
            layout=model.bind(self._schema),
            calibration=model.manifest.calibration,
        )

    def _shares(self, layer: Sequence[Feature]) -> Iterator[Share]:
        for feature in layer:
            by = feature.derivation
            if not isinstance(by, ByShares):
                continue
            score = self._schema.feature(by.of)
            made = score.derivation
            if isinstance(made, ByModel) and made.model in self._models:
                percentiles = np.array(self._models[made.model].manifest.percentiles)
                cuts = percentiles[100 - np.cumsum(by.percents)] * made.scale
                yield Share(self._column(feature), self._default(feature), self._column(score), cuts)

    def _segments(self, layer: Sequence[Feature]) -> Iterator[Segments]:
        builder, segments = ProgramBuilder(), []
        for feature in layer:
            by = feature.derivation
            if isinstance(by, ByRules):
                places = tuple(builder.true(condition.node) for condition in self._conditions[feature.name])
                codes = tuple(float(feature.codes[level]) for level, _ in by.segments)
                segments.append(Segment(self._column(feature), self._default(feature), places, codes))
        if segments:
            yield Segments(builder.build(), tuple(segments))

    def _column(self, feature: Feature) -> int:
        start: int = self._schema.slice(feature.name).start
        return start

    def _default(self, feature: Feature) -> float:
        return float(self._schema.defaults[self._column(feature)])


def read_derivations(
    folder: Path, schema: FeatureSchema, specs: Mapping[str, ModelSpec], conditions: Mapping[str, str]
) -> Derivations:
    """The derived features of a workspace. `conditions` are those of policies.yaml, which segments may use by
    name.

    Raises:
        WorkspaceError: with everything that is wrong with them, by line and column.
    """
    derived = schema.by_source(Source.DERIVED)
    if not derived:
        return Derivations(schema)
    reader = _Reader(load_document(folder / "features.yaml"), schema, specs, Compiler(schema, conditions))
    for feature in derived:
        reader.read(feature)
    if reader.problems:
        raise WorkspaceError(reader.problems)
    layers = reader.layers(derived)
    if reader.problems:
        raise WorkspaceError(reader.problems)
    return Derivations(schema, layers, reader.reads, reader.conditions)


class _Reader:
    """Checks declarations one by one; `reads` collects what each reads, `conditions` those of segments."""

    def __init__(
        self, document: Document, schema: FeatureSchema, specs: Mapping[str, ModelSpec], compiler: Compiler
    ) -> None:
        self._document, self._schema, self._specs, self._compiler = document, schema, specs, compiler
        self.problems: list[Problem] = []
        self.reads: dict[str, tuple[str, ...]] = {}
        self.conditions: dict[str, tuple[Compiled[Flag], ...]] = {}

    def read(self, feature: Feature) -> None:
        match feature.derivation:
            case ByModel() as by:
                self._by_model(feature, by)
            case ByRules() as by:
                self._by_rules(feature, by)
            case ByShares() as by:
                self._by_shares(feature, by)

    def layers(self, derived: Sequence[Feature]) -> tuple[tuple[Feature, ...], ...]:
        """The features by how deep they stand on each other."""
        depths: dict[str, int] = {}
        try:
            for feature in derived:
                self._depth(feature.name, depths, [])
        except _Circle as circle:
            self._complain((circle.path[0],), f"goes round in a circle: {' > '.join(circle.path)}")
            return ()
        deepest = max(depths.values())
        return tuple(tuple(f for f in derived if depths[f.name] == depth) for depth in range(deepest + 1))

    def _depth(self, name: str, depths: dict[str, int], above: list[str]) -> int:
        if name in above:
            raise _Circle([*above[above.index(name) :], name])
        if name not in depths:
            below = [other for other in self.reads[name] if other in self.reads]
            depths[name] = 1 + max(
                (self._depth(other, depths, [*above, name]) for other in below), default=-1
            )
        return depths[name]

    def _by_model(self, feature: Feature, by: ByModel) -> None:
        spec = self._specs.get(by.model)
        if spec is None or spec.target is None:
            self._complain((feature.name, "model"), self._no_model(by.model))
            return
        self.reads[feature.name] = (*spec.reads(self._schema), *([by.unless] if by.unless else []))
        for key, message in (*_level_faults(feature, by, spec.target), *self._unless_faults(feature, by)):
            self._complain((feature.name, key), message)

    def _no_model(self, name: str) -> str:
        if name in self._specs:
            return (
                f"'{name}' predicts the response to an action; a derived feature is made by a model that "
                "`learns` something about the customer"
            )
        known = [other for other, spec in self._specs.items() if spec.target is not None]
        return f"models.yaml has no model '{name}'{did_you_mean(name, known)}"

    def _unless_faults(self, feature: Feature, by: ByModel) -> Iterator[tuple[str, str]]:
        if by.unless is None:
            return
        known = {f.name for f in self._schema.by_source(Source.CONTEXT) if f.type is FeatureType.CATEGORY}
        if feature.type is not FeatureType.CATEGORY:
            yield "unless", "only a category can be stated instead"
        elif by.unless not in known:
            yield "unless", f"'{by.unless}' is not a category of the context{did_you_mean(by.unless, known)}"

    def _by_rules(self, feature: Feature, by: ByRules) -> None:
        found = []
        for index, (_, source) in enumerate(by.segments):
            loc = ("features", feature.name, "segments", index, "when")
            try:
                found.append(self._compiler.flag(source))
            except ExpressionError as error:
                place = error.place
                self.problems.append(
                    self._document.problem_within(loc, source, place.line, place.column, error.message)
                )
        self.conditions[feature.name] = tuple(found)
        self.reads[feature.name] = tuple(dict.fromkeys(name for one in found for name in one.features))

    def _by_shares(self, feature: Feature, by: ByShares) -> None:
        scores = {
            f.name
            for f in self._schema.by_source(Source.DERIVED)
            if f.type is FeatureType.NUMBER
            and isinstance(f.derivation, ByModel)
            and not f.derivation.probability_of
        }
        if by.of not in scores:
            message = f"'{by.of}' is not the score of a model{did_you_mean(by.of, scores)}"
            self._complain((feature.name, "shares", "of"), message)
        self.reads[feature.name] = (by.of,)

    def _complain(self, loc: Loc, message: str) -> None:
        self.problems.append(self._document.problem(("features", *loc), message))


class _Circle(Exception):
    """Features that need each other."""

    def __init__(self, path: list[str]) -> None:
        self.path = path


def _level_faults(feature: Feature, by: ByModel, target: Target) -> Iterator[tuple[str, str]]:
    """What is wrong between the type of a feature and what its model says."""
    picks = by.probability_of is None and bool(target.levels)
    if by.probability_of is not None and by.probability_of not in target.levels:
        hint = did_you_mean(by.probability_of, target.levels)
        yield "probability_of", f"'{by.probability_of}' is not a level of the model '{by.model}'{hint}"
    wanted = FeatureType.CATEGORY if picks else FeatureType.NUMBER
    if feature.type is not wanted:
        yield "type", f"what the model '{by.model}' says here is a {wanted}, not a {feature.type}"
        return
    if missing := [level for level in target.levels if picks and level not in feature.levels]:
        yield "levels", f"'{missing[0]}', which the model '{by.model}' may say, is not among them"
    if picks and by.scale != 1.0:
        yield "scale", "only a number has one"
