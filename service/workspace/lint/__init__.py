"""What is allowed in a workspace and yet hardly meant: warnings, each with its file and line."""

from collections.abc import Callable, Iterator

from feature_store.documents import Problem
from service.workspace.lint import (
    actions,
    arbitration,
    contact,
    experiments,
    names,
    proportions,
    rules,
    slate,
    volumes,
)
from service.workspace.lint.subject import Subject
from service.workspace.loading import Workspace

LINTS: tuple[Callable[[Subject], Iterator[Problem]], ...] = (
    rules.impossible,
    rules.needless,
    rules.contradictory,
    rules.shadowed,
    rules.unmade_offers,
    actions.never_available,
    arbitration.worthless,
    arbitration.unreachable,
    arbitration.idle_weights,
    arbitration.idle_thresholds,
    actions.unplaced_treatments,
    actions.hidden_treatments,
    actions.empty_placements,
    proportions.levers,
    proportions.values,
    contact.idle,
    volumes.idle,
    slate.idle,
    experiments.idle,
    names.unused,
)


def warnings(workspace: Workspace, now: float) -> list[Problem]:
    """Everything that is hardly meant, in the order of files and lines. `now`, in epoch seconds, tells what
    has ended."""
    subject = Subject(workspace, now)
    found = dict.fromkeys(warning for lint in LINTS for warning in lint(subject))
    return sorted(found, key=lambda warning: (warning.file, warning.line, warning.path))
