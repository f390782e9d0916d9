"""What lints look at: a checked workspace, its rules as nodes, and where everything is written."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from feature_store.documents import Document, Loc, Problem
from service.decisioning.catalogue import Catalogue
from service.decisioning.rules import Compiler
from service.decisioning.rules.nodes import Flag
from service.decisioning.rules.satisfiability import Solver
from service.workspace.loading import Workspace
from service.workspace.rules import CompiledRule

NAMED = 3
"""How many of many a message names."""


@dataclass(frozen=True)
class Subject:
    """A workspace under examination at a time (epoch seconds)."""

    workspace: Workspace
    now: float

    @property
    def catalogue(self) -> Catalogue:
        return self.workspace.catalogue

    @property
    def policies(self) -> Document:
        """policies.yaml"""
        return self.workspace.policies.document

    @cached_property
    def solver(self) -> Solver:
        return Solver(self.workspace.schema)

    def node(self, source: str) -> Flag:
        """What a condition computes that has been checked before."""
        return self._compiler.flag(source).node

    @cached_property
    def _compiler(self) -> Compiler:
        return Compiler(self.workspace.schema, self.workspace.policies.policies.conditions)

    @cached_property
    def rules(self) -> tuple[CompiledRule, ...]:
        """The rules that cover something, in the order in which they speak."""
        written = self.workspace.engagement.written
        return tuple(one for one in written if one.rule.actions or one.rule.treatments)

    @cached_property
    def of_action(self) -> Mapping[int, Sequence[CompiledRule]]:
        """The rules over each action."""
        found: dict[int, list[CompiledRule]] = {action: [] for action in range(len(self.catalogue.actions))}
        for one in self.rules:
            for action in one.rule.actions:
                found[action].append(one)
        return found

    @cached_property
    def of_treatment(self) -> Mapping[int, Sequence[CompiledRule]]:
        """The rules over each treatment."""
        found: dict[int, list[CompiledRule]] = {
            number: [] for number in range(len(self.catalogue.treatments))
        }
        for one in self.rules:
            for treatment in one.rule.treatments:
                found[treatment].append(one)
        return found

    @cached_property
    def live(self) -> NDArray[np.bool_]:
        """A: the actions that are switched on and have not ended."""
        found: NDArray[np.bool_] = self.catalogue.active & (self.catalogue.ends > self.now)
        return found

    def action(self, index: int, *key: str) -> tuple[Document, Loc]:
        """Where an action is written, or one of its keys."""
        document, loc = self.workspace.files.places["action", self.catalogue.actions[index].name]
        return document, (*loc, *key)

    def treatment(self, index: int, *key: str) -> tuple[Document, Loc]:
        """Where a treatment is written, or one of its keys."""
        document, loc = self.workspace.files.places["treatment", self.catalogue.treatments[index].name]
        return document, (*loc, *key)

    def named_actions(self, indexes: Iterable[int]) -> str:
        """Actions in words."""
        return listed([self.catalogue.actions[index].name for index in indexes])


def warning(place: tuple[Document, Loc], message: str) -> Problem:
    """A warning of what stands there."""
    document, loc = place
    return document.problem(loc, message)


def where(document: Document, loc: Loc) -> str:
    """A place in words: `policies.yaml:12`."""
    return f"{document.file}:{document.line(loc)}"


def listed(names: Collection[str]) -> str:
    """Names in words, the first of many."""
    shown = [f"'{name}'" for name in list(names)[:NAMED]]
    if len(names) > NAMED:
        return ", ".join(shown) + f" and {len(names) - NAMED} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
