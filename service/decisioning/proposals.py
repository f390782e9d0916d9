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
MOST_RIVALS = 1_024
"""Whose values are held at once: each needs some kilobytes."""
_MOST_EXPONENT = 1_023
_ROUNDED = 1.0 + 2.0**-20
"""More than the rounding of a value to 32 bits can make of it."""
WITHIN, OF_DRAWS, POSITIVES = 0.10, 0.90, 200.0
"""How widely is drawn: 90 % of draws lie within 10 % of the model's propensity if 200 positives are known."""
SHAPE_PER_POSITIVE = (NormalDist().inv_cdf((1 + OF_DRAWS) / 2) / WITHIN) ** 2 / POSITIVES
"""Of the gamma distribution: its standard deviation is 1/sqrt(shape) of its mean."""


def any_of(keys: Keys, actions: Keys) -> NDArray[np.float64]:
    """What actions (A) compete with at each turn (m) where all have the same chance, m x A."""
    return uniforms(drawn_by(keys, actions))


class Softmax:
    """In proportion to score^(1/temperature), so by the ratios of scores and not by their scale. Where no
    score is above 0, the first candidate."""

    def __init__(self, scores: NDArray[np.float64], temperature: float) -> None:
        self._scores, self._temperature = scores, temperature

    def values(self, keys: Keys, actions: Keys) -> NDArray[np.float64]:
        """What everybody competes with, m x A: the logarithm of the weight and a draw of Gumbel's law, whose
        highest sum wins in proportion to the weights (Gumbel, Statistical Theory of Extreme Values, 1954)."""
        lots = -np.log(-np.log(any_of(keys, actions)))
        weights = np.log(self._scores, out=np.full_like(lots, -np.inf), where=self._scores > 0)
        return np.maximum(weights / self._temperature + lots, -np.finfo(np.float64).max)

    def probability(self, choice: NDArray[np.intp]) -> NDArray[np.float64]:
        """With which each row's choice is `choice` (m), a candidate of it."""
        scores = self._scores
        amount = np.maximum(scores, 0.0)
        best = amount.max(axis=1, keepdims=True)
        weights = np.divide(amount, best, out=np.zeros_like(amount), where=best > 0)
        weights **= 1.0 / self._temperature
        hopeless = (best[:, 0] <= 0).nonzero()[0]
        weights[hopeless, scores[hopeless].argmax(axis=1)] = 1.0
        total = np.cumsum(weights, axis=1)[:, -1]  # a running sum rounds the same whoever else is out
        probability: NDArray[np.float64] = weights[np.arange(len(choice)), choice] / total
        return probability


