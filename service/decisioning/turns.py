"""Turns: at each rank of each slot one action is chosen among those that may stand there.

Which turns a batch may take is known ahead, so whatever does not hang on earlier choices is computed for all
of them at once. Requests take theirs at the same time, each at a slot and a rank of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.decisioning.slate_rules import NOBODY


@dataclass(frozen=True, slots=True)
class Turns:
    """The T turns that requests may take at V slots that they ask for, in order of (row, slot, rank).

    row, slot    V  of each visit to a slot
    end          V  the turn after the last one of the visit
    visit        T  of each turn
    rank, left   T  from 1, and how many ranks there are, this one among them
    first, stop  R  of each request that takes any: its first turn, and the one after its last
    siblings     V x m  all visits of the same request, in any order; some may stand there twice
    """

    row: NDArray[np.intp]
    slot: NDArray[np.intp]
    end: NDArray[np.intp]
    visit: NDArray[np.intp]
    rank: NDArray[np.intp]
    left: NDArray[np.intp]
    first: NDArray[np.intp]
    stop: NDArray[np.intp]
    siblings: NDArray[np.intp]

    @classmethod
    def of(cls, limits: NDArray[np.integer], most: int, row: int = 0) -> "Turns":
        """Those of n requests, from a `row` on, that ask for so many actions of each slot (n x S); there are
        `most` of them."""
        limits = np.minimum(limits, most, dtype=np.intp)
        rows, slot = limits.nonzero()
        asked = limits[rows, slot]
        end = asked.cumsum()
        visits = np.arange(len(rows))
        visit = visits.repeat(asked)
        left = end[visit] - np.arange(len(visit))
        rank = asked[visit] - left + 1
        begins = np.ones(len(rows), np.bool_)
        np.not_equal(rows[1:], rows[:-1], out=begins[1:])
        first = begins.nonzero()[0]
        rows = rows + row
        if len(first) == len(rows):
            return cls(rows, slot, end, visit, rank, left, end - asked, end, visits[:, None])
        last = np.append(first[1:], len(rows)) - 1
        among = first[:, None] + np.arange((last - first).max() + 1)
        siblings = np.minimum(among, last[:, None])[begins.cumsum() - 1]
        return cls(rows, slot, end, visit, rank, left, (end - asked)[first], end[last], siblings)

    def __len__(self) -> int:
        return len(self.visit)


Take = Callable[[NDArray[np.intp], NDArray[np.float64]], NDArray[np.intp]]
"""Chooses at some turns; see `Choices`."""


class Choices(Protocol):
    """Who is chosen at each of T turns."""

    def take(self, turns: NDArray[np.intp], scores: NDArray[np.float64]) -> NDArray[np.intp]:
        """Choose at m of the turns, each of a request of its own: nobody (-1) where there is no candidate.

        `scores` is m x A: the priority of who may be chosen, -inf for who may not; all candidates of one turn
        are of the same class: mandatory, or of the same tier. It is read-only, and nobody writes to it later.
        """
        ...

    def stated(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """When all is chosen, T each: with which probability each choice was made, and the priority that
        leaving it to chance gave up. 1 and 0 for turns that were not taken."""
        ...


class Chooser(Protocol):
    """How candidates are chosen."""

    def __call__(self, turns: Turns, scores: NDArray[np.float64]) -> Choices:
        """For some turns; `scores` is V x A: before any is taken, the priority of who may be chosen at each
        visit, -inf for who may not."""
        ...


class Best:
    """The highest priority; of equal ones the action that stands first in the catalogue."""

    def __init__(self, turns: Turns, scores: NDArray[np.float64]) -> None:
        self._turns = len(turns)

    def take(self, turns: NDArray[np.intp], scores: NDArray[np.float64]) -> NDArray[np.intp]:
        return or_nobody(scores.argmax(axis=1), scores)

    def stated(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.ones(self._turns), np.zeros(self._turns)


def or_nobody(choice: NDArray[np.intp], scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """The choice of m turns, and nobody (-1, in place) where that is no candidate."""
    choice[scores[np.arange(len(choice)), choice] == -np.inf] = NOBODY
    return choice
