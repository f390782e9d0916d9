"""How often and how soon again: caps, gaps and pauses, exact over the contact history of a batch.

A policy counts records under keys, such as the action or the group that they name. For every request and key
it knows until when it holds, so that who is out now, and when that ends, is one calculation.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.catalogue import Catalogue
from service.decisioning.stages import Removal, Stage
from service.decisioning.touches import Kind, Reading, Touches, Vocabulary

Per = Literal["treatment", "action", "group", "issue", "channel", "everything"]
UNCOVERED = -1


@dataclass(frozen=True, slots=True)
class Held:
    """The m pairs of a request and a key for which a policy holds.

    rows, keys  m  each pair once
    until       m  epoch seconds at which it ends, if nothing more happens
    count       m  how many records were counted
    """

    rows: NDArray[np.intp]
    keys: NDArray[np.intp]
    until: NDArray[np.float64]
    count: NDArray[np.intp]


NOBODY = Held(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0), np.empty(0, np.intp))
"""Where a policy holds for nobody."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a policy covers, and which records it counts: None does not narrow it."""

    channels: tuple[str, ...] | None = None
    issue: str | None = None
    group: str | None = None
    action: str | None = None
    treatment: str | None = None

    def covered(self, catalogue: Catalogue) -> NDArray[np.bool_]:
        """C x A: what it is about."""
        channels = np.array([self.has_channel(channel.name) for channel in catalogue.channels], np.bool_)
        actions = np.array(
            [
                self.issue in (None, action.issue)
                and self.group in (None, action.group)
                and self.action in (None, action.name)
                for action in catalogue.actions
            ],
            np.bool_,
        )
        return channels[:, None] & actions

    def has_channel(self, name: str) -> bool:
        """Whether a channel is covered."""
        return self.channels is None or name in self.channels


