"""The slate: candidates into placements, the best first.

The placements of an answer are filled jointly: slot after slot in catalogue order, rank by rank, all sharing
the rules of the slate. At each turn mandatory actions come first, then tier after tier, then the highest
priority; of equal ones the action that stands first in the catalogue, so that the order is total and the same
on every machine. Fallbacks come in a second round, for the slots that are still empty.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.contest import Contest
from service.decisioning.headroom import headroom
from service.decisioning.slate_rules import NOBODY
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import DO_NOTHING, FALLBACK_NOT_NEEDED, NOT_IN_PLACEMENT, OUTRANKED, STILL_IN
from service.decisioning.treatments import Said
from service.decisioning.turns import Best, Chooser, Take, Turns

MOST_CELLS = 1 << 18
"""Turns x actions that are looked at together, so that memory does not grow with the batch."""


@dataclass(frozen=True, slots=True)
class Slate:
    """What was chosen, as flat columns in order of (row, slot, rank), and the slots that stay empty.

    row, slot, rank, action, treatment   one entry per chosen action; rank counts from 1
    bundle, position                     the bundle that it stands in, -1 for none, and its place there from 1
    selection_probability                with which the policy chose this action at this rank's turn
    expected_cost                        the priority that leaving this turn to chance gave up
    empty_row, empty_slot, empty_code    one entry per empty slot; the code of the removal (see
                                         `Snapshot.removals`) by which the last of its candidates went
    """

    row: NDArray[np.intp]
    slot: NDArray[np.intp]
    rank: NDArray[np.intp]
    action: NDArray[np.intp]
    treatment: NDArray[np.intp]
    bundle: NDArray[np.intp]
    position: NDArray[np.intp]
    selection_probability: NDArray[np.float64]
    expected_cost: NDArray[np.float64]
    empty_row: NDArray[np.intp]
    empty_slot: NDArray[np.intp]
    empty_code: NDArray[np.intp]


def fill(
    snapshot: Snapshot,
    batch: Batch,
    removed_by: NDArray[np.int32],
    priority: NDArray[np.float64],
    said: Said | None = None,
    mandatory: NDArray[np.bool_] | None = None,
    choose: Chooser = Best,
) -> Slate:
    """Fill every slot asked for; marks in `removed_by` (in place) the candidates that were not chosen.

    `said` has the treatments; without it no rule takes one out. `mandatory` (n x A) says who comes first of
    all. `choose` chooses at each turn; without it the best.
    """
    contest = None
    caps = headroom(snapshot.contact, batch, duplicates=snapshot.slate_policy.duplicates)
    if caps is not None or Contest.needed(snapshot, batch, mandatory):
        contest = Contest(snapshot, batch, removed_by, mandatory, caps)
        contest.drop_incomplete(removed_by)
    free = removed_by == STILL_IN
    filling = _Filling(snapshot, batch, free, priority, said or Said(snapshot.catalogue), contest, choose)
    picks = filling.fill()
    row, slot, action = picks.row, picks.slot, picks.action
    left = free
    left[row, action] = False
    if contest is not None:
        contest.share_reasons(row, action)
        removed_by[left] = contest.kept_out[left]
    empty = batch.limits > 0
    empty[row, slot] = False
    empty_row, empty_slot = empty.nonzero()
    empty_code = _empty_codes(snapshot, removed_by, empty_row, empty_slot)
    if contest is not None:
        left &= removed_by == STILL_IN
    np.copyto(removed_by, OUTRANKED, where=left)
    if filling.unneeded is not None:
        removed_by[left & filling.unneeded] = FALLBACK_NOT_NEEDED
    return Slate(*picks, empty_row, empty_slot, empty_code)


class _Picks(NamedTuple):
    """The first columns of a slate."""

    row: NDArray[np.intp]
    slot: NDArray[np.intp]
    rank: NDArray[np.intp]
    action: NDArray[np.intp]
    treatment: NDArray[np.intp]
    bundle: NDArray[np.intp]
    position: NDArray[np.intp]
    selection_probability: NDArray[np.float64]
    expected_cost: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: "Sequence[_Picks]", slots: int) -> "_Picks":
        """Those of several parts, in order of (row, slot, rank); in each part they are so already."""
        if len(parts) == 1:
            return parts[0]
        joined = cls(*map(np.concatenate, zip(*parts, strict=True)))
        order = np.argsort(joined.row * slots + joined.slot, kind="stable")
        return cls(**{name: column[order] for name, column in joined._asdict().items()})


class _Filling:
    """The slate of one batch while it is being filled.

    free      n x A  the candidates
    unneeded  n x A  fallbacks that were not considered; None where the catalogue has none
    """

    def __init__(
        self,
        snapshot: Snapshot,
        batch: Batch,
        free: NDArray[np.bool_],
        priority: NDArray[np.float64],
        said: Said,
        contest: Contest | None,
        choose: Chooser,
    ) -> None:
        self._free, self._limits, self._priority = free, batch.limits, priority
        self._said, self._contest, self._choose = said, contest, choose
        self._duplicates = snapshot.slate_policy.duplicates
        self._fallbacks = snapshot.catalogue.fallbacks
        self.unneeded = None if self._fallbacks is None else free & self._fallbacks

    def fill(self) -> _Picks:
        """What is chosen."""
        parts = [picks for rows in self._parts() for picks in self._rounds(rows)]
        picks = _Picks.joined(parts, self._limits.shape[1])
        return picks if self._contest is None else _together(picks)

    def _parts(self) -> Iterator[slice]:
        """The requests, so many at once that there is room for all their turns."""
        rows, cells = len(self._limits), int(self._limits.sum()) * self._free.shape[1]
        together = rows if cells <= MOST_CELLS else max(1, rows * MOST_CELLS // cells)
        for first in range(0, max(1, rows), max(1, together)):
            yield slice(first, first + together)

    def _rounds(self, rows: slice) -> Iterator[_Picks]:
        """Every slot with the candidates; then, where that left one empty, with fallbacks."""
        limits = self._limits[rows]
        if self._fallbacks is None:
            yield self._round(rows, limits, self._free)
            return
        chosen = self._round(rows, limits, self._free & ~self._fallbacks)
        yield chosen
        limits = limits.copy()
        limits[chosen.row - rows.start, chosen.slot] = 0
        yield self._round(rows, limits, self._free & self._fallbacks, last=True)

    def _round(
        self, rows: slice, limits: NDArray[np.int32], among: NDArray[np.bool_], *, last: bool = False
    ) -> _Picks:
        """Every one of some requests takes its turns, all of them at the same time."""
        turns = Turns.of(limits, among.shape[1], rows.start)
        row, slot = turns.row, turns.slot
        treatments = self._said.in_slots(slot, row)
        is_open = among[row] & (treatments >= 0)
        if last and self.unneeded is not None:
            visit, action = is_open.nonzero()
            self.unneeded[row[visit], action] = False
        scores = np.where(is_open, self._priority[row], -np.inf)
        choices = self._choose(turns, scores)
        places = None if self._contest is None else self._contest.places(turns, choices)
        action = self._take(turns, scores, choices.take if places is None else places.take)
        taken = (action != NOBODY).nonzero()[0]
        visit, action = turns.visit[taken], action[taken]
        probability, cost = choices.stated()
        return _Picks(
            row=row[visit],
            slot=slot[visit],
            rank=turns.rank[taken],
            action=action,
            treatment=treatments[visit, action],
            bundle=np.full_like(taken, NOBODY) if places is None else places.bundle[taken],
            position=np.zeros_like(taken) if places is None else places.position[taken],
            selection_probability=probability[taken],
            expected_cost=cost[taken],
        )

    def _take(self, turns: Turns, scores: NDArray[np.float64], takes: Take) -> NDArray[np.intp]:
        """T: who is chosen at each turn. `scores` (V x A) is written to: who is chosen is out."""
        action = np.full(len(turns), NOBODY, np.intp)
        turn, stop = turns.first, turns.stop
        while turn.size:
            visit = turns.visit[turn]
            choice = takes(turn, scores[visit])
            action[turn] = choice
            taken = choice != NOBODY
            after = turn + 1
            if not taken.all():
                after = np.where(taken, after, turns.end[visit])
                visit, choice = visit[taken], choice[taken]
            if self._duplicates:
                scores[visit, choice] = -np.inf
            else:
                scores[turns.siblings[visit], choice[:, None]] = -np.inf
            goes_on = after < stop
            turn, stop = (after, stop) if goes_on.all() else (after[goes_on], stop[goes_on])
        return action


def _together(picks: _Picks) -> _Picks:
    """The same, but whose bundle nobody else came with stands for itself."""
    alone = picks.position == 1
    alone[:-1] &= picks.position[1:] != 2
    return picks._replace(
        bundle=np.where(alone, NOBODY, picks.bundle), position=np.where(alone, 0, picks.position)
    )


def _empty_codes(
    snapshot: Snapshot, removed_by: NDArray[np.int32], rows: NDArray[np.intp], slots: NDArray[np.intp]
) -> NDArray[np.intp]:
    """For each empty slot the code of the first of the actions with a treatment there that got furthest."""
    if not len(rows) or not removed_by.shape[1]:
        return np.full(len(rows), NOT_IN_PLACEMENT, np.intp)
    said = snapshot.catalogue.slot_treatments[slots] >= 0
    codes = removed_by[rows]
    # who was kept out in the last stage says more than who is placed elsewhere, and who was worth less than
    # doing nothing had passed the thresholds
    progress = 3 * snapshot.removal_stages[codes] + (codes != STILL_IN) + (codes == DO_NOTHING)
    reached = np.where(said, progress, -1)
    furthest = reached.argmax(axis=1)
    at = np.arange(len(rows))
    return np.where(reached[at, furthest] < 0, NOT_IN_PLACEMENT, codes[at, furthest]).astype(np.intp)
