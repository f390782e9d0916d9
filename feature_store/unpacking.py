"""The loop that unpacks vectors, from the bytes of a batch to the rows of X; see `codec` for their layout."""

import numpy as np
from numpy.typing import NDArray

from numerics.compiling import Bytes, Floats, FloatTable, Integers, compiled, part


@part
def _move(data: Bytes, at: np.uint64, section: NDArray[np.uint8]) -> np.uint64:
    """Fill a section, in which numbers lie as the processor wants them, with the bytes from a place on.
    Returns where they end.

    Places are unsigned because a signed one might count from the end, and such bytes go one by one.
    """
    size = np.uint64(len(section))
    for place in range(size):
        section[place] = data[at + place]
    return at + size


@part
def _bit(data: Bytes, at: np.uint64, bit: int) -> int:
    """A bit behind a place; the highest of a byte is its first."""
    return int(data[at + np.uint64(bit >> 3)] >> np.uint64(7 - (bit & 7)) & 1)


@compiled()
def unpack_vectors(
    data: Bytes,
    X: FloatTable,
    assembled_at: Floats,
    now: float,
    fingerprint: int,
    size: int,
    floats: Integers,
    codes: Integers,
    bits: Integers,
    known_bits: Integers,
    value_bits: Integers,
    timed: Integers,
    owners: Integers,
    max_ages: Floats,
) -> bool:
    """Write vectors of `size` bytes, one behind the other, into the rows of X, and into `assembled_at` (n)
    when they were made. What is older than its max_age `now` is NaN. False at the first vector that is not
    of the fingerprint; those behind it are not written.

    floats, codes, bits     the columns of X that each section of a vector has
    known_bits, value_bits  of each column of `bits`, which bit tells whether it is known, and which its value
    timed, owners           the columns of features that age, and of each the place of its feature
    max_ages                of these features, in seconds
    """
    head, updated = np.empty(2, np.int64), np.empty(len(max_ages), np.uint32)
    numbers, levels = np.empty(len(floats)), np.empty(len(codes), np.int16)
    times = head.view(np.float64)
    for row in range(len(X)):
        at = _move(data, np.uint64(row * size), head.view(np.uint8))
        if head[0] != fingerprint:
            return False
        assembled_at[row] = times[1]
        at = _move(data, at, updated.view(np.uint8))
        at = _move(data, at, numbers.view(np.uint8))
        at = _move(data, at, levels.view(np.uint8))
        for place in range(len(floats)):
            X[row, floats[place]] = numbers[place]
        for place in range(len(codes)):
            X[row, codes[place]] = levels[place] if levels[place] >= 0 else np.nan
        for place in range(len(bits)):
            known = _bit(data, at, known_bits[place])
            X[row, bits[place]] = _bit(data, at, value_bits[place]) if known else np.nan
        for place in range(len(timed)):
            owner = owners[place]
            if updated[owner] < now - max_ages[owner]:
                X[row, timed[place]] = np.nan
    return True
