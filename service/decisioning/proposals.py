"""Proposals: ways to choose among candidates by chance, each with the exact probability of any choice.

Requests are rows, m of them; A actions are columns; a score of -inf is no candidate. Nothing depends on the
other rows, nor on actions that are no candidates.
"""

from statistics import NormalDist
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.decisioning.draws import Keys, mixed, uniforms

LEVELS = 64
"""M: how many values, all equally likely, a drawn propensity can have: probabilities are finite sums."""
_LEVEL_BITS = np.uint64(64 - 6)
WITHIN, OF_DRAWS, POSITIVES = 0.10, 0.90, 200.0
"""How widely is drawn: 90 % of draws lie within 10 % of the model's propensity if 200 positives are known."""
SHAPE_PER_POSITIVE = (NormalDist().inv_cdf((1 + OF_DRAWS) / 2) / WITHIN) ** 2 / POSITIVES
"""Of the gamma distribution: its standard deviation is 1/sqrt(shape) of its mean."""


class Proposal(Protocol):
    """A way to choose."""

    def pick(self, keys: Keys) -> NDArray[np.intp]:
        """The choice of each row, by a key (m) each."""

    def probability(self, choice: NDArray[np.intp]) -> NDArray[np.float64]:
        """With which each row's pick is `choice` (m), a candidate of it."""


