"""The records that a contact policy counts, by request and key."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Counted:
    """c records.

    rows, keys      c  the request, and what a record counts for
    times, expires  c  when it was, and until when it counts at most
    shape              how many requests and keys there are
    """

    rows: NDArray[np.intp]
    keys: NDArray[np.intp]
    times: NDArray[np.float64]
    expires: NDArray[np.float64]
    shape: tuple[int, int]

    def totals(self) -> NDArray[np.intp]:
        """How many there are, n x K."""
        cells = self.rows * self.shape[1] + self.keys
        return np.bincount(cells, minlength=self.shape[0] * self.shape[1]).reshape(self.shape)

    def runs(self, values: NDArray[np.float64]) -> "Runs":
        """In order of a value of each (c)."""
        return Runs(self, values)


class Runs:
    """Records of one request and key stand together, by ascending value.

    values         c  of each record
    rows, keys     r  of each run
    starts, sizes  r  where its records begin, and how many they are
    """

    def __init__(self, counted: Counted, values: NDArray[np.float64]) -> None:
        order = np.lexsort((values, counted.keys, counted.rows))
        rows, keys, self.values = counted.rows[order], counted.keys[order], values[order]
        first = np.ones(len(order), np.bool_)
        first[1:] = (rows[1:] != rows[:-1]) | (keys[1:] != keys[:-1])
        self.starts = first.nonzero()[0]
        self.rows, self.keys = rows[self.starts], keys[self.starts]
        self.sizes = np.empty_like(self.starts)
        self.sizes[:-1] = self.starts[1:] - self.starts[:-1]
        self.sizes[-1:] = len(order) - self.starts[-1:]
