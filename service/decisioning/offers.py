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