class Best:
    """What is best, always."""

    def __init__(self, best: NDArray[np.intp]) -> None:
        self._best = best

    def pick(self, keys: Keys) -> NDArray[np.intp]:
        return self._best

    def probability(self, choice: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.asarray(choice == self._best, dtype=np.float64)


class Uniform:
    """Any candidate, all with the same probability; a row has `number` of them."""

    def __init__(self, available: NDArray[np.bool_], number: NDArray[np.intp]) -> None:
        self._available, self._number = available, number

    def pick(self, keys: Keys) -> NDArray[np.intp]:
        place = np.floor(uniforms(keys) * self._number)
        return _first(np.cumsum(self._available, axis=1) > place[:, None])

    def probability(self, choice: NDArray[np.intp]) -> NDArray[np.float64]:
        return 1.0 / self._number


class Softmax:
    """In proportion to score^(1/temperature), so by the ratios of scores and not by their scale. Where no
    score is above 0, the first candidate."""

    def __init__(self, scores: NDArray[np.float64], temperature: float) -> None:
        ratios = _ratios(scores)
        weights = np.power(ratios, 1.0 / temperature)
        hopeless = ~(ratios > 0).any(axis=1)
        weights[hopeless, scores[hopeless].argmax(axis=1)] = 1.0
        self._weights = weights
        self._upto = np.cumsum(weights, axis=1)  # a running sum rounds the same whoever else is out

    def pick(self, keys: Keys) -> NDArray[np.intp]:
        aim = uniforms(keys) * self._upto[:, -1]
        return _first(self._upto > aim[:, None])

    def probability(self, choice: NDArray[np.intp]) -> NDArray[np.float64]:
        weight = np.take_along_axis(self._weights, choice[:, None], axis=1)[:, 0]
        probability: NDArray[np.float64] = weight / self._upto[:, -1]
        return probability


class Lottery:
    """Each candidate draws one of M equally likely multipliers, and the highest score so multiplied wins, of
    equal ones the first.

    multipliers  A x M  ascending
    most         m x A  no multiplier counts for more
    actions      A      keys of the actions, so that the draw of one depends on no other

    The probability of a choice is the mean, over its M values, of the product over its rivals of the share
    of their values below. Who can't reach the worst draw of another is out of the race from the beginning,
    so few are left where much is known.
    """

    def __init__(
        self,
        scores: NDArray[np.float64],
        multipliers: NDArray[np.float64],
        most: NDArray[np.float64],
        actions: Keys,
    ) -> None:
        ratios = _ratios(scores)
        low, high = (
            (ratios * np.minimum(multipliers[:, level], most)).astype(np.float32) for level in (0, -1)
        )
        racing = (high >= low.max(axis=1, keepdims=True)) & (scores > -np.inf)
        self._rows, self._columns = np.nonzero(racing)
        runners = self._rows, self._columns
        multiplied = np.minimum(multipliers[self._columns], most[runners][:, None])
        self._values = (ratios[runners][:, None] * multiplied).astype(np.float32)
        self._keys = actions[self._columns]
        self._place = np.full(scores.shape, -1, dtype=np.intp)
        self._place[runners] = np.arange(len(self._rows))

    def pick(self, keys: Keys) -> NDArray[np.intp]:
        level = levels(keys[self._rows], self._keys)
        drawn = np.full(self._place.shape, -1.0, dtype=np.float32)
        drawn[self._rows, self._columns] = self._values[np.arange(len(level)), level]
        return np.asarray(drawn.argmax(axis=1))

    def probability(self, choice: NDArray[np.intp]) -> NDArray[np.float64]:
        own = self._place[np.arange(len(choice)), choice]
        races = own >= 0
        probability = np.zeros(len(choice))
        rivals = np.flatnonzero(races[self._rows] & (self._columns != choice[self._rows]))
        below = np.ones((len(choice), LEVELS))
        if rivals.size:
            rows = self._rows[rivals]
            first = np.concatenate(([0], np.flatnonzero(rows[1:] != rows[:-1]) + 1))
            # floats that are not negative ascend as their bits do
            bits = self._values.view(np.uint32).astype(np.uint64) << np.uint64(1)
            shares = _shares_below(bits[own[rows]], bits[rivals], choice[rows] < self._columns[rivals])
            below[rows[first]] = np.multiply.reduceat(shares, first, axis=0)
        probability[races] = below[races].mean(axis=1)
        return probability


def levels(keys: Keys, actions: Keys) -> NDArray[np.intp]:
    """Which of its M multipliers an action draws at a turn, by the keys of both."""
    return (mixed(keys ^ actions) >> _LEVEL_BITS).astype(np.intp)


def _shares_below(mine: Keys, theirs: Keys, wins_ties: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The share of each rival's values that lies below each of mine, r x M; equal ones count where I win
    ties. Values are 32 bits, the last of them 0, and ascend in each of the r rows.

    One binary search for all: behind the number of their row the values make one ascending table.
    """
    row = np.arange(len(mine), dtype=np.uint64) << np.uint64(32)
    table = theirs + row[:, None]
    sought = mine + (row + wins_ties)[:, None]
    found = table.ravel().searchsorted(sought.ravel()).reshape(mine.shape)
    shares: NDArray[np.float64] = (found - np.arange(0, mine.size, LEVELS)[:, None]) / LEVELS
    return shares


def noise(evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """By what Thompson sampling multiplies the propensity of each action, A x M, ascending, of mean 1.

    The M middle quantiles of a gamma distribution of mean 1 whose shape grows with the positives known of the
    action (`evidence`, A, at least 1), by the cube of Wilson and Hilferty (The distribution of chi-square,
    PNAS 17, 1931): shape k has the quantile (1 - 1/(9k) + z/(3 sqrt(k)))^3 where the normal one is z.
    """
    shape = (SHAPE_PER_POSITIVE * np.maximum(evidence, 1.0))[:, None]
    z = np.array([NormalDist().inv_cdf((level + 0.5) / LEVELS) for level in range(LEVELS)])
    quantiles = np.maximum(1.0 - 1.0 / (9.0 * shape) + z / (3.0 * np.sqrt(shape)), 0.0) ** 3
    return np.asarray(quantiles / quantiles.mean(axis=1, keepdims=True))


def random_noise(actions: int) -> NDArray[np.float64]:
    """A propensity that nothing is known of, A x M: the middle quantiles of (0, 1)."""
    return np.broadcast_to((np.arange(LEVELS) + 0.5) / LEVELS, (actions, LEVELS))


def _first(true: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The first column of each row that is True."""
    return np.asarray(true.argmax(axis=1))


def _ratios(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores as shares of the row's best, 0 where that is 0 or there is no candidate."""
    amount = np.maximum(scores, 0.0)
    best = amount.max(axis=1, initial=0.0, keepdims=True)
    return np.asarray(np.divide(amount, best, out=np.zeros_like(amount), where=best > 0))
