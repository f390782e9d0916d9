"""The value of a policy for each choice, estimated from what another policy has logged.

Every estimate is a ratio of sums over the log, so that a bootstrap of it needs nothing but the sums of each
customer. With the weight w, the reward r, the reward q that a model expects of the logged choice and the one
v that it expects of the policy's, over n choices:

    logged     mean(r)                       what the policy that was live has earned
    ips        mean(w r)                     unbiased, if the log tries everything
    snips      sum(w r) / sum(w)             less variance, and a bias that fades
    direct     mean(v)                       the model alone: as biased as it is
    dr         mean(v + w (r - q))           unbiased whatever the model, little variance with a good one
    switch_dr  mean(v + w [w <= t] (r - q))  beyond t the model is taken instead

Inverse-propensity scoring: Horvitz and Thompson 1952. Self-normalised: Swaminathan and Joachims, The
Self-Normalized Estimator for Counterfactual Learning, 2015. Doubly robust: Dudik et al., Doubly Robust Policy
Evaluation and Learning, 2011. Switch: Wang et al., Optimal and Adaptive Off-policy Evaluation in Contextual
Bandits, 2017.

Where an answer takes several turns, v counts as many times as the policy is likelier to come to its turn, and
snips expects as much weight as it is to come to any choice: what it leaves empty earns nothing.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.evaluation.logged import Floats, LoggedChoices

ESTIMATORS = ("ips", "snips", "direct", "dr", "switch_dr")
LOGGED = "logged"
SUMS = ("choices", "rewards", "weights", "due", "weighted", "expected", "corrections", "kept")
"""What `terms` has; the weights are what is `due` in the mean if the log tries all that the policy does."""
_SWITCHES = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)
"""Of the weights: the quantiles among which the switch is chosen."""


def terms(logged: LoggedChoices, switch: float) -> NDArray[np.float64]:
    """What each choice adds to the sums that the estimates are made of, shape (n, 8); `switch` is t."""
    expected = logged.reach * logged.expected
    corrections = logged.weights * (logged.rewards - logged.predicted)
    return np.column_stack(
        [
            np.ones(len(logged)),
            logged.rewards,
            logged.weights,
            logged.reach * logged.covered,
            logged.weights * logged.rewards,
            expected,
            corrections,
            np.where(logged.weights <= switch, corrections, 0.0),
        ]
    )


def estimates(sums: NDArray[np.float64]) -> Mapping[str, Floats]:
    """Every estimate by its name, and what was logged, of sums of `terms` of shape (..., 8); shape (...)."""
    of = dict(zip(SUMS, np.moveaxis(sums, -1, 0), strict=True))
    n, weights = np.asarray(of["choices"]), np.asarray(of["weights"])
    normalised = np.divide(of["weighted"] * of["due"], weights, out=np.zeros_like(n), where=weights > 0)
    return {
        LOGGED: of["rewards"] / n,
        "ips": of["weighted"] / n,
        "snips": normalised / n,
        "direct": of["expected"] / n,
        "dr": (of["expected"] + of["corrections"]) / n,
        "switch_dr": (of["expected"] + of["kept"]) / n,
    }


def best_switch(logged: LoggedChoices) -> float:
    """The t with the least bound of the mean squared error: the variance of what is kept, and the square of
    what the rewards beyond t could make up at most (Wang et al. 2017, section 4)."""
    largest = float(np.abs(logged.rewards).max(initial=0.0))
    weights = logged.weights[logged.weights > 0]
    candidates = np.unique(np.quantile(weights, _SWITCHES)) if weights.size else np.ones(1)

    def error(t: float) -> float:
        beyond = logged.weights > t
        corrections = np.where(beyond, 0.0, logged.weights * (logged.rewards - logged.predicted))
        variance = np.var(logged.reach * logged.expected + corrections) / len(logged)
        return float(variance + (largest * logged.weights[beyond].sum() / len(logged)) ** 2)

    return min(map(float, candidates), key=error)


def effective_sample_size(weights: Floats) -> float:
    """How many choices of equal weight would say as much: Kish, Survey Sampling, 1965."""
    squares = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0
