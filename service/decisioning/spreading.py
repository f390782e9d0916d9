"""One row that stands for many: a view, since most numbers of a catalogue are the same for every request."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def spread(row: Array, n: int) -> Array:
    """A row (A, contiguous) as n x A, read-only: what `numpy.broadcast_to` gives, at a tenth of its price."""
    view: Array = np.ndarray((n, *row.shape), row.dtype, row, 0, (0, *row.strides))
    view.flags.writeable = False
    return view


def with_rows(columns: Array, rows: NDArray[np.intp], others: Array) -> Array:
    """`columns` (n x A) with `others` (m x A) in some of its rows; itself where both are one row, spread."""
    if columns.strides[0] == others.strides[0] == 0 and columns.base is others.base:
        return columns
    joined = columns.copy()
    joined[rows] = others
    return joined
