"""What caps leave to an answer: they hold for the actions of one answer together, too.

A cap that is not full yet keeps nobody out before arbitration; who comes first in the answer takes what it
leaves.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.contact import Contact
from service.decisioning.counters import Counts
from service.decisioning.frequency import Cap

PLENTY = np.iinfo(np.int64).max // 2


class Headroom(NamedTuple):
    """What k caps leave to each of n answers.

    counted  k x A  the actions that each counts
    left     n x k  how many of them an answer may have
    places   k      of the cap among the policies that count
    """

    counted: NDArray[np.bool_]
    left: NDArray[np.int64]
    places: NDArray[np.intp]


def headroom(contact: Contact, batch: Batch, *, duplicates: bool) -> Headroom | None:
    """What may keep answers from being filled; None where caps leave every answer more than it asks for.

    `duplicates` tells whether an action may stand several times in an answer.
    """
    asked = batch.limits.sum(axis=1)
    counted = {
        number: (counts, at) for places, counts in contact.counts(batch) for at, number in enumerate(places)
    }
    found = [
        (keys, left, place)
        for place, cap in contact.shared_caps
        if duplicates or cap.counting.per != "action"
        for keys, left in _of_keys(cap, batch.channel, asked, *counted.get(place, (None, 0)))
    ]
    if not found:
        return None
    together, lefts, places = zip(*found, strict=True)
    return Headroom(np.array(together), np.stack(lefts, axis=1), np.array(places, np.intp))


def _of_keys(
    cap: Cap, channel: NDArray[np.intp], asked: NDArray[np.int64], counts: Counts | None, at: int
) -> list[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
    """What a cap counts together, with what is left of it, where that may be too little. `at` is its place in
    the counts of its history; None where there is none."""
    most = 0 if counts is None else counts.most[at]
    if cap.at_most >= most + asked.max(initial=0):
        return []
    used = np.zeros((len(asked), cap.counting.size), np.intp)
    if counts is not None:  # who has fewer records has enough left, whatever their keys
        used = counts.of(at, cap.at_most + 1 - asked).totals()
    short = np.flatnonzero((cap.at_most - used < asked[:, None]).any(axis=0))
    here = cap.counting.keys[channel]
    found = []
    for key in short.tolist():
        concerned = (here == key).any(axis=1)
        left = np.where(concerned, cap.at_most - used[:, key], PLENTY)
        if (left < asked).any():
            found.append(((cap.counting.keys == key).any(axis=0), left))
    return found
