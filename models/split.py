"""Which rows train, which tune and which test: by time, or where rows have none, by customer."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

TRAINING, VALIDATION = 0.70, 0.15
"""The shares of rows or customers; the rest tests."""


@dataclass(frozen=True)
class Split:
    """The three parts as row masks, each of shape (n,)."""

    training: NDArray[np.bool_]
    validation: NDArray[np.bool_]
    test: NDArray[np.bool_]

    @classmethod
    def of_decisions(
        cls, now: NDArray[np.float64], customer_ids: Sequence[str], customers: NDArray[np.intp], seed: int
    ) -> Self:
        """Split n decisions by time, or where too few different times leave a part empty, as when a campaign
        was sent to all at one moment, by customer."""
        split = cls.by_time(now)
        if split.validation.any() and split.test.any():
            return split
        return cls.by_customer(customer_ids, customers, seed)

    @classmethod
    def by_time(cls, now: NDArray[np.float64]) -> Self:
        """Split n decisions by when they were made: the newest ones test, those before them tune.

        A model serves what comes after it was made: other moods and prices, the actions of today. What it
        must not know is the future. The same customers may be in all parts, since those whom it serves are
        those whom it has seen. What was decided at one moment stays together.
        """
        tuned, tested = np.quantile(now, (TRAINING, TRAINING + VALIDATION))
        return cls(now <= tuned, (now > tuned) & (now <= tested), now > tested)

    @classmethod
    def by_customer(cls, customer_ids: Sequence[str], customers: NDArray[np.intp], seed: int) -> Self:
        """Split n rows, of which `customers` says the index of the owner in `customer_ids`, by a hash of the
        owner, so that all rows of a customer are in the same part and it never changes."""
        key = seed.to_bytes(8, "little", signed=True)
        digests = (hashlib.blake2b(name.encode(), digest_size=8, key=key).digest() for name in customer_ids)
        place = (np.frombuffer(b"".join(digests), "<u8") / 2.0**64)[customers]
        training = place < TRAINING
        test = place >= TRAINING + VALIDATION
        return cls(training, ~training & ~test, test)
