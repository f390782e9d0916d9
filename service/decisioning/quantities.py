"""Quantities: numbers that the workspace states, or computes for each request."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.decisioning.rulebook import Columns


@dataclass(frozen=True, slots=True)
class Formula:
    """A number computed for each request: the places of its column among those of the rules, and of the
    column that tells where it is known. `otherwise` stands in where it is not known, or not finite."""

    value: int
    known: int
    otherwise: float = 0.0

    def of(self, computed: Columns, rows: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The number for m rows, and where `otherwise` stands in for it."""
        value = computed[self.value][rows]
        assumed = ~(computed[self.known][rows] & np.isfinite(value))
        return np.where(assumed, self.otherwise, value), assumed


Quantity = float | Formula
