"""Exploration: how a choice among candidates is left to chance, with known probabilities.

A turn is one choice: m requests fill one rank of one slot. Its probabilities are exact, so that a log of
decisions can be evaluated for policies that were never live. With k candidates, a proposal that chooses
candidate i with probability pi_i, a share s of turns that explore and a weight w of the uniform choice,

    P(i) = (1 - s) [i is the best] + s ((1 - w) pi_i + w / k)
"""

from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.decisioning.draws import Keys, branch, branches, uniforms
from service.decisioning.proposals import Best, Lottery, Proposal, Softmax, Uniform, levels, random_noise

Method = Literal["none", "epsilon", "softmax", "thompson", "uniform", "random_propensity"]
STANDING: frozenset[Method] = frozenset(("uniform", "random_propensity"))
"""Methods of control groups: they are no exploration, so they cost it nothing and go on when it is spent."""

DRAWING: frozenset[Method] = frozenset(("thompson", "random_propensity"))
"""Methods that let actions compete with drawn propensities."""

MOST_CELLS = 32_768
"""Turns x actions that are chosen from at once: each may need some kilobytes while its odds are computed."""

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
    def has_means(self) -> bool:
        """Whether it has a daily limit of cost that can be spent."""
        return self.daily_cost is not None and self.method not in STANDING


@dataclass(frozen=True, slots=True)
class Chance:
    """What the choices of m turns are drawn with.

    keys        m      one per turn
    actions     A      one per action
    propensity  m x A  P of the priorities, NaN where there is no candidate
    noise       A x M  what Thompson multiplies P with, see `proposals.noise`
    explores    m      False: the best is taken, as exploring can't be paid for; None: it can everywhere
    """

    keys: Keys
    actions: Keys
    propensity: NDArray[np.float64]
    noise: NDArray[np.float64]
    explores: NDArray[np.bool_] | None = None

    def of(self, turns: NDArray[np.intp] | slice) -> "Chance":
        """That of some of the turns."""
        explores = None if self.explores is None else self.explores[turns]
        return replace(self, keys=self.keys[turns], propensity=self.propensity[turns], explores=explores)


@dataclass(frozen=True, slots=True)
class Turn:
    """What m turns chose.

    choice         m  index of an action; -1 where there was no candidate
    probability    m  with which it was chosen
    expected_cost  m  the priority that was given up: the value expected of the best less that of the choice.
                      Its mean over turns is sum over i of P(i) (best - priority_i); 0 for control groups
    """

    choice: NDArray[np.intp]
    probability: NDArray[np.float64]
    expected_cost: NDArray[np.float64]


def choose(exploration: Exploration, scores: NDArray[np.float64], chance: Chance | None = None) -> Turn:
    """Choose a candidate for each turn.

    `scores` (m x A) are priorities, -inf where an action is no candidate. Of equal ones the first counts as
    the best. Without a `chance` nothing is left to it.
    """
    if exploration.method == "none" or chance is None:
        best = scores.argmax(axis=1)
        some = _at(scores, best) > -np.inf
        return Turn(np.where(some, best, -1), np.ones(len(scores)), np.zeros(len(scores)))
    together = max(1, MOST_CELLS // max(1, scores.shape[1]))
    if len(scores) <= together:
        return _chosen(exploration, scores, chance)
    turns = [slice(first, first + together) for first in range(0, len(scores), together)]
    parts = [_chosen(exploration, scores[some], chance.of(some)) for some in turns]
    return Turn(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Turn)))


def _chosen(exploration: Exploration, scores: NDArray[np.float64], chance: Chance) -> Turn:
    best = scores.argmax(axis=1)
    top = _at(scores, best)
    some = top > -np.inf
    mixture = _Mixture(exploration, scores, chance, best)
    choice = mixture.pick()
    expected_cost: NDArray[np.float64] = np.zeros(len(scores))
    if exploration.method not in STANDING:
        np.subtract(top, _at(scores, choice), out=expected_cost, where=some)
    return Turn(np.where(some, choice, -1), mixture.probability(choice), expected_cost)


def distribution(
    exploration: Exploration, scores: NDArray[np.float64], chance: Chance
) -> NDArray[np.float64]:
    """The probability with which `choose` takes each action, m x A; a turn's sum to 1 if it has a
    candidate."""
    best = scores.argmax(axis=1)
    available = scores > -np.inf
    if exploration.method == "none":
        return np.where(available, np.arange(scores.shape[1]) == best[:, None], 0.0)
    mixture = _Mixture(exploration, scores, chance, best)
    actions = np.arange(scores.shape[1])
    columns = [mixture.probability(np.full(len(scores), action)) for action in actions.tolist()]
    return np.where(available, np.stack(columns, axis=1), 0.0)


