"""Curves of calibration as tables: all columns of a matrix of margins become probabilities in one call."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from numerics.compiling import compiled, part

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_FINITE = 700.0
"""Log-odds whose exponential is still a finite float64."""


class Curve(NamedTuple):
    """How one column of margins m (log-odds) is calibrated.

    With knots, the log-odds are interpolated between them, and level beyond. Without any they are

        above * ln(1 + exp(m)) - below * ln(1 + exp(-m)) + shift

    which rises by `below` where m is low and by `above` where it is high, and is a line where both are equal.
    """

    below: float = 1.0
    above: float = 1.0
    shift: float = 0.0
    knots: Sequence[float] = ()
    values: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Curves:
    """The curve of each of k columns.

    below, above, shift  k  see `Curve`
    first                k + 1  where the knots of a column begin; they end where those of the next one begin
    knots, values        the margins of the knots of all columns, and their log-odds
    """

    below: Floats
    above: Floats
    shift: Floats
    first: Counts
    knots: Floats
    values: Floats

    @classmethod
    def of(cls, curves: Sequence[Curve]) -> Self:
        """From the curve of each column."""
        below, above, shift = (np.array([curve[place] for curve in curves], np.float64) for place in range(3))
        counts = [len(curve.knots) for curve in curves]
        return cls(
            below,
            above,
            shift,
            first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            knots=np.array([knot for curve in curves for knot in curve.knots], np.float64),
            values=np.array([value for curve in curves for value in curve.values], np.float64),
        )

    def apply(self, margins: Floats) -> Floats:
        """The probabilities of margins of shape (n, k): above 0, at most 1, NaN where there is no margin."""
        found = np.array(margins, np.float64, order="C")
        _calibrate(found, self.below, self.above, self.shift, self.first, self.knots, self.values)
        return found


@part
def _bent(margin: float, below: float, above: float) -> float:
    """The curve without knots, before the shift."""
    if margin > 0.0:
        return above * margin + (above - below) * math.log1p(math.exp(-margin))
    return below * margin + (above - below) * math.log1p(math.exp(margin))


@part
def _between(margin: float, first: int, last: int, knots: Floats, values: Floats) -> float:
    """The value at a margin by the knots from `first` to `last`, inclusive."""
    if margin <= knots[first]:
        return float(values[first])
    if margin >= knots[last]:
        return float(values[last])
    low, high = first, last
    while high - low > 1:
        middle = (low + high) // 2
        if knots[middle] <= margin:
            low = middle
        else:
            high = middle
    share = (margin - knots[low]) / (knots[high] - knots[low])
    return float(values[low] + share * (values[high] - values[low]))


@compiled("void(f8[:, ::1], f8[::1], f8[::1], f8[::1], i8[::1], f8[::1], f8[::1])")
def _calibrate(
    margins: Floats,
    below: Floats,
    above: Floats,
    shift: Floats,
    first: Counts,
    knots: Floats,
    values: Floats,
) -> None:
    """Put the probabilities in the place of the margins; what is NaN is no candidate, and costs nothing."""
    for row in range(margins.shape[0]):
        for column in range(margins.shape[1]):
            margin = margins[row, column]
            if np.isnan(margin):
                continue
            start, end = first[column], first[column + 1]
            if end > start:
                log_odds = _between(margin, start, end - 1, knots, values)
            elif below[column] == above[column]:
                log_odds = below[column] * margin + shift[column]
            else:
                log_odds = _bent(margin, below[column], above[column]) + shift[column]
            margins[row, column] = 1.0 / (1.0 + math.exp(-max(log_odds, -_FINITE)))
