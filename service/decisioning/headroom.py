"""What caps leave to an answer: they hold for the actions of one answer together, too.

A cap that is not full yet keeps nobody out before arbitration; who comes first in the answer takes what it
leaves.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.contact import Contact
from service.decisioning.frequency import Cap, Gap

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
    found = [
        (counted, left, place)
        for place, cap in enumerate(contact.frequencies)
        if isinstance(cap, Cap) and not isinstance(cap, Gap) and not cap.counting.of_treatments
        if duplicates or cap.counting.per != "action"
        for counted, left in _of_keys(contact, cap, batch)
    ]
    if not found:
        return None
    counted, lefts, places = zip(*found, strict=True)
    return Headroom(np.array(counted), np.stack(lefts, axis=1), np.array(places, np.intp))


def _of_keys(contact: Contact, cap: Cap, batch: Batch) -> list[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
    """What a cap counts together, with what is left of it, where that may be too little."""
    touches, asked = cap.touches(batch), batch.limits.sum(axis=1)
    if touches is None or not len(touches.records):
        if cap.at_most >= asked.max(initial=0):
            return []
        used = np.zeros((len(batch), cap.counting.size), np.int64)
    else:
        used = cap.tally(touches.reading(contact.vocabulary), batch.now).counts
    short = np.flatnonzero((cap.at_most - used < asked[:, None]).any(axis=0))
    here = cap.counting.keys[batch.channel]
    found = []
    for key in short.tolist():
        concerned = (here == key).any(axis=1)
        left = np.where(concerned, cap.at_most - used[:, key], PLENTY)
        if (left < asked).any():
            found.append(((cap.counting.keys == key).any(axis=0), left))
    return found
