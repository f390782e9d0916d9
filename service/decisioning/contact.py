"""Contact policies: how often, how soon again and at what hours a customer may be addressed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Touches:
    """The contact history of n requests as t flat records, oldest first within each request.

    records   t  of `feature_store.history.RECORD`
    rows      t  the request that each belongs to
    readable  n  False where the history could not be read
    """

    records: NDArray[np.void]
    rows: NDArray[np.intp]
    readable: NDArray[np.bool_]
