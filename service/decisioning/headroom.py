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
from service.decisioning.touches import Reading

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
    keys = cap.counting.keys
    used = np.zeros((len(batch), max(int(keys.max(initial=0)), 0) + 1), np.int64)
    touches = cap.touches(batch)
    if touches is not None and len(touches.records):
        runs = cap.counted(Reading(touches, contact.vocabulary), batch.now)
        known = runs.keys < used.shape[1]
        used[runs.rows[known], runs.keys[known]] = runs.sizes[known]
    here = keys[batch.channel]
    asked = batch.limits.sum(axis=1)
    found = []
    for key in range(used.shape[1]):
        concerned = (here == key).any(axis=1)
        left = np.where(concerned, cap.at_most - used[:, key], PLENTY)
        if (left < asked).any():
            found.append(((keys == key).any(axis=0), left))
    return found
