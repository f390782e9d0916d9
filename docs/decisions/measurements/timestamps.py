"""How a model ages that reads a date as it is, and one that reads it as seconds from now.

`python docs/decisions/measurements/timestamps.py`: AUC, by the days between training data and decision.

The truth: whoever's contract ends within 60 days, or ended in the last 30, renews with 20 %; others with 2 %.
"""

import sys

import lightgbm
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

Floats = NDArray[np.float64]

DAY = 86_400.0
START = 1_767_225_600.0  # 2026-01-01
ROWS = 40_000


def decisions(rng: np.random.Generator, first_day: int, days: int) -> tuple[Floats, Floats, Floats]:
    """The time of each decision, the end of its customer's contract, and whether it was renewed."""
    now = START + rng.uniform(first_day, first_day + days, ROWS) * DAY
    end = now + rng.uniform(-200, 730, ROWS) * DAY
    left = (end - now) / DAY
    renewed = rng.random(ROWS) < np.where((left > -30) & (left < 60), 0.20, 0.02)
    return now, end, renewed.astype(np.float64)


def train(column: Floats, renewed: Floats) -> lightgbm.Booster:
    data = lightgbm.Dataset(column[:, None], renewed)
    return lightgbm.train({"objective": "binary", "num_leaves": 15, "verbosity": -1}, data, 100)


def main() -> None:
    rng = np.random.default_rng(1)
    now, end, renewed = decisions(rng, 0, 90)
    as_date, as_distance = train(end, renewed), train(end - now, renewed)
    for first_day in (0, 90, 180, 360):
        now, end, renewed = decisions(rng, first_day, 30)
        scores = [
            roc_auc_score(renewed, as_date.predict(end[:, None])),
            roc_auc_score(renewed, as_distance.predict((end - now)[:, None])),
        ]
        when = (
            "within the training data"
            if not first_day
            else f"{first_day - 90} to {first_day - 60} days after"
        )
        sys.stdout.write(f"{when:26} date {scores[0]:.3f}   seconds from now {scores[1]:.3f}\n")


if __name__ == "__main__":
    main()
