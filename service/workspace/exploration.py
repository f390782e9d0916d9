"""Exploration as a workspace declares it."""

from feature_store.documents import Document, Loc, Problem
from service.decisioning.arbitration import Arbitration
from service.decisioning.exploration import Exploration
from service.workspace.shapes.exploration import ExplorationDocument

NONE = Exploration()


def read_exploration(
    document: Document,
    loc: Loc,
    entry: ExplorationDocument | None,
    arbitration: Arbitration,
    problems: list[Problem],
    standard: Exploration = NONE,
) -> Exploration:
    """How is explored under an arbitration; without an entry as is `standard`."""
    exploration = standard if entry is None else Exploration(**entry.model_dump())
    if exploration.method == "thompson" and not arbitration.propensity:
        message = "'thompson' draws propensities, and the arbitration has them switched off"
        problems.append(document.problem((*loc, "method"), message))
    return exploration
