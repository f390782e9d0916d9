"""Why each candidate was or was not chosen: read off the decision itself, so it is exact and has no side
effects."""

from dataclasses import dataclass

import numpy as np

from service.decisioning.pipeline import Decisions
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import STILL_IN, Stage


@dataclass(frozen=True, slots=True)
class Candidate:
    """One action of the catalogue in one decision: `stage`, `rule` and `meaning` say what took it out (None
    when it was chosen); the factors are None where the candidate was out before they were computed."""

    issue: str
    group: str
    action: str
    stage: Stage | None
    rule: str | None
    meaning: str | None
    propensity: float | None
    context_weight: float | None
    value: float
    lever: float
    priority: float | None


def explain(snapshot: Snapshot, decisions: Decisions, row: int, *, everything: bool) -> list[Candidate]:
    """The candidates of one request, the highest priority first; those without one follow in catalogue order.

    With `everything` False only the candidates that reached arbitration.
    """
    priority = decisions.priority[row]
    order = np.argsort(np.where(np.isnan(priority), np.inf, -priority), kind="stable")
    candidates = (_candidate(snapshot, decisions, row, int(action)) for action in order)
    return [candidate for candidate in candidates if everything or _arbitrated(candidate)]


def _arbitrated(candidate: Candidate) -> bool:
    return candidate.stage in (None, Stage.SLATE)


def _candidate(snapshot: Snapshot, decisions: Decisions, row: int, index: int) -> Candidate:
    action = snapshot.catalogue.actions[index]
    code = int(decisions.removed_by[row, index])
    removal = None if code == STILL_IN else snapshot.removals[code]
    scored = not np.isnan(decisions.propensity[row, index])
    return Candidate(
        issue=action.issue,
        group=action.group,
        action=action.name,
        stage=removal.stage if removal else None,
        rule=removal.rule if removal else None,
        meaning=removal.meaning if removal else None,
        propensity=float(decisions.propensity[row, index]) if scored else None,
        context_weight=float(decisions.context_weight[row, index]) if scored else None,
        value=action.value,
        lever=action.lever,
        priority=float(decisions.priority[row, index]) if scored else None,
    )
