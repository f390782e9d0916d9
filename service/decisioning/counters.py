"""Contact policies that count one history, all of them in a few calls.

How many records a policy could count of each request, under whatever key, is cheap to tell for all policies
at once. Only where these are enough for it to hold are they told apart by their keys, which is seldom.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.decisioning.counted import Counted
from service.decisioning.frequency import Frequency, Held
from service.decisioning.touches import Kind, Touches, Vocabulary, hashes_of


@dataclass(frozen=True, eq=False)
class Counter:
    """k policies and the names by which they count."""

    policies: Sequence[Frequency]
    vocabulary: Vocabulary

    def count(self, touches: Touches, now: NDArray[np.float64]) -> "Counts":
        """What they count at `now` (n). It is counted once."""
        return touches.remembered(self, now, lambda: Counts(self, touches, now))

    def matching(self, records: NDArray[np.void]) -> NDArray[np.bool_]:
        """k x t: which records a policy is about.

        A record has one name of each kind. So it has as many of the names that a policy wants as there are
        kinds of them, if it has one of each.
        """
        found = np.empty((self._weights.shape[1], len(records)), np.float32)
        for kind, (hashes, places) in self._names.items():
            np.equal(hashes_of(kind, records), hashes, out=found[places])
        matching: NDArray[np.bool_] = self._weights @ found == self._kinds
        return matching

    def unknown(self, touches: Touches, now: NDArray[np.float64]) -> NDArray[np.bool_]:
        """k x n: where the history does not reach as far back as a policy looks."""
        unknown: NDArray[np.bool_] = touches.since > now - self._horizons
        return unknown

    def shut(self, touches: Touches, now: NDArray[np.float64]) -> NDArray[np.bool_]:
        """k x n: where a policy holds for all that it covers, because the count can't be known or nothing can
        be reserved."""
        shut = self.unknown(touches, now) & self._suppress
        return shut if touches.closed is None else shut | (touches.closed & self._reserve)

    @cached_property
    def reach(self) -> NDArray[np.float64]:
        """k x 1: for how long a single record can make a policy hold."""
        return np.array([[policy.reach] for policy in self.policies])

    @cached_property
    def _horizons(self) -> NDArray[np.float64]:
        return np.array([[policy.horizon] for policy in self.policies])

    @cached_property
    def _suppress(self) -> NDArray[np.bool_]:
        return np.array([[policy.suppress] for policy in self.policies], np.bool_)

    @cached_property
    def _reserve(self) -> NDArray[np.bool_]:
        return np.array([[policy.reserve > 0.0] for policy in self.policies], np.bool_)

    @cached_property
    def _wanted(self) -> Sequence[Mapping[Kind, NDArray[np.uint64]]]:
        return [policy.counting.wanted(self.vocabulary) for policy in self.policies]

    @cached_property
    def _kinds(self) -> NDArray[np.float32]:
        """k x 1: of how many kinds a policy wants names."""
        return np.array([[len(wanted)] for wanted in self._wanted], np.float32)

    @cached_property
    def _names(self) -> Mapping[Kind, tuple[NDArray[np.unsignedinteger], slice]]:
        """By kind, the hashes (e x 1) of the names that any policy wants, and their places among those of all
        kinds."""
        kinds = dict.fromkeys(kind for wanted in self._wanted for kind in wanted)
        names, first = {}, 0
        for kind in kinds:
            hashes = np.unique(np.concatenate([w[kind] for w in self._wanted if kind in w]))
            as_stored = hashes if kind == "group" else hashes.astype(np.uint32)
            names[kind] = as_stored[:, None], slice(first, first := first + len(hashes))
        return names

    @cached_property
    def _weights(self) -> NDArray[np.float32]:
        """k x e: which names a policy wants."""
        size = sum(len(hashes) for hashes, _ in self._names.values())
        weights = np.zeros((len(self.policies), size), np.float32)
        for row, wanted in zip(weights, self._wanted, strict=True):
            for kind, hashes in wanted.items():
                names, places = self._names[kind]
                row[places] = np.isin(names[:, 0], hashes)
        return weights


class Counts:
    """What k policies count of the history of n requests.

    totals  k x n  how many records matter, under whatever key
    """

    def __init__(self, counter: Counter, touches: Touches, now: NDArray[np.float64]) -> None:
        self._counter, self._touches, self._now = counter, touches, now
        self._held: dict[int, Held] = {}
        self._times = np.ascontiguousarray(touches.records["time"])
        at = now.take(touches.rows)
        self._matters = self._times + counter.reach > at
        self._matters &= touches.expires > at
        self._matters &= counter.matching(touches.records)
        policy, record = self._matters.nonzero()
        cells = policy * len(now) + touches.rows.take(record)
        shape = len(counter.policies), len(now)
        self.totals = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)

    @cached_property
    def most(self) -> Sequence[int]:
        """k: of the request with the most records that matter."""
        most: list[int] = self.totals.max(axis=1, initial=0).tolist()
        return most

    def holding(self) -> Iterator[int]:
        """The places of the policies that may hold for some request."""
        for place, (policy, most) in enumerate(zip(self._counter.policies, self.most, strict=True)):
            if most >= policy.limit:
                yield place

    def held(self, place: int) -> Held:
        """For what a policy holds."""
        policy = self._counter.policies[place]
        held = self._held.get(place)
        if held is None:
            held = self._held[place] = policy.held(self.of(place, policy.limit), self._now)
        return held

    def of(self, place: int, least: int | NDArray[np.intp]) -> Counted:
        """What a policy counts of the requests that have at least so many records (n) that matter."""
        counting, rows = self._counter.policies[place].counting, self._touches.rows
        near = (self.totals[place] >= least).take(rows)
        at = (self._matters[place] & near).nonzero()[0]
        return Counted(
            rows[at],
            counting.places(self._counter.vocabulary, self._touches.records[at]),
            self._times[at],
            self._touches.expires[at],
            (len(self._now), counting.size),
        )
