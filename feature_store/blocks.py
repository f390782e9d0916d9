"""What was promised and what came of it, for one action in one channel: counts by the time of the decisions.

A block has what was decided before the next one begins. Blocks are as long as it takes to expect so many
responses, so that memory is one of outcomes and not of days, and long enough for these to come: a late
response still finds the decisions that it belongs to.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = np.dtype([(name, "<f8") for name in ("since", "until", "shown", "expected", "responses")])
"""The first and the last moment of its decisions (epoch seconds), how many were shown, the sum of the
propensities that were predicted for these, and how many were responded to."""
MOST_BLOCKS = 32

Blocks = NDArray[np.void]
NOTHING: Blocks = np.empty(0, BLOCK)


class Length(NamedTuple):
    """What a block has at least before the next one begins: expected responses, and seconds."""

    responses: float
    seconds: float


class Count(NamedTuple):
    """What is to be counted for decisions at a time in epoch seconds."""

    at: float
    shown: float
    expected: float
    responses: float


def counted(blocks: Blocks, counts: Iterable[Count], length: Length) -> Blocks:
    """Blocks of a length with more counts. What belongs before the oldest of as many as are kept is
    forgotten already."""
    found = blocks.tolist()
    for count in sorted(counts):
        if not found or _is_over(found[-1], count.at, length):
            found.append((count.at, count.at, 0.0, 0.0, 0.0))
        place = _place(found, count.at)
        if place is not None:
            since, until, shown, expected, responses = found[place]
            found[place] = (
                min(since, count.at),
                max(until, count.at),
                shown + count.shown,
                expected + count.expected,
                responses + count.responses,
            )
    return np.array(found[-MOST_BLOCKS:], BLOCK)


def _is_over(block: Sequence[float], at: float, length: Length) -> bool:
    since, _, _, expected, _ = block
    return expected >= length.responses and at > since and at >= since + length.seconds


def _place(found: Sequence[Sequence[float]], at: float) -> int | None:
    """The block of decisions at a time; None: it is forgotten."""
    for place in range(len(found) - 1, -1, -1):
        if found[place][0] <= at:
            return place
    return 0 if len(found) < MOST_BLOCKS else None


def unpacked(blocks: bytes) -> Blocks:
    """Blocks as they are kept: record after record."""
    return np.frombuffer(blocks, BLOCK)
