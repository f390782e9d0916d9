"""Draws: numbers that look random and are a function of what they are drawn for.

A counter-based generator instead of a stream: each draw is the hash of a seed and of what is drawn, so that
it depends neither on the batch in which it is made nor on what was drawn before. Hashes are mixed by the
finalizer of SplitMix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, OOPSLA 2014).
"""

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

UNKNOWN = np.uint64(0)
"""The key of what is not known; no text has it but by a chance of one in 2^64."""
_GAMMA = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
_HASH = hashlib.blake2b(digest_size=8)
_ONE, _TWELVE, _STEP = np.uint64(1), np.uint64(12), np.uint64(_GAMMA)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)
_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@lru_cache(maxsize=65_536)
def key_of_name(name: str) -> int:
    """`key_of`, remembered: for names of a workspace, of which there are few."""
    return key_of(name)


def key_of(text: str) -> int:
    """A stable 64-bit hash of a text: BLAKE2b."""
    return int.from_bytes(_digest(text), "little")


def keys_of(texts: list[str]) -> Keys:
    """`key_of` of many."""
    return np.frombuffer(b"".join([_digest(text) for text in texts]), "<u8").astype(np.uint64)


def _digest(text: str) -> bytes:
    hash_ = _HASH.copy()  # a third of the time of making one
    hash_.update(text.encode())
    return hash_.digest()


def mixed(keys: Keys) -> Keys:
    """Each key's bits, spread over all 64."""
    bits = keys ^ (keys >> _SHIFTS[0])
    bits *= _FACTORS[0]
    bits ^= bits >> _SHIFTS[1]
    bits *= _FACTORS[1]
    bits ^= bits >> _SHIFTS[2]
    return bits


def branch(keys: Keys, *path: int | NDArray[np.integer]) -> Keys:
    """Keys of their own for what lies below a path of numbers, each from 0 to 2^64 - 1, or one for each
    key."""
    for number in path:
        if isinstance(number, int):
            keys = mixed(keys + np.uint64((number + 1) * _GAMMA & _MASK))
        else:
            step = number.astype(np.uint64) + _ONE
            step *= _STEP
            keys = mixed(keys + step)
    return keys


def uniforms(keys: Keys) -> NDArray[np.float64]:
    """A number of (0, 1) for each key; 2^52 of them, equally likely."""
    spread: NDArray[np.float64] = (keys >> _TWELVE).astype(np.float64)
    spread += 0.5
    spread *= 2.0**-52
    return spread
