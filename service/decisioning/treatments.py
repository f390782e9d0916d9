"""Which treatment says an action in a slot: the first one that the rules leave, request by request."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.decisioning.catalogue import Catalogue
from service.decisioning.removal import remove_unplaced
from service.decisioning.stages import NOT_IN_PLACEMENT


@dataclass(frozen=True)
class Alternatives:
    """The e pairs of a slot and an action, in their order, in which a rule may take out a treatment.

    slots, actions  e
    treatments      e x d  the treatments of the pair, the first choice first; T (one too many) fills rows
    """

    slots: NDArray[np.intp]
    actions: NDArray[np.intp]
    treatments: NDArray[np.intp]

    @classmethod
    def of(cls, catalogue: Catalogue, ruled: NDArray[np.intp]) -> "Alternatives":
        """For the treatments that have rules."""
        pairs: dict[tuple[int, int], list[int]] = {}
        for index, treatment in enumerate(catalogue.treatments):
            if treatment.active:
                action = catalogue.action_index[treatment.action]
                for placement in treatment.placements:
                    pairs.setdefault((catalogue.slot_index[treatment.channel, placement], action), []).append(
                        index
                    )
        marked = set(ruled.tolist())
        found = {pair: said for pair, said in sorted(pairs.items()) if not marked.isdisjoint(said)}
        return cls(
            np.array([slot for slot, _ in found], np.intp),
            np.array([action for _, action in found], np.intp),
            _padded(list(found.values()), len(catalogue.treatments)),
        )


def _padded(lists: list[list[int]], filler: int) -> NDArray[np.intp]:
    table = np.full((len(lists), max(map(len, lists), default=0)), filler, np.intp)
    for row, numbers in enumerate(lists):
        table[row, : len(numbers)] = numbers
    return table


Tables = tuple[NDArray[np.int32], NDArray[np.intp], NDArray[np.intp], NDArray[np.int32]]
"""S x A: the treatment of each action in each slot; then e pairs of a slot and an action, e each, for which
requests have another treatment or none, and n x e: which. -1 is no treatment."""
_NONE, _NONE_RULED = np.empty(0, np.intp), np.empty((0, 0), np.int32)


class Said:
    """The treatment of every slot and action for the requests of a batch; -1 where there is none."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._table = catalogue.slot_treatments

    def tables(self) -> Tables:
        """The treatments of every slot and action."""
        return self._table, _NONE, _NONE, _NONE_RULED

    def in_slot(self, slot: int, row: int) -> NDArray[np.int32]:
        """The treatment of each action in one slot of a row, A."""
        said: NDArray[np.int32] = self._table[slot]
        return said

    def remove(self, limits: NDArray[np.int32], removed_by: NDArray[np.int32]) -> None:
        """Take out (in place, n x A) who has no treatment in a slot that is asked for: `limits` is n x S."""
        own = np.array(limits)  # a record's can't be written to, which is another type
        remove_unplaced(own, *self.tables(), self._missing(), NOT_IN_PLACEMENT, removed_by)

    def _missing(self) -> NDArray[np.int32]:
        """n x e: the code by which the first choice of each pair went."""
        return _NONE_RULED


class RuledSaid(Said):
    """The same where some treatments are out: `removed_by` (n x T) has the code of what took out each."""

    def __init__(self, catalogue: Catalogue, pairs: Alternatives, removed_by: NDArray[np.int32]) -> None:
        super().__init__(catalogue)
        self._pairs = pairs
        self._codes = np.full(
            (len(removed_by), len(catalogue.treatments) + 1), -1, np.int32
        )  # -1: no treatment
        self._codes[:, :-1] = removed_by
        fits = self._codes[:, pairs.treatments] == 0  # n x e x d
        first = fits.argmax(axis=2)
        chosen = pairs.treatments[np.arange(len(first.T)), first]
        self._chosen = np.where(fits.any(axis=2), chosen, -1).astype(np.int32)

    def tables(self) -> Tables:
        return self._table, self._pairs.slots, self._pairs.actions, self._chosen

    def in_slot(self, slot: int, row: int) -> NDArray[np.int32]:
        said: NDArray[np.int32] = self._table[slot].copy()
        here = self._pairs.slots == slot
        said[self._pairs.actions[here]] = self._chosen[row, here]
        return said

    def _missing(self) -> NDArray[np.int32]:
        return self._codes.take(self._pairs.treatments[:, 0], axis=1)
