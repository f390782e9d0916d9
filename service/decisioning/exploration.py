"""Exploration: how a choice among candidates is left to chance, with known probabilities.

A turn is one choice: m requests fill one rank of one slot. Its probabilities are exact, so that a log of
decisions can be evaluated for policies that were never live. With k candidates, a proposal that chooses
candidate i with probability pi_i, a share s of turns that explore and a weight w of the uniform choice,

    P(i) = (1 - s) [i is the best] + s ((1 - w) pi_i + w / k)
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.decisioning.draws import Keys, branches, uniforms
from service.decisioning.proposals import Bound, Lottery, Softmax, any_of, multiplied, random_noise

Method = Literal["none", "epsilon", "softmax", "thompson", "uniform", "random_propensity"]
STANDING: frozenset[Method] = frozenset(("uniform", "random_propensity"))
"""Methods of control groups: they are no exploration, so they cost it nothing and go on when it is spent."""

DRAWING: frozenset[Method] = frozenset(("thompson", "random_propensity"))
"""Methods that let actions compete with drawn propensities."""

_PURPOSES = 4
_COIN, _UNIFORM, _PICK, _PROPOSAL = range(_PURPOSES)


@dataclass(frozen=True, slots=True)
class Exploration:
    """How the candidates of a turn are chosen from.

    none               the highest priority
    epsilon            in a share `epsilon` of turns any candidate, all with the same probability
    softmax            probability in proportion to priority^(1/temperature)
    thompson           the highest priority with propensities drawn by how much is known of each action
    uniform            any candidate, all with the same probability
    random_propensity  the highest priority with propensities drawn from (0, 1)

    `share` of turns explore, the others take the best. `floor` is the least probability of a candidate in a
    turn that explores, or 1/k if that is less. `daily_cost` is what exploring may cost in a day, in units of
    priority; None is no limit. An action of which less is known than `least_evidence` positives counts as one
    with so many.
    """

    method: Method = "none"
    epsilon: float = 0.1
    temperature: float = 0.3
    share: float = 1.0
    floor: float = 0.0
    daily_cost: float | None = None
    least_evidence: float = 10.0

    @property
    def has_uniform(self) -> bool:
        """Whether it chooses anybody now and then, beside what it proposes."""
        return self.floor > 0 or self.method == "epsilon"

    def uniform_weight(self, number: NDArray[np.intp] | int) -> NDArray[np.float64]:
        """What the uniform choice among so many candidates weighs: what the floor needs, and epsilon of the
        rest."""
        floored = number * np.minimum(self.floor, 1.0 / number)
        epsilon = self.epsilon if self.method == "epsilon" else 0.0
        return np.asarray(1.0 - (1.0 - floored) * (1.0 - epsilon), dtype=np.float64)

    @property
    def has_means(self) -> bool:
        """Whether it has a daily limit of cost that can be spent."""
        return self.daily_cost is not None and self.method not in STANDING


@dataclass(frozen=True)
class Chance:
    """What T turns of n requests are drawn with.

    keys        T      one per turn
    rows        T      the request of each
    actions     A      keys of the actions
    propensity  n x A  P of the priorities, NaN where there is no candidate
    explores    n      False: the best is taken, as exploring can't be paid for; None: it can everywhere
    """

    keys: Keys
    rows: NDArray[np.intp]
    actions: Keys
    propensity: NDArray[np.float64]
    explores: NDArray[np.bool_] | None = None

    @cached_property
    def by_purpose(self) -> Keys:
        """T x 4: a key for each thing that a turn may have to draw."""
        return branches(self.keys, _PURPOSES)

    @cached_property
    def coins(self) -> NDArray[np.float64]:
        """T x 2: whether to explore, and whether to choose anybody."""
        return uniforms(self.by_purpose[:, : _UNIFORM + 1])


class Exploring:
    """One exploration at the turns of a batch.

    noise     A x M  what Thompson multiplies propensities with, see `proposals.noise`
    share     T      how likely each turn was to explore
    explores  T      a coin of each
    liable    T      which may choose anybody, by another coin: it hangs on how many candidates are left
    """

    def __init__(
        self,
        exploration: Exploration,
        chance: Chance,
        noise: NDArray[np.float64],
        mine: NDArray[np.bool_] | None = None,
    ) -> None:
        """At all turns, or at those that are `mine` (T)."""
        self.exploration, self._chance, self._noise = exploration, chance, noise
        self.share = np.full(len(chance.rows), 0.0 if exploration.method == "none" else exploration.share)
        if chance.explores is not None and exploration.method not in STANDING:
            self.share[~chance.explores[chance.rows]] = 0.0
        self.explores = chance.coins[:, _COIN] < self.share
        if mine is not None:
            self.explores &= mine
        most = exploration.uniform_weight(len(chance.actions)) if exploration.has_uniform else 0.0
        self.liable = self.explores & (chance.coins[:, _UNIFORM] < most)
        self._liable = self.liable.nonzero()[0]
        if self._liable.size:
            self._anybody = any_of(chance.by_purpose[self._liable, _PICK], chance.actions)

    def values(self, turns: NDArray[np.intp], scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """What actions compete with at m turns that explore, m x A, as is proposed: the highest is chosen, of
        equal ones the first. Who else is a candidate has no say in it."""
        keys = self._chance.by_purpose[turns, _PROPOSAL]
        match self.exploration.method:
            case "softmax":
                return Softmax(scores, self.exploration.temperature).values(keys, self._chance.actions)
            case "uniform":
                return any_of(keys, self._chance.actions)
            case "thompson" | "random_propensity":
                return self._lottery(turns, scores).values(self._multiplied(turns))
            case _:
                return scores

    def mixed(
        self, turns: NDArray[np.intp], candidates: NDArray[np.bool_], values: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The values (m x A, written to) of liable turns, and others where anybody is chosen, all candidates
        with the same probability."""
        number = np.maximum(np.count_nonzero(candidates, axis=1), 1)
        coins = self._chance.coins[turns, _UNIFORM]
        anybody = (coins < self.exploration.uniform_weight(number)).nonzero()[0]
        if anybody.size:
            values[anybody] = self._anybody[self._liable.searchsorted(turns[anybody])]
        return values

    def probability(
        self,
        turns: NDArray[np.intp],
        scores: NDArray[np.float64],
        best: NDArray[np.intp],
        choice: NDArray[np.intp],
    ) -> NDArray[np.float64]:
        """With which each of m turns takes `choice`, a candidate: before the coin was thrown."""
        number = np.count_nonzero(scores > -np.inf, axis=1)
        match self.exploration.method:
            case "softmax":
                proposed = Softmax(scores, self.exploration.temperature).probability(choice)
            case "uniform":
                proposed = 1.0 / number
            case "thompson" | "random_propensity":
                proposed = self._lottery(turns, scores).probability(choice)
            case _:
                proposed = (choice == best).astype(np.float64)
        if self.exploration.has_uniform:
            weight = self.exploration.uniform_weight(number)
            proposed = (1 - weight) * proposed + weight / number
        share = self.share[turns]
        found = (1 - share) * (choice == best) + share * proposed
        return np.where(number > 1, found, 1.0)

    def odds(self, scores: NDArray[np.float64], choices: NDArray[np.intp]) -> NDArray[np.float64]:
        """With which probabilities the first turn takes some of its candidates, k of them: `scores` is A."""
        first = np.zeros(len(choices), np.intp)
        tiled = scores[None].repeat(len(choices), axis=0)
        return self.probability(first, tiled, tiled.argmax(axis=1), choices)

    def cost(
        self, scores: NDArray[np.float64], best: NDArray[np.intp], choice: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """What m choices give up; nothing where that is no exploration."""
        if self.exploration.method in STANDING:
            return np.zeros(len(choice))
        at = np.arange(len(choice))
        return np.asarray(scores[at, best] - scores[at, choice])

    def drawn(self) -> NDArray[np.float64]:
        """The propensities that actions compete with, T x A; NaN at turns that draw none, and for who is
        out."""
        found = np.full((len(self.share), len(self._chance.actions)), np.nan)
        if self.exploration.method in DRAWING:
            turns = self.explores.nonzero()[0]
            P = self._chance.propensity[self._chance.rows[turns]]
            known = P if self.exploration.method == "thompson" else np.where(np.isnan(P), np.nan, 1.0)
            found[turns] = known * self._multiplied(turns)
        return found

    def _multiplied(self, turns: NDArray[np.intp]) -> NDArray[np.float64]:
        """By what the scores of everybody are multiplied at some turns, as drawn: m x A."""
        chance, keys = self._chance, self._chance.by_purpose[turns, _PROPOSAL]
        if self.exploration.method == "random_propensity":
            return multiplied(keys, chance.actions, random_noise(len(chance.actions)))
        found = multiplied(keys, chance.actions, self._noise)
        P = chance.propensity[chance.rows[turns]]
        certain = np.divide(1.0, P, out=np.full(P.shape, np.inf), where=P > 0)
        return np.asarray(np.minimum(found, certain, out=found))

    def _lottery(self, turns: NDArray[np.intp], scores: NDArray[np.float64]) -> Lottery:
        chance, rows = self._chance, self._chance.rows[turns]
        if self.exploration.method == "thompson":
            return Lottery(scores, self._noise, Bound(chance.propensity, rows))
        P = chance.propensity[rows]
        rest = np.divide(scores, P, out=scores.copy(), where=P > 0)
        return Lottery(rest, random_noise(len(chance.actions)))