def drawn(exploration: Exploration, chance: Chance) -> NDArray[np.float64]:
    """The propensities that actions compete with, m x A; NaN at turns that draw none, and for who is out."""
    P = chance.propensity
    if exploration.method not in DRAWING:
        return np.full(P.shape, np.nan)
    keys = branch(chance.keys, _PROPOSAL)
    level = levels(keys[:, None], chance.actions)
    if exploration.method == "thompson":
        found = np.minimum(P * np.take_along_axis(chance.noise, level.T, axis=1).T, 1.0)
    else:
        found = np.where(np.isnan(P), np.nan, random_noise(1)[0, level])
    found[~_explores(chance.keys, _share(exploration, chance, len(P)))] = np.nan
    return found


def odds(
    exploration: Exploration, scores: NDArray[np.float64], chance: Chance, choices: NDArray[np.intp]
) -> NDArray[np.float64]:
    """The probabilities with which one turn takes some of its candidates, k of them: what `distribution` has
    of them. `scores` is 1 x A."""
    same = np.zeros(len(choices), np.intp)
    tiled = scores[same]
    return _Mixture(exploration, tiled, chance.of(same), tiled.argmax(axis=1)).probability(choices)


def _at(scores: NDArray[np.float64], choice: NDArray[np.intp]) -> NDArray[np.float64]:
    return scores[np.arange(len(scores)), choice]


class _Mixture:
    """The best, a proposal and the uniform choice, mixed."""

    def __init__(
        self,
        exploration: Exploration,
        scores: NDArray[np.float64],
        chance: Chance,
        best: NDArray[np.intp],
    ) -> None:
        self._best, self._keys = best, branches(chance.keys, _PURPOSES)
        available = scores > -np.inf
        self._number = np.maximum(available.sum(axis=1), 1)
        self._share = _share(exploration, chance, len(scores))
        self._weight = _uniform_weight(exploration, self._number)
        self._uniform = Uniform(available, self._number)
        self._proposal = _proposal(exploration, scores, chance, best, self._uniform)

    def pick(self) -> NDArray[np.intp]:
        drawn = uniforms(self._keys[:, : _UNIFORM + 1])
        proposed = self._proposal.pick(self._keys[:, _PROPOSAL])
        if self._weight.any():
            anything = drawn[:, _UNIFORM] < self._weight
            proposed = np.where(anything, self._uniform.pick(self._keys[:, _PICK]), proposed)
        picked: NDArray[np.intp] = np.where(drawn[:, _COIN] < self._share, proposed, self._best)
        return picked

    def probability(self, choice: NDArray[np.intp]) -> NDArray[np.float64]:
        """With which the pick of each turn is `choice`, a candidate."""
        exploring = (1 - self._weight) * self._proposal.probability(choice) + self._weight / self._number
        mixed = (1 - self._share) * (choice == self._best) + self._share * exploring
        probability: NDArray[np.float64] = np.where(self._number > 1, mixed, 1.0)
        return probability


def _explores(keys: Keys, share: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which turns explore: a coin of each."""
    return np.asarray(uniforms(branch(keys, _COIN)) < share)


def _share(exploration: Exploration, chance: Chance, turns: int) -> NDArray[np.float64]:
    share = np.full(turns, exploration.share)
    if chance.explores is not None and exploration.method not in STANDING:
        share[~chance.explores] = 0.0
    return share


def _uniform_weight(exploration: Exploration, number: NDArray[np.intp]) -> NDArray[np.float64]:
    """What the uniform choice weighs: what the floor needs, and epsilon of the rest."""
    floored = number * np.minimum(exploration.floor, 1.0 / number)
    epsilon = exploration.epsilon if exploration.method == "epsilon" else 0.0
    return np.asarray(1.0 - (1.0 - floored) * (1.0 - epsilon), dtype=np.float64)


def _proposal(
    exploration: Exploration,
    scores: NDArray[np.float64],
    chance: Chance,
    best: NDArray[np.intp],
    uniform: Uniform,
) -> Proposal:
    P = chance.propensity
    match exploration.method:
        case "softmax":
            return Softmax(scores, exploration.temperature)
        case "thompson":
            certain = np.divide(1.0, P, out=np.full(P.shape, np.inf), where=P > 0)
            return Lottery(scores, chance.noise, certain, chance.actions)
        case "random_propensity":
            rest = np.divide(scores, P, out=scores.copy(), where=P > 0)
            unbounded = np.full(P.shape, np.inf)
            return Lottery(rest, random_noise(scores.shape[1]), unbounded, chance.actions)
        case "uniform":
            return uniform
        case _:
            return Best(best)
