"""Retracing: the turns of a request, taken once more with what was chosen.

A slate is a result: it has whom each turn chose, and not who else took part. That is asked again here, of the
rules of the slate as they stand, for one request that wants to know why.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.decisioning.contest import contest
from service.decisioning.pipeline import Decisions
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import STILL_IN
from service.decisioning.turns import NOBODY, narrow

_ROW = 0
"""The only request of a batch of one."""


@dataclass(frozen=True, slots=True)
class RetracedTurn:
    """One turn of a request.

    scores  A  the priorities of who may be chosen, all of one class; -inf for the others
    enters  A  who may be chosen, and who might be if they passed the barriers
    best       the best of who may be chosen; nobody (-1) where the place is free for who enters
    choice     who was chosen; nobody where the place was left free
    """

    slot: int
    rank: int
    scores: NDArray[np.float64]
    enters: NDArray[np.bool_]
    best: int
    choice: int

    @property
    def priority(self) -> float:
        """That of the best; -inf where there is none."""
        return -np.inf if self.best == NOBODY else float(self.scores[self.best])


class Retracing:
    """The turns of one request, taken once more with what was chosen.

    free    A  who was there when the slate was begun: every other reason to be out is one of the slate
    barred  A  who was out because of a threshold, or of what a contact costs, and of nothing else. Not who
               stands in a bundle: if they came, the others of it would, too
    lost    A  those of both who were not chosen
    """

    def __init__(self, snapshot: Snapshot, decisions: Decisions, row: int) -> None:
        batch, factors = decisions.batch.take(np.array([row])), decisions.factors
        self._said, self._row = decisions.said, row
        self._limits = batch.limits[0].tolist()
        self._duplicates = snapshot.slate_policy.duplicates
        self._fallbacks = snapshot.catalogue.fallbacks
        self._priority = factors.priority[row]
        self._picks = _picks(decisions, row)
        self._chosen = np.zeros(len(self._priority), np.bool_)
        codes, scored = decisions.removed_by[[row]], ~np.isnan(self._priority)
        barred = np.isin(codes, list(snapshot.barrier_codes.values()))
        before = np.where(scored & ~barred & ~_withheld(snapshot, codes), STILL_IN, codes)
        mandatory = None if factors.mandatory is None else factors.mandatory[[row]]
        self._rules = contest(snapshot, batch, mandatory)
        first = np.zeros_like(self._chosen) if mandatory is None else mandatory[0]
        self._classes = np.where(first, -1, self._rules.tiers)
        snapshot.slate_rules.drop_incomplete(before)
        self.free = before[0] == STILL_IN
        self.barred = barred[0] & scored
        for bundle in snapshot.slate_policy.bundles:
            self.barred[list(bundle.actions)] = False
        self.barred &= ~decisions.assigned.withholds(row)
        self.lost = (self.free | self.barred) & (codes[0] != STILL_IN)

    def turns(self) -> Iterator[RetracedTurn]:
        """The turns in their order, and one more for each placement that was not filled up."""
        asked = [slot for slot, limit in enumerate(self._limits) if limit and len(self.free)]
        if self._fallbacks is None:
            yield from self._round(asked, np.ones_like(self.free))
            return
        yield from self._round(asked, ~self._fallbacks)
        empty = [slot for slot in asked if all(self._fallbacks[action] for action, _ in self._of(slot))]
        yield from self._round(empty, self._fallbacks)

    def _of(self, slot: int) -> list[tuple[int, bool]]:
        return self._picks.get(slot, [])

    def _round(self, slots: list[int], among: NDArray[np.bool_]) -> Iterator[RetracedTurn]:
        for slot in slots:
            yield from self._of_slot(slot, among)

    def _of_slot(self, slot: int, among: NDArray[np.bool_]) -> Iterator[RetracedTurn]:
        fits = among & (self._said.in_slot(slot, self._row) >= 0)
        if not self._duplicates:
            fits &= ~self._chosen
        scores = np.where(fits & self.free, self._priority, -np.inf)
        picks = [(action, follows) for action, follows in self._of(slot) if among[action]]
        for rank in range(self._limits[slot]):
            field = narrow(self._rules, _ROW, self._limits[slot] - rank, scores)
            action, follows = picks[rank] if rank < len(picks) else (NOBODY, False)
            if not follows:
                yield from self._turn(slot, rank + 1, field.candidates, fits & (field.shut == 0), action)
            if action == NOBODY:
                return
            self._rules.left[_ROW] -= self._rules.counts[:, action]
            self._chosen[action], scores[action] = True, -np.inf

    def _turn(
        self, slot: int, rank: int, scores: NDArray[np.float64], fits: NDArray[np.bool_], choice: int
    ) -> Iterator[RetracedTurn]:
        """`scores` has the priorities of the best class (A, -inf for the others), `fits` who has room.

        For the barred of a better class, and where there is no candidate, the place is free.
        """
        best, enters, barred = int(scores.argmax()), scores > -np.inf, self.barred & fits
        classes = self._classes
        better = np.zeros_like(barred)
        if not enters.any():
            better = barred
        else:
            better = barred & (classes < classes[best])
            barred &= classes == classes[best]
        if better.any():
            yield RetracedTurn(slot, rank, np.full_like(scores, -np.inf), better, NOBODY, NOBODY)
        if enters.any():
            yield RetracedTurn(slot, rank, scores, enters | barred, best, choice)


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
