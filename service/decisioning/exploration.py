"""Exploration: how a choice among candidates is left to chance, with known probabilities.

A turn is one choice: m requests fill one rank of one slot. Its probabilities are exact, so that a log of
decisions can be evaluated for policies that were never live. With k candidates, a proposal that chooses
candidate i with probability pi_i, a share s of turns that explore and a weight w of the uniform choice,

    P(i) = (1 - s) [i is the best] + s ((1 - w) pi_i + w / k)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.decisioning.draws import Keys
from service.decisioning.noise import noise, random_noise
from service.decisioning.turns import METHODS, Ways

Method = Literal["none", "epsilon", "softmax", "thompson", "uniform", "random_propensity"]
STANDING: frozenset[Method] = frozenset(("uniform", "random_propensity"))
"""Methods of control groups: they are no exploration, so they cost it nothing and go on when it is spent."""


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


def ways_of(explorations: Sequence[Exploration], actions: Keys, evidence: NDArray[np.float64]) -> Ways:
    """Explorations as columns, for A actions of which so many positives are known."""
    kinds = list(dict.fromkeys(map(_noise_of, explorations)))
    noises = np.stack(
        [
            random_noise(len(evidence)) if least is None else noise(np.maximum(evidence, least))
            for least in kinds
        ]
    )
    return Ways(
        method=np.array([METHODS.index(exploration.method) for exploration in explorations]),
        standing=np.array([exploration.method in STANDING for exploration in explorations]),
        share=np.array([0.0 if e.method == "none" else e.share for e in explorations]),
        floor=np.array([exploration.floor for exploration in explorations]),
        epsilon=np.array([e.epsilon if e.method == "epsilon" else 0.0 for e in explorations]),
        temperature=np.array([exploration.temperature for exploration in explorations]),
        noise=np.array([kinds.index(_noise_of(exploration)) for exploration in explorations]),
        noises=noises,
        worst=noises[:, :, 0].copy(),
        best=noises[:, :, -1].copy(),
        actions=actions,
    )


def _noise_of(exploration: Exploration) -> float | None:
    """Which least evidence an exploration's noise is made with; None where it knows nothing."""
    return None if exploration.method == "random_propensity" else exploration.least_evidence
