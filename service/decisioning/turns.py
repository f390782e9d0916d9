"""Turns: at each rank of each slot one action is chosen among those that may stand there.

Requests take their turns at the same time, each at a slot and a rank of its own.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.decisioning.exploration import Turn


class Chooser(Protocol):
    """How one of the candidates of a turn is chosen."""

    def __call__(
        self,
        rows: NDArray[np.intp],
        slots: NDArray[np.intp],
        ranks: NDArray[np.intp],
        scores: NDArray[np.float64],
    ) -> Turn:
        """Choose for m `rows` of the batch, each at its slot and rank (m); ranks count from 1. `scores` is
        m x A: the priority of who may be chosen, -inf for who may not. Each row has at least one candidate,
        and all of one row are of the same class: mandatory, or of the same tier. All is read-only,
        and holds for this turn alone."""
        ...


def take_best(
    rows: NDArray[np.intp],
    slots: NDArray[np.intp],
    ranks: NDArray[np.intp],
    scores: NDArray[np.float64],
) -> Turn:
    """The highest priority; of equal ones the action that stands first in the catalogue."""
    return Turn(scores.argmax(axis=1), np.ones(len(rows)), np.zeros(len(rows)))


def take_turn(
    choose: Chooser,
    rows: NDArray[np.intp],
    slots: NDArray[np.intp],
    ranks: NDArray[np.intp],
    scores: NDArray[np.float64],
) -> tuple[NDArray[np.intp], Turn]:
    """The turn of those of m rows that have a candidate: which they are, and their choices."""
    some = (scores > -np.inf).any(axis=1)
    at = np.flatnonzero(some)
    if not at.size:
        return at, Turn(at, np.empty(0), np.empty(0))
    if len(at) == len(rows):
        return at, choose(rows, slots, ranks, scores)
    return at, choose(rows[at], slots[at], ranks[at], scores[at])
