"""What a choice is expected to earn: the model of rewards that direct and doubly robust estimates need.

It is cross-fitted (Chernozhukov et al., Double/debiased machine learning, 2018): what is expected of a choice
is said by a model that has not seen the customer, or it would repeat the reward that it is held against.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.evaluation.logged import Floats

if TYPE_CHECKING:
    import lightgbm

FOLDS = 2
TREES = 60
_PARAMETERS = {
    "objective": "regression",
    "learning_rate": 0.08,
    "num_leaves": 15,
    "max_bin": 63,
    "min_data_in_leaf": 50,
    "cat_smooth": 20.0,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


@dataclass(frozen=True)
class RewardModel:
    """A model for each fold, learnt from all others; `folds` (n) says in which one each logged choice is."""

    boosters: tuple["lightgbm.Booster", ...]
    folds: NDArray[np.intp]

    @classmethod
    def fit(
        cls,
        rows: Floats,
        rewards: Floats,
        customers: NDArray[np.intp],
        categories: Sequence[int],
        seed: int,
    ) -> "RewardModel":
        """Learn from n logged choices: what was known (n x width; `categories` are columns of codes), what
        each earned (n) and whose it was (n)."""
        import lightgbm

        logger = logging.getLogger("models.lightgbm")
        logger.setLevel(logging.ERROR)
        lightgbm.register_logger(logger)
        of_customer = np.random.default_rng(seed).permutation(int(customers.max(initial=0)) + 1) % FOLDS
        folds = of_customer[customers]
        boosters = []
        for fold in range(FOLDS):
            others = folds != fold
            data = lightgbm.Dataset(rows[others], rewards[others], categorical_feature=list(categories))
            boosters.append(lightgbm.train({**_PARAMETERS, "seed": seed}, data, TREES))
        return cls(tuple(boosters), folds)

    def predict(self, rows: Floats, choices: NDArray[np.intp]) -> Floats:
        """What m rows (m x width) are expected to earn, each by the model that has not seen the logged choice
        (its number, m) that the row stands beside."""
        found = np.empty(len(rows))
        folds = self.folds[choices]
        for fold, booster in enumerate(self.boosters):
            its = np.flatnonzero(folds == fold)
            if its.size:
                found[its] = booster.predict(rows[its])
        return found
