"""Challengers: who is decided for by another version of a model than the champion, the same in every channel.

Customers lie on a line by a hash, as for experiments, and each challenger owns parts of it. It decides in a
snapshot of its own, so that everything that a decision says of itself is true of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.decisioning.draws import Keys, key_of
from service.decisioning.experiments import places
from service.decisioning.snapshot import Snapshot

LINE = key_of("models")
"""What lays customers on the line of challengers."""
TRIAL = "model:"
"""Begins the names of those arms that say which version of a model has decided."""


@dataclass(frozen=True, eq=False)
class Challenger:
    """A version of a model, the parts of the line for whose customers it decides, each from a place from 0 to
    1 up to another, and the snapshot by which it does so."""

    model: str
    version: str
    parts: tuple[tuple[float, float], ...]
    snapshot: Snapshot

    @property
    def share(self) -> float:
        """Of the customers, those for whom it decides."""
        return sum(end - start for start, end in self.parts)


def deciders(units: Keys, challengers: Sequence[Challenger]) -> NDArray[np.intp]:
    """n: who decides for each customer, the number of a challenger from 1 on, or 0: the champions."""
    place = places(units, LINE)
    found = np.zeros(len(units), np.intp)
    for number, challenger in enumerate(challengers, start=1):
        for start, end in challenger.parts:
            found[(start <= place) & (place < end)] = number
    return found