@dataclass(frozen=True)
class Counting:
    """Which records count, and what is counted together.

    outcomes  whether each place of an outcome counts; the last stands for unknown ones
    per       the kind of name under whose places records are counted
    size      how many places there are, with one for unknown names
    keys      C x A, or T if `per` is treatment: the place under which each action (treatment) counts in each
              channel; -1 where the policy does not cover it
    only      by kind, whether each place of a name counts; the last stands for unknown ones
    """

    outcomes: NDArray[np.bool_]
    per: Per
    size: int
    keys: NDArray[np.intp]
    only: Mapping[Kind, NDArray[np.bool_]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, catalogue: Catalogue, vocabulary: Vocabulary, outcomes: Collection[str], per: Per, scope: Scope
    ) -> "Counting":
        """From names. A treatment in the scope needs `per` to be treatment."""
        wanted: dict[Kind, list[bool]] = {}
        if scope.channels is not None:
            wanted["channel"] = [name in scope.channels for name in vocabulary.channels]
        if scope.issue is not None:
            wanted["issue"] = [name == scope.issue for name in vocabulary.issues]
        if scope.group is not None:
            wanted["group"] = [name == scope.group for _, name in vocabulary.groups]
        if scope.action is not None:
            wanted["action"] = [name == scope.action for name in vocabulary.actions]
        if scope.treatment is not None:
            wanted["treatment"] = [name == scope.treatment for name in vocabulary.treatments]
        return cls(
            outcomes=np.array([*(name in outcomes for name in vocabulary.outcomes), False]),
            per=per,
            size=1 if per == "everything" else vocabulary.count(per) + 1,
            keys=_keys(catalogue, vocabulary, per, scope),
            only={kind: np.array([*names, False]) for kind, names in wanted.items()},
        )

    @property
    def of_treatments(self) -> bool:
        """Whether treatments are covered, instead of actions."""
        return self.per == "treatment"

    def covered(self, batch: Batch, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """The keys of what is covered, A (or T) for each of the rows; -1 for what isn't."""
        if self.of_treatments:
            return np.broadcast_to(self.keys, (len(rows), len(self.keys)))
        return self.keys[batch.channel[rows]]

    def found(self, reading: Reading) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The records that count, as positions in the touches, and the key of each."""
        matches = self.outcomes[reading.places("outcome")]
        for kind, wanted in self.only.items():
            matches &= wanted[reading.places(kind)]
        positions = np.flatnonzero(matches)
        if self.per == "everything":
            return positions, np.zeros(len(positions), np.intp)
        return positions, reading.places(self.per)[positions]


def _keys(catalogue: Catalogue, vocabulary: Vocabulary, per: Per, scope: Scope) -> NDArray[np.intp]:
    covered = scope.covered(catalogue)
    places: Sequence[int] | NDArray[np.intp]
    match per:
        case "treatment":
            return np.array(
                [
                    place
                    if covered[catalogue.channel_index[said.channel], catalogue.action_index[said.action]]
                    and scope.treatment in (None, said.name)
                    else UNCOVERED
                    for place, said in enumerate(catalogue.treatments)
                ],
                np.intp,
            )
        case "action":
            places = range(len(catalogue.actions))
        case "group":
            places = [vocabulary.groups.index((action.issue, action.group)) for action in catalogue.actions]
        case "issue":
            places = [vocabulary.issues.index(action.issue) for action in catalogue.actions]
        case "channel":
            places = np.arange(len(catalogue.channels))[:, None]
        case "everything":
            places = [0] * len(catalogue.actions)
    return np.where(covered, places, UNCOVERED)


@dataclass(frozen=True, kw_only=True)
class Frequency:
    """A policy that counts. `suppress` is what it does where the count can't be known.

    A policy with `reserve`, in seconds, counts an offer from the moment at which it is made until it is
    reported, or for so long; `reservation` is the outcome that stands for such an offer.
    """

    name: str
    meaning: str
    counting: Counting
    within: float
    suppress: bool
    by_account: bool = False
    reserve: float = 0.0
    kind = "cap"

    @property
    def reservation(self) -> str:
        """The outcome under which it keeps its reservations in the history."""
        return reservation(self.name)

    @property
    def removal(self) -> Removal:
        """What it says of a candidate that it takes out. A treatment is missed only when the slots are
        filled."""
        stage = Stage.TREATMENT if self.counting.of_treatments else Stage.CONTACT_POLICY
        return Removal(stage, self.name, self.meaning)

    @property
    def limit(self) -> int:
        """From how many records on it holds."""
        raise NotImplementedError

    @property
    def horizon(self) -> float:
        """How long ago, in seconds, a record can be that still matters."""
        raise NotImplementedError

    def touches(self, batch: Batch) -> Touches | None:
        """The history that it counts: the customer's, or the account's."""
        return batch.account_touches if self.by_account else batch.touches

    def shut(self, touches: Touches, now: NDArray[np.float64]) -> NDArray[np.bool_]:
        """n: where it holds for all that it covers, because the count can't be known or nothing can be
        reserved."""
        shut = self.unknown(touches, now) & self.suppress
        if self.reserve and touches.closed is not None:
            shut |= touches.closed
        return shut

    def unknown(self, touches: Touches, now: NDArray[np.float64]) -> NDArray[np.bool_]:
        """n: where the history does not reach as far back as the policy looks."""
        unknown: NDArray[np.bool_] = touches.since > now - self.horizon
        return unknown

    def held(self, reading: Reading, now: NDArray[np.float64]) -> Held:
        """For what it holds at `now` (n), by what is known."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Cap(Frequency):
    """At most `at_most` records in any `within` seconds: a rolling window, open at its beginning.

    A record from the future, by the clock of another machine, counts already: it will be in a window with
    what is offered now.
    """

    at_most: int

    @property
    def limit(self) -> int:
        return self.at_most

    @property
    def horizon(self) -> float:
        return self.within

    def tally(self, reading: Reading, now: NDArray[np.float64]) -> "Tally":
        """The records that are in its window at `now` (n), by the time at which they leave it."""
        return reading.remembered(self, now, lambda: self._tally(reading, now))

    def _tally(self, reading: Reading, now: NDArray[np.float64]) -> "Tally":
        positions, keys = self.counting.found(reading)
        rows = reading.touches.rows[positions]
        ends = np.minimum(reading.times[positions] + self.within, reading.touches.expires[positions])
        inside = ends > now[rows]
        return Tally(rows[inside], keys[inside], ends[inside], (len(now), self.counting.size))

    def held(self, reading: Reading, now: NDArray[np.float64]) -> Held:
        tally = self.tally(reading, now)
        if not tally.has(self.at_most):
            return NOBODY
        runs = tally.runs(self.at_most)
        until = runs.values[runs.starts + runs.sizes - self.at_most]
        return Held(runs.rows, runs.keys, until, runs.sizes)


@dataclass(frozen=True, kw_only=True)
class Gap(Cap):
    """At least `within` seconds from one contact to the next: a cap of one. What one answer says at the same
    time is one contact."""

    at_most: int = 1
    kind = "gap"


@dataclass(frozen=True, kw_only=True)
class Pause(Frequency):
    """`pause` seconds of rest from the moment at which `after` records lie within less than `within`
    seconds."""

    after: int
    pause: float
    kind = "pause"

    @property
    def limit(self) -> int:
        return self.after

    @property
    def horizon(self) -> float:
        return self.pause + (self.within if self.after > 1 else 0.0)

    def held(self, reading: Reading, now: NDArray[np.float64]) -> Held:
        positions, keys = self.counting.found(reading)
        rows, times = reading.touches.rows[positions], reading.times[positions]
        matters = times + self.horizon > now[rows]
        shape = len(now), self.counting.size
        tally = Tally(rows[matters], keys[matters], times[matters], shape)
        if not tally.has(self.after):
            return NOBODY
        runs = tally.runs(self.after)
        times, first = runs.values, np.arange(len(runs.values)) - (self.after - 1)
        sets_off = (first >= runs.starts[runs.number]) & (times[np.maximum(first, 0)] + self.within > times)
        moment = np.full(len(runs.starts), -np.inf)
        np.maximum.at(moment, runs.number[sets_off], times[sets_off])
        holds = moment + self.pause > now[runs.rows]
        of_record = moment[runs.number]
        inside = (times <= of_record) & (times + self.within > of_record)
        count = np.bincount(runs.number[inside], minlength=len(moment))
        return Held(runs.rows[holds], runs.keys[holds], moment[holds] + self.pause, count[holds])


class Tally:
    """Records by request and key, counted before they are put in order: few keys have enough of them.

    counts  n x K
    """

    def __init__(
        self,
        rows: NDArray[np.intp],
        keys: NDArray[np.intp],
        values: NDArray[np.float64],
        shape: tuple[int, int],
    ) -> None:
        self._cells, self._values = rows * shape[1] + keys, values
        self.counts = np.bincount(self._cells, minlength=shape[0] * shape[1]).reshape(shape)

    def has(self, least: int) -> bool:
        """Whether any key has at least so many records."""
        return bool(self.counts.max(initial=0) >= least)

    def runs(self, least: int) -> "Runs":
        """Those of keys that have at least so many records."""
        enough = self.counts.ravel()[self._cells] >= least
        return Runs(self._cells[enough], self._values[enough], self.counts.shape[1])


class Runs:
    """Records of one request and key stand together, by ascending value.

    values, number         t  of each record, and the run that it is in
    rows, keys             r  of each run
    starts, sizes          r  where its records begin, and how many they are
    """

    def __init__(self, cells: NDArray[np.intp], values: NDArray[np.float64], keys: int) -> None:
        """`cells` are rows times `keys` plus the key."""
        order = np.lexsort((values, cells))
        cells, self.values = cells[order], values[order]
        first = np.ones(len(order), np.bool_)
        first[1:] = cells[1:] != cells[:-1]
        self.number = np.cumsum(first) - 1
        self.starts = np.flatnonzero(first)
        self.sizes = np.diff(self.starts, append=len(order))
        self.rows, self.keys = np.divmod(cells[self.starts], keys)


def reservation(name: str) -> str:
    """The outcome under which the policy of that name keeps its reservations in the history; no outcome of a
    catalogue can be called so."""
    return f"reserved:{name}"


def duration(seconds: float) -> str:
    """Seconds as a number and a unit: 90s, 15m, 12h or 30d."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