class Lottery:
    """Each candidate draws one of M equally likely multipliers, and the highest score so multiplied wins, of
    equal ones the first.

    scores       m x A
    multipliers  A x M  ascending
    most         m x A  no multiplier counts for more; None: all count

    Values are compared as floats of 32 bits. Scores are scaled by a power of two first, which rounds nothing
    and keeps them in the range of these.
    """

    def __init__(
        self,
        scores: NDArray[np.float64],
        multipliers: NDArray[np.float64],
        most: "Bound | None" = None,
    ) -> None:
        self._scores, self._multipliers, self._most = scores, multipliers, most
        self._best = _highest(scores)

    def values(self, multiplied: NDArray[np.float64]) -> NDArray[np.float64]:
        """What everybody competes with, by the multipliers that they have drawn, m x A each; see
        `multiplied`."""
        scores = np.maximum(self._scores, 0.0) * _scale(self._best)[:, None]
        return (scores * multiplied).astype(np.float32).astype(np.float64)

    def probability(self, choice: NDArray[np.intp]) -> NDArray[np.float64]:
        """With which each row's choice is `choice` (m), a candidate of it: the mean, over its M values, of
        the product over its rivals of the share of their values below.

        Who can't reach the worst draw of another is out of the race from the beginning, so few are left where
        much is known.
        """
        rows, columns = self._racing()
        own = columns == choice[rows]
        runs = np.zeros(len(choice), np.bool_)
        runs[rows[own]] = True
        probability = runs.astype(np.float64)
        rivals = (runs[rows] & ~own).nonzero()[0]
        if rivals.size:
            rows, columns = rows[rivals], columns[rivals]
            for some in _parts(rows):
                turns, found = self._against(choice, rows[some], columns[some])
                probability[turns] = found
        return probability

    def _against(
        self, choice: NDArray[np.intp], rows: NDArray[np.intp], columns: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """The rows that some rivals are of, and the probability with which the choice wins there."""
        begins = np.ones(len(rows), np.bool_)
        np.not_equal(rows[1:], rows[:-1], out=begins[1:])
        first = begins.nonzero()[0]
        turns = rows[first]
        mine = self._values(turns, choice[turns])[begins.cumsum() - 1]
        below = shares_below(mine, self._values(rows, columns), choice[rows] < columns)
        found: NDArray[np.float64] = np.multiply.reduceat(below, first, axis=0).mean(axis=1)
        return turns, found

    def _racing(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The rows and columns of all who can reach the worst draw of everybody else, and of some who just
        can't: they change nothing."""
        least = _highest(self._scores * self._multipliers[:, 0])
        least[self._best <= 0] = -np.finfo(np.float64).max  # where all are worth nothing, all race
        racing: NDArray[np.bool_] = self._scores * (self._multipliers[:, -1] * _ROUNDED) >= least[:, None]
        rows, columns = racing.nonzero()
        return rows, columns

    def _values(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
        """The values that each of k runners may draw, ascending: k x M."""
        scores = np.maximum(self._scores[rows, columns], 0.0) * _scale(self._best[rows])
        multipliers = self._multipliers[columns]
        if self._most is not None:
            most = self._most.at(rows, columns)
            bounded = (multipliers[:, -1] > most).nonzero()[0]
            if bounded.size:
                multipliers[bounded] = np.minimum(multipliers[bounded], most[bounded, None])
        multipliers *= scores[:, None]
        return multipliers.astype(np.float32)


class Bound(NamedTuple):
    """What no multiplier of a propensity counts for more than, as nothing is more probable than 1.

    propensity  n x A
    rows        m      the row of each turn
    """

    propensity: NDArray[np.float64]
    rows: NDArray[np.intp]

    def at(self, turns: NDArray[np.intp], actions: NDArray[np.intp]) -> NDArray[np.float64]:
        """Of k actions at as many turns."""
        P = self.propensity[self.rows[turns], actions]
        return np.asarray(np.divide(1.0, P, out=np.full(P.shape, np.inf), where=P > 0))


def drawn_by(keys: Keys, actions: Keys) -> Keys:
    """What each action (A) draws at each turn (m), m x A: by the keys of both, so that no draw depends on
    another."""
    return mixed(keys[:, None] ^ actions)


def multiplied(keys: Keys, actions: Keys, multipliers: NDArray[np.float64]) -> NDArray[np.float64]:
    """The multiplier (of A x M) that each action draws at each turn, m x A."""
    level = (drawn_by(keys, actions) >> _LEVEL_BITS).astype(np.intp)
    drawn: NDArray[np.float64] = multipliers[np.arange(len(actions)), level]
    return drawn


def shares_below(
    mine: NDArray[np.float32], theirs: NDArray[np.float32], wins_ties: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The share of each rival's values that lies below each of mine, r x M; equal ones count where I win ties
    (r). No value is negative, and they ascend in each row.

    Both are merged by one sort of their bits, which ascend as the values do, each with one more for whose it
    is, which also decides ties: how many of theirs stand before one of mine is its place less how many of
    mine do.
    """
    ties = wins_ties[:, None].astype(np.uint32)
    merged = np.concatenate((mine.view(np.uint32), theirs.view(np.uint32)), axis=1)
    merged <<= _ONE
    merged[:, :LEVELS] += ties
    merged[:, LEVELS:] += ties ^ _ONE
    merged.sort(axis=1)
    merged &= _ONE
    place = (merged == ties).ravel().nonzero()[0].reshape(mine.shape)
    place -= np.arange(0, merged.size, 2 * LEVELS)[:, None]
    place -= np.arange(LEVELS)
    shares: NDArray[np.float64] = place * (1.0 / LEVELS)
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


def _highest(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The highest of each row; where rows are short, to find its place is four times as fast as `max`."""
    highest: NDArray[np.float64] = scores[np.arange(len(scores)), scores.argmax(axis=1)]
    return highest


def _scale(best: NDArray[np.float64]) -> NDArray[np.float64]:
    """The power of two that brings the best score of each row to between 1/2 and 1."""
    return np.asarray(np.ldexp(1.0, np.minimum(-np.frexp(best)[1], _MOST_EXPONENT)))


def _parts(rows: NDArray[np.intp]) -> list[slice]:
    """Rivals, in order of their rows, so many at once that there is room for their values; those of one row
    stay together."""
    if len(rows) <= MOST_RIVALS:
        return [slice(0, len(rows))]
    ends = np.append((rows[1:] != rows[:-1]).nonzero()[0] + 1, len(rows))
    parts, begin = list[slice](), 0
    while begin < len(rows):
        most = ends.searchsorted(begin + MOST_RIVALS, side="right") - 1
        end = int(ends[max(most, ends.searchsorted(begin, side="right"))])
        parts.append(slice(begin, end))
        begin = end
    return parts
