"""Quantities: numbers that the workspace states, or computes for each request."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Rows
from service.decisioning.rules.program import Columns


@dataclass(frozen=True, slots=True)
class Formula:
    """A number computed for each request: the place of its column among those of the rules, and what stands
    in where there is no finite number."""

    value: int
    otherwise: float = 0.0


Quantity = float | Formula


def computed_numbers(
    formulas: Sequence[Formula], computed: Columns, rows: Rows
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The numbers of k formulas for m rows, m x k, and where `otherwise` stands in for them."""
    columns = np.concatenate([computed[formula.value] for formula in formulas])
    numbers = columns.reshape(len(formulas), -1)[:, rows].T
    assumed = ~np.isfinite(numbers)
    otherwise = np.array([formula.otherwise for formula in formulas])
    return np.where(assumed, otherwise, numbers), assumed
