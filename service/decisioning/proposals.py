"""Proposals: ways to choose among candidates by chance, each with the exact probability of any choice.

Requests are rows, m of them; A actions are columns; a score of -inf is no candidate. Nothing depends on the
other rows, nor on actions that are no candidates.
"""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.decisioning.draws import Keys, mixed, uniforms

LEVELS = 64
"""M: how many values, all equally likely, a drawn propensity can have: probabilities are finite sums."""
_LEVEL_BITS, _ONE = np.uint64(64 - 6), np.uint32(1)
MOST_RUNNERS = 8_192
"""Whose values are held at once: each needs some kilobytes."""
_ROUNDED = 1.0 + 2.0**-20
"""More than the rounding of a value to 32 bits can make of it."""
WITHIN, OF_DRAWS, POSITIVES = 0.10, 0.90, 200.0
"""How widely is drawn: 90 % of draws lie within 10 % of the model's propensity if 200 positives are known."""
SHAPE_PER_POSITIVE = (NormalDist().inv_cdf((1 + OF_DRAWS) / 2) / WITHIN) ** 2 / POSITIVES
"""Of the gamma distribution: its standard deviation is 1/sqrt(shape) of its mean."""


def pick_any(available: NDArray[np.bool_], keys: Keys) -> NDArray[np.intp]:
    """One of the candidates (m x A) of each row, all with the same probability, by a key (m) each."""
    upto = np.cumsum(available, axis=1)
    place = np.floor(uniforms(keys) * upto[:, -1])
    return _first(upto > place[:, None])


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

    scores       m x A
    multipliers  A x M  ascending
    most         m x A  no multiplier counts for more; None: all count
    """

    def __init__(
        self,
        scores: NDArray[np.float64],
        multipliers: NDArray[np.float64],
        most: "Bound | None" = None,
    ) -> None:
        self._scores, self._multipliers, self._most = scores, multipliers, most

    def pick(self, drawn: NDArray[np.float64]) -> NDArray[np.intp]:
        """The choice of each row, by what everybody has drawn, m x A: see `multiplied`."""
        values = (_ratios(self._scores) * drawn).astype(np.float32)
        values[self._scores == -np.inf] = -1.0
        return np.asarray(values.argmax(axis=1))

    def probability(self, choice: NDArray[np.intp]) -> NDArray[np.float64]:
        """With which each row's pick is `choice` (m), a candidate of it: the mean, over its M values, of the
        product over its rivals of the share of their values below.

        Who can't reach the worst draw of another is out of the race from the beginning, so few are left where
        much is known.
        """
        rows, columns = self._racing()
        if len(rows) > MOST_RUNNERS and len(choice) > 1:
            return self._by_halves(choice)
        own = (columns == choice[rows]).nonzero()[0]
        probability, mine = np.zeros(len(choice)), np.full(len(choice), -1)
        mine[rows[own]] = own
        probability[rows[own]] = 1.0
        rivals = ((mine[rows] >= 0) & (mine[rows] != np.arange(len(rows)))).nonzero()[0]
        if not rivals.size:
            return probability
        bits = self._values(rows, columns).view(np.uint32)
        raced = rows[rivals]
        first = np.append(0, (raced[1:] != raced[:-1]).nonzero()[0] + 1)
        below = shares_below(bits[mine[raced]], bits[rivals], choice[raced] < columns[rivals])
        probability[raced[first]] = np.multiply.reduceat(below, first, axis=0).mean(axis=1)
        return probability

    def _by_halves(self, choice: NDArray[np.intp]) -> NDArray[np.float64]:
        """The same where it would need too much memory at once."""
        half = len(choice) // 2
        parts = [
            Lottery(
                self._scores[some],
                self._multipliers,
                None if self._most is None else self._most.of(some),
            ).probability(choice[some])
            for some in (slice(half), slice(half, None))
        ]
        return np.concatenate(parts)

    def _racing(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The rows and columns of all who can reach the worst draw of everybody else, and of some who just
        can't: they change nothing."""
        scores, multipliers = self._scores, self._multipliers
        least = (scores * multipliers[:, 0]).max(axis=1)
        least[scores.max(axis=1) <= 0] = -np.finfo(np.float64).max  # where all are worth nothing, all race
        racing: NDArray[np.bool_] = scores * (multipliers[:, -1] * _ROUNDED) >= least[:, None]
        rows, columns = racing.nonzero()
        return rows, columns

    def _values(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
        """The values that each of k runners may draw, ascending: k x M."""
        scores = np.maximum(self._scores[rows, columns], 0.0)
        best = self._scores.max(axis=1)[rows]
        ratios = np.divide(scores, best, out=np.zeros_like(scores), where=best > 0)
        multipliers = self._multipliers[columns]
        if self._most is not None:
            most = self._most.at(rows, columns)
            bounded = (multipliers[:, -1] > most).nonzero()[0]
            multipliers[bounded] = np.minimum(multipliers[bounded], most[bounded, None])
        values: NDArray[np.float32] = (ratios[:, None] * multipliers).astype(np.float32)
        return values


class Bound(NamedTuple):
    """What no multiplier of a propensity counts for more than, as nothing is more probable than 1.

    propensity  n x A
    rows        m      the row of each turn
    """

    propensity: NDArray[np.float64]
    rows: NDArray[np.intp]

    def of(self, turns: slice) -> "Bound":
        """That of some turns."""
        return Bound(self.propensity, self.rows[turns])

    def at(self, turns: NDArray[np.intp], actions: NDArray[np.intp]) -> NDArray[np.float64]:
        """Of k actions at as many turns."""
        P = self.propensity[self.rows[turns], actions]
        return np.asarray(np.divide(1.0, P, out=np.full(P.shape, np.inf), where=P > 0))


def multiplied(keys: Keys, actions: Keys, multipliers: NDArray[np.float64]) -> NDArray[np.float64]:
    """The multiplier that each action (A) draws at each turn (m), m x A: by the keys of both, so that the
    draw of one depends on no other. `multipliers` is A x M."""
    level = (mixed(keys[:, None] ^ actions) >> _LEVEL_BITS).astype(np.intp)
    drawn: NDArray[np.float64] = multipliers[np.arange(len(actions)), level]
    return drawn


def shares_below(
    mine: NDArray[np.uint32], theirs: NDArray[np.uint32], wins_ties: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The share of each rival's values that lies below each of mine, r x M; equal ones count where I win ties
    (r). Values are bits of floats that are not negative, which ascend as these do, and ascend in each row.

    Both are merged by one sort, each value with a bit for whose it is, which also decides ties: how many of
    theirs stand before one of mine is its place less how many of mine do.
    """
    ties = wins_ties[:, None].astype(np.uint32)
    merged = np.concatenate(((mine << _ONE) + ties, (theirs << _ONE) + (ties ^ _ONE)), axis=1)
    merged.sort(axis=1)
    place = ((merged & _ONE) == ties).ravel().nonzero()[0].reshape(mine.shape)
    place -= np.arange(0, 2 * mine.size, 2 * LEVELS)[:, None] + np.arange(LEVELS)
    shares: NDArray[np.float64] = place / LEVELS
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
