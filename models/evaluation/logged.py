"""Logged choices, as a policy sees them that was not live when they were made."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LoggedChoices:
    """n choices whose probabilities are known, of the policy that made them and of the one to be evaluated.

    An answer that fills several ranks takes several turns. The policy would have come to the second one as it
    was only by the same first choice, so that weights multiply along an answer (McInerney et al.,
    Counterfactual Evaluation of Slate Recommendations with Sequential Reward Interactions, 2020).

    rewards    n  what came of each choice
    weights    n  by how many times likelier the policy makes this choice and those before it in its answer
    reach      n  the weights of those before it alone; 1 at the first turn of an answer
    covered    n  how likely the policy is to choose anybody at the turn; 0 where it would leave it empty
    predicted  n  the reward that a model expects of the logged choice
    expected   n  the reward that it expects of the policy's choice, in the mean over its probabilities
    clusters   n  the number of whoever was decided for: choices for the same customer are not independent
    """

    rewards: Floats
    weights: Floats
    reach: Floats
    covered: Floats
    predicted: Floats
    expected: Floats
    clusters: NDArray[np.intp]

    @classmethod
    def single(
        cls,
        rewards: Floats,
        weights: Floats,
        clusters: NDArray[np.intp] | None = None,
        *,
        predicted: Floats | None = None,
        expected: Floats | None = None,
    ) -> "LoggedChoices":
        """Answers of one turn each, which a policy always fills; without a model of rewards, none is expected
        anywhere, and each choice is of a customer of its own unless `clusters` says otherwise."""
        n = len(rewards)
        nothing, one = np.zeros(n), np.ones(n)
        return cls(
            rewards=rewards,
            weights=weights,
            reach=one,
            covered=one,
            predicted=nothing if predicted is None else predicted,
            expected=nothing if expected is None else expected,
            clusters=np.arange(n) if clusters is None else clusters,
        )

    def __len__(self) -> int:
        return len(self.rewards)
