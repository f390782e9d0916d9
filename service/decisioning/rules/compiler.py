"""Expressions and named conditions, checked against a schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from feature_store.schema import FeatureSchema
from service.decisioning.rules import nodes
from service.decisioning.rules.checker import Checker
from service.decisioning.rules.errors import ExpressionError, Place
from service.decisioning.rules.scope import RESERVED, Scope
from service.decisioning.rules.syntax import parse

Node = TypeVar("Node", nodes.Flag, nodes.Value, covariant=True)


@dataclass(frozen=True, slots=True)
class Compiled(Generic[Node]):
    """A checked expression: its text, what computes it, and the features that it reads, in order."""

    source: str
    node: Node
    features: tuple[str, ...]
    reads_now: bool


class Compiler:
    """Compiles expressions over one schema; conditions are defined once and then used by name."""

    def __init__(self, schema: FeatureSchema, conditions: Mapping[str, str] | None = None) -> None:
        """Compile the named conditions; `errors` has what is wrong with some, by name."""
        self.schema = schema
        self.errors: dict[str, ExpressionError] = {}
        self._sources = dict(conditions or {})
        self._conditions: dict[str, Compiled[nodes.Flag]] = {}
        self._open: list[str] = []
        for name in self._sources:
            try:
                self._defined(name)
            except ExpressionError as error:
                self.errors.setdefault(name, error)

    @property
    def conditions(self) -> Mapping[str, Compiled[nodes.Flag]]:
        """The conditions that could be compiled."""
        return self._conditions

    def flag(self, source: str) -> Compiled[nodes.Flag]:
        """A condition.

        Raises:
            ExpressionError: with the place in the text, and what would be right.
        """
        scope, used = self._scope()
        return _compiled(source, Checker(scope).flag(parse(source)), scope, used)

    def number(self, source: str) -> Compiled[nodes.Value]:
        """A numeric expression.

        Raises:
            ExpressionError: as `flag`.
        """
        scope, used = self._scope()
        return _compiled(source, Checker(scope).number(parse(source)), scope, used)

    def _scope(self) -> tuple[Scope, list[Compiled[nodes.Flag]]]:
        """The names of an expression, and the conditions that it will have used."""
        used: list[Compiled[nodes.Flag]] = []

        def condition(name: str, place: Place) -> nodes.Flag | None:
            if name not in self._sources:
                return None
            if name in self._open:
                circle = " > ".join([*self._open[self._open.index(name) :], name])
                raise ExpressionError(place, f"condition '{name}' goes round in a circle: {circle}")
            try:
                found = self._defined(name)
            except ExpressionError as error:
                self.errors.setdefault(name, error)
                return nodes.TRUE  # the condition's own problem is told once, where it stands
            used.append(found)
            return found.node

        return Scope(self.schema, condition, tuple(self._sources)), used

    def _defined(self, name: str) -> Compiled[nodes.Flag]:
        if name in self.errors:
            raise self.errors[name]
        if name not in self._conditions:
            if name in RESERVED:
                raise ExpressionError(
                    Place(), f"'{name}' means something already; call the condition otherwise"
                )
            self._open.append(name)
            try:
                self._conditions[name] = self.flag(self._sources[name])
            finally:
                self._open.pop()
        return self._conditions[name]


def _compiled(source: str, node: Node, scope: Scope, used: list[Compiled[nodes.Flag]]) -> Compiled[Node]:
    features = dict(scope.features)
    for condition in used:
        features |= dict.fromkeys(condition.features)
    reads_now = scope.reads_now or any(condition.reads_now for condition in used)
    return Compiled(source, node, tuple(features), reads_now)
