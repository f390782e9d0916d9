"""Taking candidates out: the first reason stays."""

import numpy as np
from numpy.typing import NDArray

from service.decisioning.stages import STILL_IN


def remove(removed_by: NDArray[np.int32], out: NDArray[np.bool_], codes: int | NDArray[np.int32]) -> None:
    """Take out (in place, n x A) the candidates `out` that are still in, for the reason of a code, or of one
    each."""
    np.copyto(removed_by, codes, where=out & (removed_by == STILL_IN))


def remove_at(
    removed_by: NDArray[np.int32], rows: NDArray[np.intp], out: NDArray[np.bool_], code: int
) -> None:
    """The same for some rows (m, each once), of which `out` is m x A, or A for all of them."""
    if rows.size:
        theirs = removed_by[rows]
        remove(theirs, out, code)
        removed_by[rows] = theirs
