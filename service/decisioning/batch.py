"""What `decide` reads: a batch of n requests as columns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Batch:
    """n requests over a catalogue of A actions and S slots.

    X          n x F  features in the schema's column order, defaults applied; NaN is missing
    now        n      epoch seconds at which each request is decided
    channel    n      index into the catalogue's channels
    limits     n x S  how many actions each slot asks for; 0 is not asked
    scored     n      False where there is no time left for models: declared propensities are used
    excluded   n x A  actions that the request does not want, or None when no request excludes any
    consents   n x P x C  what the store knows of consent for P purposes: 1 granted, 0 denied, -1 unknown;
                      None when nothing is known of anybody
    """

    X: NDArray[np.float64]
    now: NDArray[np.float64]
    channel: NDArray[np.intp]
    limits: NDArray[np.int32]
    scored: NDArray[np.bool_]
    excluded: NDArray[np.bool_] | None = None
    consents: NDArray[np.int8] | None = None

    def __len__(self) -> int:
        return len(self.X)
