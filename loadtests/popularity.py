"""Who comes: a few customers often, most of them seldom."""

from random import Random

import numpy as np


class Popularity:
    """Customers drawn by a power law: the one of rank r comes in proportion to `r ** -exponent` (Zipf's law).

    Which customer has which rank is shuffled by `seed`: popularity has nothing to do with the order in
    which they were loaded, and every process agrees on it.
    """

    def __init__(self, customers: int, *, exponent: float = 1.0, seed: int = 0) -> None:
        if customers < 1:
            raise ValueError("there has to be at least one customer")
        weights = np.arange(1, customers + 1, dtype=np.float64) ** -exponent
        self._below = np.cumsum(weights / weights.sum())
        self._by_rank = np.random.default_rng(seed).permutation(customers)

    def draw(self, random: Random) -> int:
        """The index of the customer who comes next."""
        rank = int(np.searchsorted(self._below, random.random(), side="right"))
        return int(self._by_rank[min(rank, len(self._by_rank) - 1)])

    def share_of_top(self, part: float) -> float:
        """The share of all visits that the most popular `part` (0 to 1) of the customers makes."""
        top = max(1, round(part * len(self._below)))
        return float(self._below[top - 1])
