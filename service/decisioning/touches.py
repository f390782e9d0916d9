"""The contact history of a batch as flat columns, and the names in it as places in the catalogue."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from feature_store.history import RECORD, name_hash
from service.decisioning.catalogue import Catalogue

Counted = TypeVar("Counted")
Kind = Literal["outcome", "channel", "issue", "group", "action", "treatment"]


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
        """Whether all is known of everybody, and everything can be reserved."""
        return self.closed is None and bool(np.isneginf(self.since).all())

    def remembered(self, by: object, now: NDArray[np.float64], count: Callable[[], Counted]) -> Counted:
        """What was counted of them by somebody as of `now`; counted if it has not been."""
        kept = self._remembered.get(id(by))
        if kept is None or kept[0] is not by or kept[1] is not now:
            kept = self._remembered[id(by)] = by, now, count()
        found: Counted = kept[2]
        return found

    @cached_property
    def _remembered(self) -> dict[int, tuple[object, NDArray[np.float64], Any]]:
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


class Hashes:
    """Finds names by their hashes: the place of each among `hashes`, or their number where it is unknown."""

    def __init__(self, hashes: Sequence[int]) -> None:
        first = {hashed: place for place, hashed in reversed(list(enumerate(hashes)))}
        known = sorted(first)
        self.hashes, self.count = np.array(hashes, np.uint64), len(hashes)
        self._known = np.array([*known, np.iinfo(np.uint64).max], np.uint64)  # the last stops the search
        self._places = np.array([*(first[hashed] for hashed in known), self.count], np.intp)

    def find(self, hashed: NDArray[np.unsignedinteger]) -> NDArray[np.intp]:
        """The place of each."""
        at = self._known.searchsorted(hashed)
        return np.where(self._known[at] == hashed, self._places[at], self.count)


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

    def hashes(self, kind: Kind) -> NDArray[np.uint64]:
        """The hashes of the names of a kind, in their order."""
        return self._hashes[kind].hashes

    def find(self, kind: Kind, records: NDArray[np.void]) -> NDArray[np.intp]:
        """The place of each record's name of a kind, t; the count where it means nothing any more."""
        return self._hashes[kind].find(hashes_of(kind, records))


def hashes_of(kind: Kind, records: NDArray[np.void]) -> NDArray[np.unsignedinteger]:
    """The hashes, t, by which the names of a kind are told: those of a group by that of its issue, too."""
    hashes: NDArray[np.unsignedinteger] = records[kind]
    if kind != "group":
        return hashes
    of_issue: NDArray[np.uint64] = records["issue"].astype(np.uint64) << np.uint64(32)
    return of_issue | hashes
