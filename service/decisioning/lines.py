"""Lines: where units lie on those of namespaces, and so which arms they are in, as one compiled loop."""

import numpy as np
from numpy.typing import NDArray

from numerics.compiling import compiled, part

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Keys = NDArray[np.uint64]

_UNKNOWN, _ONE, _GAMMA = np.uint64(0), np.uint64(1), np.uint64(0x9E3779B97F4A7C15)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)
_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SPARE_BITS = np.uint64(12)


@part
def _place(unit: np.uint64, namespace: np.uint64) -> float:
    """`experiments.places` of one unit."""
    key = unit + (namespace + _ONE) * _GAMMA
    key ^= key >> _SHIFTS[0]
    key *= _FACTORS[0]
    key ^= key >> _SHIFTS[1]
    key *= _FACTORS[1]
    key ^= key >> _SHIFTS[2]
    return (np.float64(key >> _SPARE_BITS) + 0.5) * 2.0**-52


@part
def _lie(units: Keys, now: Floats, namespace: np.uint64, start: float, end: float, places: Floats) -> None:
    """Write down where each of n units lies on a line; NaN where it is not known, or not while it runs."""
    for row in range(len(now)):
        runs = start <= now[row] and now[row] < end
        places[row] = _place(units[row], namespace) if runs and units[row] != _UNKNOWN else np.nan


@compiled(
    "Tuple((i8[::1], i8[::1]))"
    "(u8[:, ::1], f8[::1], u8[::1], i8[::1], f8[::1], f8[::1], i8[::1], f8[::1], f8[::1])"
)
def taken(
    units: Keys,
    now: Floats,
    namespaces: Keys,
    kinds: Ints,
    start: Floats,
    end: Floats,
    experiment: Ints,
    first: Floats,
    last: Floats,
) -> tuple[Ints, Ints]:
    """Who takes part in what: rows and arms, arm by arm.

    `units` has a row of n for each kind of units; the rest is E experiments, and r arms experiment by
    experiment, as `experiments` has them.
    """
    rows, arms = np.empty(len(first) * len(now), np.int64), np.empty(len(first) * len(now), np.int64)
    places, found = np.empty(len(now)), 0
    for arm in range(len(first)):
        at = experiment[arm]
        if arm == 0 or experiment[arm - 1] != at:
            _lie(units[kinds[at]], now, namespaces[at], start[at], end[at], places)
        for row in range(len(now)):
            if first[arm] <= places[row] and places[row] < last[arm]:
                rows[found], arms[found] = row, arm
                found += 1
    return rows[:found], arms[:found]
