"""Objectives from objectives.yaml: what is to be reached, and by when."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import compress
from math import isfinite
from pathlib import Path

from feature_store.documents import Document, Problem, WorkspaceError, load_document, parse
from service.decisioning.catalogue import Catalogue
from service.workspace.coverage import Coverage
from service.workspace.shapes.objectives import Metric, ObjectiveDocument, ObjectivesDocument

RATES = ("acceptance_rate",)
"""Metrics that are shares, from 0 to 1; the others add up."""


@dataclass(frozen=True)
class Objective:
    """At least `target` of a metric, of some actions (by name) in some channels, between two moments in epoch
    seconds, the end exclusive."""

    name: str
    metric: Metric
    target: float
    start: float
    end: float
    actions: frozenset[str]
    channels: frozenset[str]
    description: str = ""

    @property
    def is_rate(self) -> bool:
        """Whether it is a share, and not a sum."""
        return self.metric in RATES


def load_objectives(
    folder: Path, catalogue: Catalogue, groups: Mapping[str, Collection[str]]
) -> tuple[Objective, ...]:
    """Read objectives.yaml; without the file there are none.

    Raises:
        WorkspaceError: with every problem and its line.
    """
    path = folder / "objectives.yaml"
    if not path.exists():
        return ()
    document, problems = load_document(path), list[Problem]()
    coverage = Coverage(document, catalogue, groups, problems)
    entries = parse(document, ObjectivesDocument).objectives
    objectives = tuple(_objective(coverage, name, entry) for name, entry in entries.items())
    if problems:
        raise WorkspaceError(problems)
    return objectives


def _objective(coverage: Coverage, name: str, entry: ObjectiveDocument) -> Objective:
    loc = ("objectives", name)
    coverage.problems.extend(_period_problems(coverage.document, name, entry))
    if entry.metric in RATES and entry.target > 1:
        message = f"is a share from 0 to 1, such as 0.03 for 3 %, not {entry.target:g}"
        coverage.problems.append(coverage.document.problem((*loc, "target"), message))
    catalogue = coverage.catalogue
    actions = compress((action.name for action in catalogue.actions), coverage.actions(loc, entry))
    channels = compress((channel.name for channel in catalogue.channels), coverage.channels(loc, entry))
    return Objective(
        name=name,
        metric=entry.metric,
        target=entry.target,
        start=entry.starts_at,
        end=entry.ends_at,
        actions=frozenset(actions),
        channels=frozenset(channels),
        description=entry.description,
    )


def _period_problems(document: Document, name: str, entry: ObjectiveDocument) -> list[Problem]:
    loc = ("objectives", name)
    missing = " and ".join(f"'{key}'" for key in ("start", "end") if getattr(entry, key) is None)
    if missing:
        return [document.problem(loc, f"needs its {missing}: an objective is to be reached in a time")]
    if entry.starts_at >= entry.ends_at:
        return [document.problem((*loc, "end"), "is not after 'start': the objective has no time")]
    if not (isfinite(entry.starts_at) and isfinite(entry.ends_at)):
        return [document.problem(loc, "can't begin before year 1 or end after year 9999")]
    return []
