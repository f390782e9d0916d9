"""Names: what the features, conditions and variables in an expression stand for."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from feature_store.documents import did_you_mean
from feature_store.feature import Feature, FeatureType
from feature_store.schema import STORED, FeatureSchema, Source
from service.decisioning.rules import nodes
from service.decisioning.rules.errors import ExpressionError, Place
from service.decisioning.rules.syntax import Name, Syntax
from service.decisioning.rules.typed import Category, Members, Moment, Number, Truth, Typed

OWNERS: Mapping[str, tuple[Source, ...]] = {
    "customer": (*STORED, Source.DERIVED),
    "context": (Source.CONTEXT,),
}
RESERVED = frozenset({*OWNERS, "now", "true", "false", "null", "in"})
"""What no condition and no variable may be called."""

Condition = Callable[[str, Place], nodes.Flag | None]


@dataclass
class Scope:
    """The names of one expression. `condition` gives the flag of a named condition, or None where there is
    none; `features` collects what the expression reads, in order."""

    schema: FeatureSchema
    condition: Condition
    condition_names: tuple[str, ...] = ()
    features: dict[str, None] = field(default_factory=dict)
    reads_now: bool = False
    _variables: dict[str, Typed] = field(default_factory=dict)

    def named(self, place: Place, name: str) -> Typed:
        """What a name stands for: a variable of a macro, the time of the decision, or a condition.

        Raises:
            ExpressionError: there is nothing of that name.
        """
        if name in self._variables:
            return self._variables[name]
        if name == "now":
            self.reads_now = True
            return Moment(nodes.Now())
        if name in OWNERS:
            raise ExpressionError(place, f"{name} is used by its features, such as {self._example(name)}")
        found = self.condition(name, place)
        if found is not None:
            return Truth(found)
        raise ExpressionError(place, f"there is no condition '{name}'{self._meant(name)}")

    def _meant(self, name: str) -> str:
        for owner in OWNERS:
            if any(feature.name == name for feature in self._of(owner)):
                return f"; did you mean '{owner}.{name}'?"
        return did_you_mean(name, [*self.condition_names, *self._variables, "now"])

    def _example(self, owner: str) -> str:
        return f"{owner}.{next((feature.name for feature in self._of(owner)), 'name')}"

    def _of(self, owner: str) -> list[Feature]:
        return [feature for feature in self.schema.features if feature.source in OWNERS[owner]]

    def selected(self, place: Place, owner: Syntax, name: str) -> Typed:
        """What `owner.name` is: a feature.

        Raises:
            ExpressionError: there is no such feature.
        """
        if not isinstance(owner, Name) or owner.name not in OWNERS or owner.name in self._variables:
            message = "only customer.<feature> and context.<feature> have a dot"
            if isinstance(owner, Name):
                message += did_you_mean(owner.name, OWNERS)
            raise ExpressionError(place, message)
        return self._typed(self._declared(place, owner.name, name))

    def present(self, name: str) -> nodes.Flag:
        """Whether a feature is there; one with a default always is."""
        if self.schema.feature(name).default is not None:
            return nodes.TRUE
        return nodes.Present(self.schema.slice(name).start)

    @contextmanager
    def variable(self, place: Place, name: str, value: Typed) -> Iterator[None]:
        """A name that a macro gives to one item."""
        if name in RESERVED or name in self._variables:
            raise ExpressionError(place, f"call the variable something else than '{name}'")
        self._variables[name] = value
        try:
            yield
        finally:
            del self._variables[name]

    def _declared(self, place: Place, owner: str, name: str) -> Feature:
        known = {feature.name: feature for feature in self._of(owner)}
        if name in known:
            self.features[name] = None
            return known[name]
        for other in OWNERS:
            if any(feature.name == name for feature in self._of(other)):
                raise ExpressionError(place, f"{name} is of the {other}: write {other}.{name}")
        raise ExpressionError(place, f"there is no feature '{owner}.{name}'{did_you_mean(name, known)}")

    def _typed(self, feature: Feature) -> Typed:
        start = self.schema.slice(feature.name).start
        match feature.type:
            case FeatureType.NUMBER:
                return Number(nodes.Column(start))
            case FeatureType.FLAG:
                return Truth(nodes.Bit(start))
            case FeatureType.TIMESTAMP:
                return Moment(nodes.Column(start))
            case FeatureType.CATEGORY:
                return Category(feature, start)
            case FeatureType.SET:
                return Members(feature, start)
