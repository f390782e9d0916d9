"""What an entry of policies.yaml covers: actions by issue, group and name, and channels."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feature_store.documents import Document, Loc, Problem, did_you_mean
from service.decisioning.catalogue import Catalogue
from service.workspace.shapes.basics import Scoped


@dataclass(frozen=True)
class Coverage:
    """Reads the scopes of a document's entries; what is wrong with them goes among the problems."""

    document: Document
    catalogue: Catalogue
    groups: Mapping[str, Collection[str]]
    problems: list[Problem]

    def actions(self, loc: Loc, scope: Scoped) -> NDArray[np.bool_]:
        """A: the actions that an entry covers; a scope that names none covers all."""
        self._check(loc, scope)
        covered = [
            scope.issue in (None, action.issue)
            and scope.group in (None, action.group)
            and scope.action in (None, action.name)
            for action in self.catalogue.actions
        ]
        return np.array(covered, dtype=np.bool_)

    def channels(self, loc: Loc, scope: Scoped) -> NDArray[np.bool_]:
        """C: the channels that an entry covers; all of them where it names none."""
        known = self.catalogue.channel_index
        for index, name in enumerate(scope.channels or ()):
            if name not in known:
                message = f"the catalogue has no channel '{name}'{did_you_mean(name, known)}"
                self.problems.append(self.document.problem((*loc, "channels", index), message))
        covered = [scope.channels is None or name in scope.channels for name in known]
        return np.array(covered, dtype=np.bool_)

    def _check(self, loc: Loc, scope: Scoped) -> None:
        before = len(self.problems)
        for key, name, owner, known in self._names(scope):
            if name is not None and name not in known:
                message = f"{owner} has no {key} '{name}'{did_you_mean(name, known)}"
                self.problems.append(self.document.problem((*loc, key), message))
        action = None if scope.action is None else self.catalogue.action_index.get(scope.action)
        if action is not None and len(self.problems) == before:
            found = self.catalogue.actions[action]
            if scope.issue not in (None, found.issue) or scope.group not in (None, found.group):
                message = f"'{found.name}' is in group '{found.group}' of issue '{found.issue}'"
                self.problems.append(self.document.problem((*loc, "action"), message))

    def _names(self, scope: Scoped) -> Iterator[tuple[str, str | None, str, Collection[str]]]:
        groups = {
            group for issue, names in self.groups.items() if scope.issue in (None, issue) for group in names
        }
        owner = f"issue '{scope.issue}'" if scope.issue else "the catalogue"
        yield "issue", scope.issue, "the catalogue", self.groups
        yield "group", scope.group, owner, groups
        yield "action", scope.action, "the catalogue", self.catalogue.action_index
