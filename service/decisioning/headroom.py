"""What caps leave to an answer: they hold for the actions of one answer together, too.

A cap that is not full yet keeps nobody out before arbitration; who comes first in the answer takes what it
leaves.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.contact import Contact
from service.decisioning.counters import Cells
from service.decisioning.frequency import Frequency
from service.decisioning.tally import EVERY_KEY

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
    caps = contact.shared_caps[duplicates]
    if not caps:
        return None
    cells, asked = contact.cells(batch), batch.limits.sum(axis=1)
    counted, most = cells.policies, asked.max(initial=0)
    found = [
        (keys, left, place)
        for place, cap in caps
        if place in counted or cap.limit < most
        for keys, left in _of_keys(cap, batch.channel, asked, cells.of(place))
    ]
    if not found:
        return None
    together, lefts, places = zip(*found, strict=True)
    return Headroom(np.array(together), np.stack(lefts, axis=1), np.array(places, np.intp))


def _of_keys(
    cap: Frequency, channel: NDArray[np.intp], asked: NDArray[np.int64], cells: Cells
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
    """What a cap counts together, with what is left of it, where that may be too little."""
    used = np.zeros((len(asked), cap.counting.size), np.intp)  # who isn't in a cell has enough left
    counted = cells.keys != EVERY_KEY
    used[cells.rows[counted], cells.keys[counted]] = cells.counts[counted]
    here = cap.counting.keys[channel]
    for key in np.flatnonzero((cap.limit - used < asked[:, None]).any(axis=0)).tolist():
        concerned = (here == key).any(axis=1)
        left = np.where(concerned, cap.limit - used[:, key], PLENTY)
        if (left < asked).any():
            yield (cap.counting.keys == key).any(axis=0), left
