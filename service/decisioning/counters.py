"""Contact policies that count one history, laid out as the tables that they are counted by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.frequency import Frequency
from service.decisioning.tally import COUNTED, KEY, POLICY, ROW, TOGETHER, take_out, tally
from service.decisioning.touches import KINDS, Touches, Vocabulary


class Cells(NamedTuple):
    """What policies count, where it is enough to matter.

    table   m x 4  of each cell the policy, the request, the key under which it counts, and how many records
                   it has counted, in the columns of `tally`. Policies ascend. A key and a count of -1: the
                   policy holds for all that it covers, since nobody can tell the count or nothing can be
                   reserved
    untils  m      epoch seconds until when the policy holds, if nothing more happens; NaN where nobody can
                   tell, -inf where it doesn't hold yet, but leaves less than the request asks for
    """

    table: NDArray[np.int64]
    untils: NDArray[np.float64]

    @classmethod
    def merged(cls, found: Sequence["Cells"]) -> "Cells":
        """Those of several histories."""
        if len(found) == 1:
            return found[0]
        if not found:
            return cls(np.empty((0, 4), np.int64), np.empty(0))
        table = np.concatenate([cells.table for cells in found])
        order = table[:, POLICY].argsort(kind="stable")
        return cls(table[order], np.concatenate([cells.untils for cells in found])[order])

    @property
    def rows(self) -> NDArray[np.int64]:
        """The request of each."""
        return self.table[:, ROW]

    @property
    def keys(self) -> NDArray[np.int64]:
        """The key of each."""
        return self.table[:, KEY]

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many records each has counted."""
        return self.table[:, COUNTED]

    @property
    def policies(self) -> set[int]:
        """Those that have any."""
        return set(self.table[:, POLICY].tolist())

    def of(self, policy: int) -> "Cells":
        """Those of one policy."""
        first, last = self.table[:, POLICY].searchsorted([policy, policy + 1]).tolist()
        return Cells(self.table[first:last], self.untils[first:last])


@dataclass(frozen=True, eq=False)
class Counter:
    """Policies that count one history, by their places among all, and the names by which they count."""

    policies: Mapping[int, Frequency]
    vocabulary: Vocabulary

    def count(self, touches: Touches, batch: Batch) -> Cells:
        """What they count for the requests of a batch. It is counted once."""
        return touches.remembered((self, batch.now, batch.limits), lambda: self._count(touches, batch))

    def _count(self, touches: Touches, batch: Batch) -> Cells:
        now = batch.now
        closed = np.zeros(len(now), np.bool_) if touches.closed is None else touches.closed
        table, untils = tally(
            touches.words,
            touches.rows,
            touches.times,
            touches.expires,
            touches.since,
            closed,
            now,
            batch.limits.sum(axis=1, dtype=np.int64),
            *self._names,
            *self._wants,
            self._table,
        )
        return Cells(table, untils)

    @cached_property
    def horizon(self) -> float:
        """How long ago, in seconds, a record can be that still matters."""
        return max(policy.horizon for policy in self.policies.values())

    @cached_property
    def _table(self) -> NDArray[np.float64]:
        """k x 10, a row of each policy in the columns of `tally`."""
        return np.array(
            [
                (
                    place,
                    policy.limit,
                    TOGETHER if policy.counting.per == "everything" else KINDS.index(policy.counting.per),
                    policy.within,
                    policy.rest,
                    policy.reach,
                    policy.horizon,
                    policy.suppress,
                    policy.reserve > 0.0,
                    policy.shared,
                )
                for place, policy in self.policies.items()
            ],
            np.float64,
        )

    @cached_property
    def _wants(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Where the names of a kind begin for each policy (k x 6; -1: it wants any), and whether it wants
        them, with one more of each kind for all that are unknown."""
        first, wants, size = np.full((len(self.policies), len(KINDS)), -1, np.int64), [], 0
        for row, policy in zip(first, self.policies.values(), strict=True):
            for kind, names in policy.counting.wanted(self.vocabulary).items():
                row[KINDS.index(kind)] = size
                wants.append(names)
                size += len(names)
        return first, np.concatenate(wants)

    @cached_property
    def _names(self) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.int64]]:
        """The kinds in the columns of `tally` (6 x 3), and the slots of all: the hash and the place of a
        name each."""
        pers = {policy.counting.per for policy in self.policies.values()}
        kinds, slots, places, size = np.full((len(KINDS), 3), -1, np.int64), [], [], 0
        for number, kind in enumerate(KINDS):
            if kind in pers or (self._wants[0][:, number] >= 0).any():
                hashes = self.vocabulary.hashes(kind)
                kinds[number] = size, len(hashes.slots) - 1, hashes.count
                slots.append(hashes.slots)
                places.append(hashes.places)
                size += len(hashes.slots)
        return kinds, np.concatenate(slots), np.concatenate(places)


@dataclass(frozen=True, eq=False)
class Coverage:
    """The candidates that policies cover.

    keys      k x C x A  by policy and channel the keys of all candidates, ascending; -1: it isn't covered
    subjects  k x C x A  the candidates in this order
    """

    keys: NDArray[np.int32]
    subjects: NDArray[np.int32]

    @classmethod
    def of(cls, keys: NDArray[np.int32]) -> "Coverage":
        """From the key of every candidate, k x C x A; -1 where it isn't covered."""
        order = keys.argsort(axis=2, kind="stable")
        return cls(np.take_along_axis(keys, order, axis=2), order.astype(np.int32))

    def take_out(
        self, cells: Cells, channel: NDArray[np.intp], first_code: int, removed_by: NDArray[np.int32]
    ) -> None:
        """Take out (in place) those for which a policy holds, where nothing else has done it before; the
        codes of the policies follow one another from `first_code`."""
        take_out(*cells, channel, self.keys, self.subjects, first_code, removed_by)
