"""The contact history of a batch as flat columns, and the names in it as places in the catalogue."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from feature_store.history import RECORD, name_hash
from service.decisioning.catalogue import Catalogue

Counted = TypeVar("Counted")
Kind = Literal["outcome", "channel", "issue", "group", "action", "treatment"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order in which a record has them."""


@dataclass(frozen=True)
class Touches:
    """The contact history of n requests as t flat records, in any order.

    records   t  of `feature_store.history.RECORD`
    rows      t  the request that each belongs to
    expires   t  epoch seconds until when each counts: infinite, but for reservations
    since     n  from when on the history is complete, in epoch seconds: -infinity where all of it is known,
                 infinity where it could not be read
    closed    n  True where nothing can be reserved any more, so that nothing which needs a reservation may be
                 offered; None: nowhere
    """

    records: NDArray[np.void]
    rows: NDArray[np.intp]
    expires: NDArray[np.float64]
    since: NDArray[np.float64]
    closed: NDArray[np.bool_] | None = None

    @classmethod
    def none(cls, n: int) -> "Touches":
        """Those of n requests whose customers have never been addressed."""
        nobody = np.empty(0, np.intp)
        return cls(np.empty(0, RECORD), nobody, np.empty(0), np.full(n, -np.inf))

    @cached_property
    def complete(self) -> bool:
        """Whether all is known of everybody."""
        return bool(self.since.max(initial=-np.inf) == -np.inf)

    @cached_property
    def times(self) -> NDArray[np.float64]:
        """When each record was, t."""
        times: NDArray[np.float64] = self.records["time"].copy()  # what was read can't be written to
        return times

    @cached_property
    def words(self) -> NDArray[np.uint32]:
        """The records as words of 32 bits, t x 9."""
        return words_of(self.records)

    def remembered(self, by: tuple[object, ...], count: Callable[[], Counted]) -> Counted:
        """What was counted of them by these very objects; counted if it has not been."""
        key = tuple(map(id, by))
        kept = self._remembered.get(key)
        if kept is None:  # who is kept here is nobody else by the same id
            kept = self._remembered[key] = by, count()
        found: Counted = kept[1]
        return found

    @cached_property
    def _remembered(self) -> dict[tuple[int, ...], tuple[object, Any]]:
        return {}

    def take(self, rows: NDArray[np.intp]) -> "Touches":
        """Those of some requests, each at most once, in the given order."""
        place = np.full(len(self.since), -1, np.intp)
        place[rows] = np.arange(len(rows))
        kept = np.flatnonzero(place[self.rows] >= 0)
        return Touches(
            self.records[kept],
            place[self.rows[kept]],
            self.expires[kept],
            self.since[rows],
            None if self.closed is None else self.closed[rows],
        )


def words_of(records: NDArray[np.void]) -> NDArray[np.uint32]:
    """Records as words of 32 bits, t x 9; in a copy if they can't be written to."""
    words: NDArray[np.uint32] = records.view(np.uint32)
    words = words.reshape(-1, RECORD.itemsize // words.itemsize)
    return words if words.flags.writeable else words.copy()


class Hashes:
    """Names by their hashes, in slots in which `tally` looks for them.

    slots, places  of each slot the hash of a name, and its place; the count of names where it is empty. A
                   name is in the slot that the last bits of its hash tell, or in the next one that was free
    """

    def __init__(self, hashes: Sequence[int]) -> None:
        self.hashes, self.count = np.array(hashes, np.uint64), len(hashes)
        size = 1 << (2 * len(hashes)).bit_length()
        self.slots, self.places = np.zeros(size, np.uint64), np.full(size, self.count, np.int64)
        for hashed, place in {h: p for p, h in reversed(list(enumerate(hashes)))}.items():
            slot = hashed % size
            while self.places[slot] != self.count:
                slot = (slot + 1) % size
            self.slots[slot], self.places[slot] = hashed, place


@dataclass(frozen=True)
class Vocabulary:
    """Every name that a record of the history may have and that still means something.

    A group is told by its issue and its name: two issues may each have a group of the same name.
    """

    outcomes: tuple[str, ...]
    channels: tuple[str, ...]
    issues: tuple[str, ...]
    groups: tuple[tuple[str, str], ...]
    actions: tuple[str, ...]
    treatments: tuple[str, ...]
    _hashes: Mapping[Kind, Hashes] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        groups = [name_hash(issue) << 32 | name_hash(group) for issue, group in self.groups]
        hashes: dict[Kind, Hashes] = {
            "outcome": Hashes([name_hash(name) for name in self.outcomes]),
            "channel": Hashes([name_hash(name) for name in self.channels]),
            "issue": Hashes([name_hash(name) for name in self.issues]),
            "group": Hashes(groups),
            "action": Hashes([name_hash(name) for name in self.actions]),
            "treatment": Hashes([name_hash(name) for name in self.treatments]),
        }
        object.__setattr__(self, "_hashes", hashes)

    @classmethod
    def of(cls, catalogue: Catalogue, outcomes: Sequence[str]) -> "Vocabulary":
        """The names of a catalogue, and of its outcomes."""
        return cls(
            outcomes=tuple(outcomes),
            channels=tuple(channel.name for channel in catalogue.channels),
            issues=tuple(dict.fromkeys(action.issue for action in catalogue.actions)),
            groups=tuple(dict.fromkeys((action.issue, action.group) for action in catalogue.actions)),
            actions=tuple(action.name for action in catalogue.actions),
            treatments=tuple(treatment.name for treatment in catalogue.treatments),
        )

    def count(self, kind: Kind) -> int:
        """How many names there are; the place of an unknown one."""
        return self._hashes[kind].count

    def hashes(self, kind: Kind) -> Hashes:
        """The names of a kind."""
        return self._hashes[kind]
