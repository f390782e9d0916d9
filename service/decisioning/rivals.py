"""Rivals: whom each candidate of a request had to exceed, turn by turn.

The slate is filled in turns, and until a candidate wins one it changes nothing for the others. So, were its
priority another one, it would win the first turn in which it may take part and exceeds the best of the
others. The least of these bests is exactly what it had to exceed, with limits, bundles, tiers and fallbacks.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.decisioning.retracing import RetracedTurn, Retracing
from service.decisioning.turns import NOBODY


@dataclass(frozen=True, slots=True)
class Rivals:
    """Whom the candidates had to exceed, A each.

    priority  inf where no priority is enough, or the draw decided; -inf where a place was free
    best      who had that priority, the last of equal ones; nobody (-1) where a place was free
    slot      where
    """

    priority: NDArray[np.float64]
    best: NDArray[np.intp]
    slot: NDArray[np.intp]

    @classmethod
    def of(cls, retracing: Retracing, turns: Iterable[RetracedTurn]) -> "Rivals":
        """Those of one request, from its turns."""
        lost = retracing.lost.copy()
        priority = np.full(len(lost), np.inf)
        best, slot = np.full((2, len(lost)), NOBODY, np.intp)
        for turn in turns:
            easier = (turn.priority < priority) | ((turn.priority == priority) & (turn.best > best))
            lower = turn.enters & easier
            priority[lower], best[lower], slot[lower] = turn.priority, turn.best, turn.slot
            if turn.best != NOBODY:
                lost[turn.best] = False  # it has won, or the draw was against it
        return cls(np.where(lost, priority, np.inf), best, slot)
