"""How long batches take, learned from the last ones."""

import math

WEIGHT = 0.1
"""Of a batch among all that are remembered."""
SPREAD = 25.0
"""Variance of the sizes of batches from which on they tell what an item costs. While all are alike they
don't: then more items are taken to cost nothing more, until they come and show it."""


class Pace:
    """Seconds that a batch takes: `fixed` for itself, and `each` for every item, by weighted least squares
    (a ridge regression on the size). What a batch costs by itself matters: a queue that is twice as long
    is worked off in less than twice the time, because its batches are larger."""

    def __init__(self) -> None:
        self.fixed = self.each = 0.0
        self._weights = self._items = self._seconds = self._squares = self._products = 0.0

    def learn(self, items: int, seconds: float) -> None:
        """Learn from a batch."""
        keep = 1.0 - WEIGHT
        self._weights = keep * self._weights + 1.0
        self._items = keep * self._items + items
        self._seconds = keep * self._seconds + seconds
        self._squares = keep * self._squares + items * items
        self._products = keep * self._products + items * seconds
        mean, took = self._items / self._weights, self._seconds / self._weights
        variance = max(0.0, self._squares / self._weights - mean * mean)
        covariance = self._products / self._weights - mean * took
        self.each = min(max(0.0, covariance / (variance + SPREAD)), took / mean)
        self.fixed = took - self.each * mean

    def expected(self, items: int, at_once: int) -> float:
        """Seconds for so many items, in batches of so many at most."""
        return self.fixed * math.ceil(items / at_once) + self.each * items
