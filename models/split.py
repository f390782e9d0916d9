"""Which customers train, which tune and which test: decided by a hash, so that it never changes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

TRAINING, VALIDATION = 0.70, 0.15
"""The shares of customers; the rest tests."""


@dataclass(frozen=True)
class Split:
    """The three parts as row masks, each of shape (n,). All rows of a customer are in the same part."""

    training: NDArray[np.bool_]
    validation: NDArray[np.bool_]
    test: NDArray[np.bool_]

    @classmethod
    def by_customer(cls, customer_ids: Sequence[str], customers: NDArray[np.intp], seed: int) -> Self:
        """Split n rows, of which `customers` says the index of the owner in `customer_ids`."""
        key = seed.to_bytes(8, "little", signed=True)
        digests = (hashlib.blake2b(name.encode(), digest_size=8, key=key).digest() for name in customer_ids)
        place = (np.frombuffer(b"".join(digests), "<u8") / 2.0**64)[customers]
        training = place < TRAINING
        test = place >= TRAINING + VALIDATION
        return cls(training, ~training & ~test, test)
