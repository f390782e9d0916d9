"""Rivals: whom each candidate of a request had to exceed, turn by turn.

The slate is filled in turns, and until a candidate wins one it changes nothing for the others. So, were its
priority another one, it would win the first turn in which it may take part and exceeds the best of the
others. The least of these bests is exactly what it had to exceed, with limits, bundles, tiers and fallbacks.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.decisioning.contest import Contest
from service.decisioning.headroom import headroom
from service.decisioning.pipeline import Decisions
from service.decisioning.slate_rules import NOBODY
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import STILL_IN

_ROW = np.zeros(1, np.intp)
"""The only request of a batch of one."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a request.

    enters  A  who may be chosen, and who might be if they passed the barriers
    best       the best of who may be chosen; nobody (-1) where the place is free for who enters
    priority   that of the best; -inf where there is none
    """

    slot: int
    enters: NDArray[np.bool_]
    best: int
    priority: float


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
    def of(cls, snapshot: Snapshot, decisions: Decisions, row: int) -> "Rivals":
        """Those of one request."""
        filling = _Filling(snapshot, decisions, row)
        priority = np.full(len(snapshot.catalogue.actions), np.inf)
        best, slot = np.full((2, len(priority)), NOBODY, np.intp)
        lost = filling.free | filling.barred
        lost &= decisions.removed_by[row] != STILL_IN
        for turn in filling.turns():
            easier = (turn.priority < priority) | ((turn.priority == priority) & (turn.best > best))
            lower = turn.enters & easier
            priority[lower], best[lower], slot[lower] = turn.priority, turn.best, turn.slot
            if turn.best != NOBODY:
                lost[turn.best] = False  # it has won, or the draw was against it
        return cls(np.where(lost, priority, np.inf), best, slot)


class _Filling:
    """The slate of one request, filled once more with what was chosen.

    free    A  who was there when the slate was begun: every other reason to be out is one of the slate
    barred  A  who was out because of a threshold, or of what a contact costs, and of nothing else. Not who
               stands in a bundle: if they came, the others of it would, too
    """

    def __init__(self, snapshot: Snapshot, decisions: Decisions, row: int) -> None:
        batch, factors = decisions.batch.take(np.array([row])), decisions.factors
        self._said, self._at = decisions.said, np.array([row])
        self._limits = batch.limits[0].tolist()
        self._duplicates = snapshot.slate_policy.duplicates
        self._fallbacks = snapshot.catalogue.fallbacks
        self._priority = factors.priority[row]
        self._picks = _picks(decisions, row)
        self._chosen = np.zeros(len(self._priority), np.bool_)
        codes, scored = decisions.removed_by[self._at], ~np.isnan(self._priority)
        barred = np.isin(codes, list(snapshot.barrier_codes.values()))
        before = np.where(scored & ~barred & ~_withheld(snapshot, codes), STILL_IN, codes)
        mandatory = None if factors.mandatory is None else factors.mandatory[self._at]
        caps = headroom(snapshot.contact, batch, duplicates=self._duplicates)
        self._contest = Contest(snapshot, batch, before, mandatory, caps)
        self._contest.drop_incomplete(before)
        self.free = before[0] == STILL_IN
        self.barred = barred[0] & scored
        for bundle in snapshot.slate_policy.bundles:
            self.barred[list(bundle.actions)] = False
        if decisions.assigned.withheld is not None:
            self.barred &= decisions.assigned.withheld[row] == 0

    def turns(self) -> Iterator[Turn]:
        """The turns in their order, and one more for each placement that was not filled up."""
        asked = [slot for slot, limit in enumerate(self._limits) if limit]
        if self._fallbacks is None:
            yield from self._round(asked, np.ones_like(self.free))
            return
        yield from self._round(asked, ~self._fallbacks)
        empty = [slot for slot in asked if all(self._fallbacks[action] for action, _ in self._of(slot))]
        yield from self._round(empty, self._fallbacks)

    def _of(self, slot: int) -> list[tuple[int, bool]]:
        return self._picks.get(slot, [])

    def _round(self, slots: list[int], among: NDArray[np.bool_]) -> Iterator[Turn]:
        for slot in slots:
            yield from self._of_slot(slot, among)

    def _of_slot(self, slot: int, among: NDArray[np.bool_]) -> Iterator[Turn]:
        fits = among & (self._said.in_slot(slot, self._at)[0] >= 0)
        if not self._duplicates:
            fits &= ~self._chosen
        scores = np.where(fits & self.free, self._priority, -np.inf)[None]
        picks = [(action, follows) for action, follows in self._of(slot) if among[action]]
        for rank in range(self._limits[slot]):
            ranks = np.array([self._limits[slot] - rank], np.int32)
            narrowed, shut = self._contest.narrowed(_ROW, scores, ranks)
            if rank == len(picks):
                yield from self._turn(slot, narrowed[0], fits & (shut[0] == 0))
                return
            action, follows = picks[rank]
            if not follows:
                yield from self._turn(slot, narrowed[0], fits & (shut[0] == 0))
            self._contest.chosen(_ROW, np.array([action]))
            self._chosen[action], scores[0, action] = True, -np.inf

    def _turn(self, slot: int, candidates: NDArray[np.float64], fits: NDArray[np.bool_]) -> Iterator[Turn]:
        """`candidates` has the priorities of the best class (A, -inf for the others), `fits` who has room.

        For the barred of a better class, and where there is no candidate, the place is free.
        """
        best, enters, barred = int(candidates.argmax()), candidates > -np.inf, self.barred & fits
        classes = None if self._contest.classes is None else self._contest.classes[0]
        better = np.zeros_like(barred)
        if not enters.any():
            better = barred
        elif classes is not None:
            better = barred & (classes < classes[best])
            barred &= classes == classes[best]
        if better.any():
            yield Turn(slot, better, NOBODY, -np.inf)
        if enters.any():
            yield Turn(slot, enters | barred, best, float(candidates[best]))


def _withheld(snapshot: Snapshot, codes: NDArray[np.int32]) -> NDArray[np.bool_]:
    """What experiments have taken from control groups."""
    first = snapshot.first_code("experiments")
    withheld: NDArray[np.bool_] = (codes >= first) & (codes < first + len(snapshot.experiments.removals))
    return withheld


def _picks(decisions: Decisions, row: int) -> dict[int, list[tuple[int, bool]]]:
    """What was chosen for each slot, rank by rank, and whether it only followed in a bundle."""
    slate = decisions.slate
    first, last = slate.row.searchsorted([row, row + 1]).tolist()
    picks: dict[int, list[tuple[int, bool]]] = {}
    for slot, action, position in zip(
        slate.slot[first:last].tolist(),
        slate.action[first:last].tolist(),
        slate.position[first:last].tolist(),
        strict=True,
    ):
        picks.setdefault(slot, []).append((action, position > 1))
    return picks
