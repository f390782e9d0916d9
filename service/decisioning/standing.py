"""How contact policies stand to the actions of one request: what they have counted, and when each action is
free again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from feature_store.feature import iso_timestamp
from service.decisioning.batch import Batch
from service.decisioning.catalogue import Catalogue
from service.decisioning.contact import Contact
from service.decisioning.counters import Cells
from service.decisioning.frequency import duration
from service.decisioning.tally import EVERY_KEY, UNKNOWN

MOST_ROUNDS = 100
"""Several quiet hours may follow one another. Of those that leave no gap in so many, the end is unknown."""


class CapView(TypedDict):
    """A contact policy that took out an action: what it has counted (None where that can't be known), and
    when no contact policy holds the action back any more (None where that can't be known)."""

    name: str
    kind: str
    count: int | None
    at_most: int | None
    within: str | None
    next_free: str | None


@dataclass(frozen=True)
class Standing:
    """The policies of one request.

    free_at  A      epoch seconds at which none holds any more, if nothing else happens; NaN: not known
    counts   k x A  what each of the k policies that count has counted; -1: not known
    """

    contact: Contact
    free_at: NDArray[np.float64]
    counts: NDArray[np.intp]

    def view(self, place: int, action: int) -> CapView:
        """What the policy at a place among `Contact.removals` says of an action that it took out."""
        free_at = float(self.free_at[action])
        next_free = None if np.isnan(free_at) else iso_timestamp(free_at)
        if place >= len(self.contact.frequencies):
            name = self.contact.quiet_hours[place - len(self.contact.frequencies)].name
            return CapView(
                name=name, kind="quiet_hours", count=None, at_most=None, within=None, next_free=next_free
            )
        policy, count = self.contact.frequencies[place], int(self.counts[place, action])
        return CapView(
            name=policy.name,
            kind=policy.kind,
            count=None if count == UNKNOWN else count,
            at_most=policy.limit,
            within=None if np.isinf(policy.within) else duration(policy.within),
            next_free=next_free,
        )


def standing(contact: Contact, catalogue: Catalogue, batch: Batch, row: int) -> Standing:
    """How the policies stand to every action in one request of a batch."""
    one = batch.take(np.array([row]))
    free_at = np.full(len(catalogue.actions), one.now[0])
    counts = np.zeros((len(contact.frequencies), len(free_at)), np.intp)
    for place, until, count in _holding(contact, catalogue, one):
        free_at = np.maximum(free_at, until)  # NaN stays
        counts[place] = count
    return Standing(contact, _after_quiet(contact, one, free_at), counts)


def _holding(
    contact: Contact, catalogue: Catalogue, one: Batch
) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.intp]]]:
    """The place of each policy that counts, with until when it holds (A; -inf: it doesn't, NaN: not known)
    and what it has counted (A)."""
    cells = contact.cells(one)
    for place, policy in enumerate(contact.frequencies):
        keys = policy.counting.keys if policy.counting.of_treatments else policy.counting.keys[one.channel[0]]
        until, count = _by_subject(keys, cells.of(place))
        if policy.counting.of_treatments:
            until, count = _by_action(catalogue, one, until, count)
        yield place, until, count


def _by_subject(keys: NDArray[np.intp], cells: Cells) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Until when a policy holds for each action, or treatment, and what it has counted, by their keys."""
    if EVERY_KEY in cells.keys:
        return np.where(keys >= 0, np.nan, -np.inf), np.where(keys >= 0, UNKNOWN, 0)
    holds = cells.untils > -np.inf
    size = max(int(keys.max(initial=0)), int(cells.keys.max(initial=0))) + 2
    until, count = np.full(size, -np.inf), np.zeros(size, np.intp)
    until[cells.keys[holds]], count[cells.keys[holds]] = cells.untils[holds], cells.counts[holds]
    return until[keys], count[keys]  # a key of -1 is the last place, where nothing is held


def _by_action(
    catalogue: Catalogue, one: Batch, until: NDArray[np.float64], count: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The same for actions: one is held as long as all its treatments in the channel are."""
    channel = catalogue.channels[one.channel[0]].name
    first = np.full(len(catalogue.actions), np.inf)
    counted = np.zeros(len(first), np.intp)
    never = np.finfo(np.float64).max
    for place, said in enumerate(catalogue.treatments):
        action = catalogue.action_index[said.action]
        ends = never if np.isnan(until[place]) else until[place]
        if said.active and said.channel == channel and ends < first[action]:
            first[action], counted[action] = ends, count[place]
    first[first == never] = np.nan
    return np.where(np.isposinf(first), -np.inf, first), counted


def _after_quiet(contact: Contact, one: Batch, free_at: NDArray[np.float64]) -> NDArray[np.float64]:
    """The first moment from `free_at` (A) on at which no quiet hours cover the action; NaN where there is
    none soon."""
    covers = [hours.covers[one.channel[0]] for hours in contact.quiet_hours]
    for _ in range(MOST_ROUNDS):
        before = free_at
        for hours, covered in zip(contact.quiet_hours, covers, strict=True):
            asked = np.flatnonzero(covered & ~np.isnan(free_at))
            until = hours.until(np.repeat(one.X, len(asked), axis=0), free_at[asked])
            free_at = free_at.copy()
            free_at[asked] = np.fmax(free_at[asked], until)
        if np.array_equal(before, free_at, equal_nan=True):
            return free_at
    return np.where(np.any(covers, axis=0), np.nan, free_at)
