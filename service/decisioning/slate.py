"""The slate: candidates into placements, the best first.

The placements of an answer are filled jointly: slot after slot in catalogue order, rank by rank, all sharing
the rules of the slate. At each turn mandatory actions come first, then tier after tier, then the highest
priority; of equal ones the action that stands first in the catalogue, so that the order is total and the same
on every machine. Fallbacks come in a second round, for the slots that are still empty.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.contest import Contest
from service.decisioning.headroom import headroom
from service.decisioning.slate_rules import NOBODY
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import DO_NOTHING, FALLBACK_NOT_NEEDED, NOT_IN_PLACEMENT, OUTRANKED, STILL_IN
from service.decisioning.treatments import Said
from service.decisioning.turns import Chooser, take_best, take_turn


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
    choose: Chooser = take_best,
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
    filling = _Filling(
        snapshot, batch, removed_by == STILL_IN, priority, said or Said(snapshot.catalogue), contest, choose
    )
    filling.fill()
    left = filling.free & ~filling.chosen
    if contest is not None:
        contest.share_reasons(filling.chosen)
        removed_by[left] = contest.kept_out[left]
    empty_row, empty_slot = filling.empty()
    empty_code = _empty_codes(snapshot, removed_by, empty_row, empty_slot)
    if contest is not None:
        left &= removed_by == STILL_IN
    removed_by[left] = OUTRANKED
    if filling.unneeded is not None:
        removed_by[left & filling.unneeded] = FALLBACK_NOT_NEEDED
    return Slate(*(*filling.columns(), empty_row, empty_slot, empty_code))


class _Filling:
    """The slate of one batch while it is being filled.

    free      n x A  the candidates
    chosen    n x A  those that have a place
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
        self.free, self.chosen = free, np.zeros_like(free)
        self.unneeded: NDArray[np.bool_] | None = None
        self._batch, self._priority, self._said = batch, priority, said
        self._contest, self._choose = contest, choose
        self._duplicates = snapshot.slate_policy.duplicates
        self._fallbacks = snapshot.catalogue.fallbacks
        self._filled = np.zeros_like(batch.limits, dtype=np.bool_)
        self._picks: list[tuple[NDArray[Any], ...]] = []

    def fill(self) -> None:
        """Every slot with the candidates; then, where that left one empty, with fallbacks."""
        if self._fallbacks is None:
            self._round(self.free)
            return
        self._round(self.free & ~self._fallbacks)
        self.unneeded = self.free & self._fallbacks
        self._round(self.unneeded.copy())

    def empty(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The (row, slot) of every slot that was asked for and has nothing, in that order."""
        rows, slots = np.nonzero((self._batch.limits > 0) & ~self._filled)
        return rows, slots

    def columns(self) -> tuple[NDArray[Any], ...]:
        """The columns of what was chosen, in order of (row, slot, rank)."""
        if not self._picks:
            return tuple(np.empty(0, kind) for kind in (np.intp,) * 7 + (np.float64,) * 2)
        row, slot, rank, action, treatment, probability, cost, *bundled = map(
            np.concatenate, zip(*self._picks, strict=True)
        )
        # ranks are in order already: a stable sort by row and slot keeps them so
        order = np.argsort(row * self._filled.shape[1] + slot, kind="stable")
        if bundled:
            bundle, position = _together(bundled[0][order], bundled[1][order])
        else:
            bundle, position = np.full_like(row, NOBODY), np.zeros_like(row)
        found = tuple(column[order] for column in (row, slot, rank, action, treatment))
        return (*found, bundle, position, probability[order], cost[order])

    def _round(self, among: NDArray[np.bool_]) -> None:
        """Every request takes its turns, all of them at the same time: each rank by rank in a slot of its
        own, and then in its next one."""
        visit = _Visit(self._batch.limits, (self._batch.limits > 0) & ~self._filled, among.shape[1])
        places = None if self._contest is None else self._contest.places(len(self._batch))
        self._enter(visit, np.arange(len(self._batch)), among)
        while (rows := visit.rows).size:
            slots, ranks, scores = visit.slot, visit.rank, visit.scores
            if places is None:
                at, turn = take_turn(self._choose, rows, slots, ranks, scores)
                bundled: tuple[NDArray[np.intp], ...] = ()
            else:
                at, turn = places.take_turn(self._choose, rows, slots, ranks, scores, visit.left)
                bundled = (places.bundle[rows[at]], places.position[rows[at]])
            won, slots, ranks = rows[at], slots[at], ranks[at]
            self.chosen[won, turn.choice] = True
            self._filled[won, slots] = True
            said = visit.treatments[at, turn.choice]
            self._picks.append(
                (won, slots, ranks, turn.choice, said, turn.probability, turn.expected_cost, *bundled)
            )
            done = visit.took(at, turn.choice)
            if done.size:
                if places is not None:
                    places.enter(rows[done])
                self._enter(visit, done, among)

    def _enter(self, visit: "_Visit", at: NDArray[np.intp], among: NDArray[np.bool_]) -> None:
        """The requests at these places of a visit go on to their next slot that has a candidate."""
        while (at := visit.next_slot(at)).size:
            rows = visit.rows[at]
            treatments = self._said.in_slots(visit.slot[at], rows)
            open_here = among[rows] & (treatments >= 0)
            if self.unneeded is not None:
                self.unneeded[rows] &= ~open_here
            if not self._duplicates:
                open_here &= ~self.chosen[rows]
            visit.treatments[at] = treatments
            visit.scores[at] = np.where(open_here, self._priority[rows], -np.inf)
            at = at[~open_here.any(axis=1)]
        visit.end()


class _Visit:
    """The m requests that are on their way through their slots.

    rows        m      the requests
    slot        m      the slot that is being filled; nobody's (-1) where all are done
    rank, left  m      of the next turn there, from 1, and how many ranks there are, this one among them
    scores      m x A  the priority of who may still be chosen there, -inf for the others
    treatments  m x A  with which they would be said
    """

    def __init__(self, limits: NDArray[np.int32], asked: NDArray[np.bool_], actions: int) -> None:
        self._limits, self._asked = limits, asked
        self.rows = np.arange(len(asked))
        self.slot = np.full(len(asked), NOBODY, np.intp)
        self.rank = np.ones(len(asked), np.intp)
        self.left = np.zeros(len(asked), np.int32)
        self.scores = np.empty((len(asked), actions))
        self.treatments = np.empty((len(asked), actions), np.int32)

    def next_slot(self, at: NDArray[np.intp]) -> NDArray[np.intp]:
        """Let some go on to their next slot: those that have one."""
        if not at.size:
            return at
        rows = self.rows[at]
        asked = self._asked[rows]
        slot = asked.argmax(axis=1)
        goes_on: NDArray[np.bool_] = asked[np.arange(len(at)), slot]
        self.slot[at] = np.where(goes_on, slot, NOBODY)
        self.rank[at], self.left[at] = 1, self._limits[rows, slot]
        self._asked[rows, slot] = False
        return at[goes_on]

    def took(self, at: NDArray[np.intp], choice: NDArray[np.intp]) -> NDArray[np.intp]:
        """After a turn at which those `at` these places have chosen: who is done with their slot."""
        self.scores[at, choice] = -np.inf
        self.rank[at] += 1
        self.left[at] -= 1
        stays = np.zeros(len(self.rows), np.bool_)
        stays[at] = self.left[at] > 0
        return np.flatnonzero(~stays)

    def end(self) -> None:
        """Let those go that are done with all."""
        stays = self.slot != NOBODY
        if not stays.all():
            for name in ("rows", "slot", "rank", "left", "scores", "treatments"):
                setattr(self, name, getattr(self, name)[stays])


def _together(
    bundle: NDArray[np.intp], position: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The same, but whose bundle nobody else came with stands for itself."""
    alone = position == 1
    alone[:-1] &= position[1:] != 2
    return np.where(alone, NOBODY, bundle), np.where(alone, 0, position)


def _empty_codes(
    snapshot: Snapshot, removed_by: NDArray[np.int32], rows: NDArray[np.intp], slots: NDArray[np.intp]
) -> NDArray[np.intp]:
    """For each empty slot the code of the first of the actions with a treatment there that got furthest."""
    if not removed_by.shape[1]:
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
