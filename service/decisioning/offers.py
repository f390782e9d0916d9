"""One voice: the terms that a customer was offered are kept, in every channel, until they run out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Promises:
    """The offers that still hold for the customers of a batch, as k flat columns.

    rows     k  the request whose customer was made the offer
    actions  k  index into the catalogue's actions
    """

    rows: NDArray[np.intp]
    actions: NDArray[np.intp]

    def take(self, rows: NDArray[np.intp]) -> "Promises":
        """Those of some requests, each at most once, in the given order."""
        place = np.full(max(int(self.rows.max(initial=-1)), int(rows.max(initial=-1))) + 1, -1, np.intp)
        place[rows] = np.arange(len(rows))
        kept = np.flatnonzero(place[self.rows] >= 0)
        return Promises(place[self.rows[kept]], self.actions[kept])
