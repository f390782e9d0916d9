"""The loops that unpack what is stored of a batch of customers, from bytes to columns.

What the bytes mean is said where they are packed: vectors in `codec`, consents in `consents`, contacts in
`history` and `contacts`.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numerics.compiling import (
    Bytes,
    Flags,
    Floats,
    FloatTable,
    Integers,
    Keys,
    States,
    Words,
    compiled,
    part,
)


@part
def _fill(numbers: NDArray[Any], data: Bytes, at: int) -> int:
    """Fill an array with the bytes from a place on, where no number lies as the processor wants it. Returns
    where they end.

    Places are unsigned in the loop because a signed one might count from the end, and such bytes go one by
    one.
    """
    filled, start = numbers.view(np.uint8), np.uint64(at)
    for place in range(np.uint64(len(filled))):
        filled[place] = data[start + place]
    return at + len(filled)


@part
def _bit(data: Bytes, at: int, bit: int) -> int:
    """A bit behind a place; the first of a byte is its highest."""
    return int(data[np.uint64(at + (bit >> 3))] >> np.uint64(7 - (bit & 7)) & 1)


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
    mark, updated = np.empty(1, np.int64), np.empty(len(max_ages), np.uint32)
    numbers, levels = np.empty(len(floats)), np.empty(len(codes), np.int16)
    for row in range(len(X)):
        at = _fill(mark, data, row * size)
        if mark[0] != fingerprint:
            return False
        at = _fill(assembled_at[row : row + 1], data, at)
        at = _fill(updated, data, at)
        at = _fill(numbers, data, at)
        at = _fill(levels, data, at)
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


@compiled()
def unpack_consents(
    data: Bytes, sizes: Integers, size: int, keys: Keys, places: Integers, unknown: int, states: States
) -> None:
    """Write the states of records of `size` bytes, of the last one of each key, into `states` (n x m), and
    `unknown` where there is none. `sizes` (n) tells how many of the bytes each customer has.

    A record begins with its key and its state. The keys that mean something ascend, and each has its place.
    """
    key, start = np.empty(1, np.uint64), int(np.intp(0))
    states[:] = unknown
    for row in range(len(sizes)):
        for record in range(sizes[row] // size):
            at = _fill(key, data, start + record * size)
            found = np.searchsorted(keys, key[0])
            if found < len(keys) and keys[found] == key[0]:
                states[row, places[found]] = np.int8(data[at])
        start += sizes[row]


class Columns(NamedTuple):
    """The contacts of n customers as t records.

    words    9t  of `history.RECORD`, one behind the other
    rows     t   the customer that each belongs to
    expires  t   epoch seconds until when each counts: infinite, but for reservations
    since    n   from when on they are complete, in epoch seconds: -infinity where all of them are known,
                 infinity where they could not be read
    """

    words: Words
    rows: Integers
    expires: Floats
    since: Floats


@compiled()
def unpack_contacts(
    data: Bytes, sizes: Integers, unread: Flags, most: int, size: int, reservation_size: int
) -> Columns:
    """The histories and then the reservations, if there are any, of n customers; `sizes` (n or 2n) tells how
    many of the bytes each has.

    A record of `size` bytes begins with its time. A history with the `most` records may have lost those
    before. A reservation ends with when it expires and its record.
    """
    n, length, start, t = len(unread), size // 4, int(np.intp(0)), int(np.intp(0))
    count = (sizes[:n] // size).sum() + (sizes[n:] // reservation_size).sum()
    words, rows = np.empty(count * length, np.uint32), np.empty(count, np.intp)
    expires, since = np.empty(count), np.empty(n)
    for row in range(n):
        after = t + sizes[row] // size
        _fill(words[t * length : after * length], data, start)
        rows[t:after], expires[t:after] = row, np.inf
        since[row] = np.inf if unread[row] else -np.inf
        if after - t >= most:
            _fill(since[row : row + 1], data, start)
        start, t = start + sizes[row], after
    for row in range(len(sizes) - n):
        end = start + sizes[n + row]
        for after in range(start + reservation_size, end + 1, reservation_size):
            at = _fill(expires[t : t + 1], data, after - size - 8)
            _fill(words[t * length : (t + 1) * length], data, at)
            rows[t] = row
            t += 1
        start = end
    return Columns(words, rows, expires, since)
