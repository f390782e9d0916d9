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
    def of(cls, limits: NDArray[np.integer], most: int) -> "Turns":
        """Those of n requests that ask for so many actions of each slot (n x S); there are `most` of them."""
        limits = np.minimum(limits, most, dtype=np.intp)
        row, slot = limits.nonzero()
        asked = limits[row, slot]
        end = asked.cumsum()
        visits = np.arange(len(row))
        visit = visits.repeat(asked)
        left = end[visit] - np.arange(len(visit))
        begins = np.ones(len(row), np.bool_)
        np.not_equal(row[1:], row[:-1], out=begins[1:])
        first = begins.nonzero()[0]
        if len(first) == len(row):
            return cls(
                row, slot, end, visit, asked[visit] - left + 1, left, end - asked, end, visits[:, None]
            )
        last = np.append(first[1:], len(row)) - 1
        request = begins.cumsum() - 1
        among = first[:, None] + np.arange((last - first).max() + 1)
        siblings = np.minimum(among, last[:, None])[request]
        return cls(
            row, slot, end, visit, asked[visit] - left + 1, left, (end - asked)[first], end[last], siblings
        )

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

    def __call__(self, rows: NDArray[np.intp], slots: NDArray[np.intp], ranks: NDArray[np.intp]) -> Choices:
        """For T turns of some rows of the batch, each at a slot and a rank; ranks count from 1."""
        ...


class Best:
    """The highest priority; of equal ones the action that stands first in the catalogue."""

    def __init__(self, rows: NDArray[np.intp], slots: NDArray[np.intp], ranks: NDArray[np.intp]) -> None:
        self._turns = len(rows)

    def take(self, turns: NDArray[np.intp], scores: NDArray[np.float64]) -> NDArray[np.intp]:
        return best_of(scores)[0]

    def stated(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.ones(self._turns), np.zeros(self._turns)


def best_of(scores: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The best candidate of each turn and its score; nobody (-1) and -inf where there is none."""
    best = scores.argmax(axis=1)
    top = scores[np.arange(len(best)), best]
    best[top == -np.inf] = NOBODY
    return best, top
