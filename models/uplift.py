"""Uplift: how much likelier a response is because of an action than with a control action instead.

A model of uplift learns from choices that were left to chance. A first forest learns what everybody does with
each action, cross-fitted; of that, and of what each did, a pseudo-outcome is made whose mean is the uplift
whatever the first forest is worth (the DR-learner: Kennedy, Towards Optimal Doubly Robust Estimation of
Heterogeneous Causal Effects, 2020):

    phi(x, a) = m(x, a) - m(x, c) + [A = a] (y - m(x, a)) / e - [A = c] (y - m(x, c)) / e

with the action A that was chosen, its probability e, the response y and the control c. One forest then learns
phi by the same likelihood that learns a response, so that its margins are the log-odds of the uplift: it is
scored and calibrated as all others, and who is not moved, or is put off, gets an uplift close to 0.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from models.calibration import Calibration, Platt
from models.evaluation.rewards import RewardModel
from models.evaluation.uplift import Trial
from models.layout import BUILT_IN
from models.scorers import Scorer
from models.table import TrainingTable

if TYPE_CHECKING:
    import lightgbm

Floats = NDArray[np.float64]
_LEAST = 1e-4
"""Of a mean uplift: below it nobody is known to be moved."""


UPLIFT_PARAMETERS: dict[str, bool | int | float | str] = {
    "objective": "uplift",
    "learning_rate": 0.04,
    "num_leaves": 7,
    "min_data_in_leaf": 500,  # a pseudo-outcome is many times as noisy as a response
    "lambda_l2": 100.0,
}
"""What differs from the parameters of other models."""


@dataclass(frozen=True)
class Pseudo:
    """What a forest learns uplift from, each logged choice once for each action but the control.

    rows    k x width  as in the table, with that action
    phi     k          the pseudo-outcomes
    logged  k          the logged row that each is made of
    """

    rows: Floats
    phi: Floats
    logged: NDArray[np.intp]


def pseudo_outcomes(
    table: TrainingTable, learn: NDArray[np.intp], control: str, categories: list[int], seed: int
) -> Pseudo:
    """Of the logged choices `learn`, whose probabilities are known."""
    known, labels, place = table.rows[learn], table.labels[learn], table.rows.shape[1] - len(BUILT_IN)
    probability = table.chances[learn]
    codes, everybody = known[:, place], np.arange(len(learn))
    model = RewardModel.fit(known, labels, table.customers[learn], categories, seed)

    def with_action(code: float) -> tuple[Floats, Floats]:
        """The rows with it, and m(x, a) with what the choice of it adds."""
        rows = known.copy()
        rows[:, place] = code
        expected = model.predict(rows, everybody)
        return rows, expected + np.where(codes == code, (labels - expected) / probability, 0.0)

    _, base = with_action(float(table.actions.index(control)))
    parts = [with_action(float(code)) for code, name in enumerate(table.actions) if name != control]
    return Pseudo(
        np.concatenate([rows for rows, _ in parts]),
        np.concatenate([response - base for _, response in parts]),
        np.tile(learn, len(parts)),
    )


def uplift_forest(
    pseudo: Pseudo,
    training: NDArray[np.bool_],
    categories: list[int],
    parameters: Mapping[str, Any],
    trees: int,
    patience: int | None,
    progress: Callable[[int], None],
) -> "lightgbm.Booster":
    """A forest of the rows that are `training` (k), stopped by the others where `patience` is given."""
    import lightgbm

    mean = min(max(float(pseudo.phi[training].mean()), _LEAST), 1.0 - _LEAST)
    level = float(np.log(mean / (1.0 - mean)))

    def objective(margins: Floats, data: "lightgbm.Dataset") -> tuple[Floats, Floats]:
        return likelihood(margins, np.asarray(data.get_label()))

    def loss(margins: Floats, data: "lightgbm.Dataset") -> tuple[str, float, bool]:
        phi = np.asarray(data.get_label())
        return "uplift", float(np.mean(np.logaddexp(0.0, margins) - phi * margins)), False

    settings: dict[str, Any] = {**parameters, **UPLIFT_PARAMETERS, "objective": objective, "verbosity": -1}

    def dataset(mine: NDArray[np.bool_], reference: "lightgbm.Dataset | None" = None) -> "lightgbm.Dataset":
        return lightgbm.Dataset(
            pseudo.rows[mine],
            pseudo.phi[mine],
            init_score=np.full(int(mine.sum()), level),  # the calibration brings it back
            reference=reference,
            categorical_feature=categories,
            params={key: value for key, value in settings.items() if key != "objective"},
        )

    data = dataset(training)
    stop = [] if patience is None else [lightgbm.early_stopping(patience, verbose=False)]
    booster = lightgbm.train(
        settings,
        data,
        trees,
        valid_sets=[dataset(~training, data)],
        feval=loss,
        callbacks=[*stop, lambda state: progress(state.iteration)],
    )
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    return lightgbm.Booster(model_str=text)


def logged_trial(
    table: TrainingTable, rows: NDArray[np.intp], control: str, scorer: Scorer, calibration: Calibration
) -> Trial:
    """The choices `rows` as a trial of each action against the control, one after the other."""
    place, codes = table.rows.shape[1] - len(BUILT_IN), table.rows[rows, -len(BUILT_IN)]
    probability = table.chances[rows]
    parts = []
    for code, name in enumerate(table.actions):
        if name == control:
            continue
        among = np.flatnonzero((codes == code) | (codes == table.actions.index(control)))
        asked = table.rows[rows[among]]
        asked[:, place] = code
        score = calibration.apply(scorer.margins(asked))
        parts.append((score, codes[among] == code, probability[among], table.labels[rows[among]]))
    return Trial(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def likelihood(margins: Floats, phi: Floats) -> tuple[Floats, Floats]:
    """Gradient and Hessian of the quasi-likelihood -phi f + ln(1 + e^f), whose mean is least where the
    probabilities of the margins f are the means of phi."""
    p = 1.0 / (1.0 + np.exp(-margins))
    return p - phi, np.maximum(p * (1.0 - p), 1e-6)


def calibrated(margins: Floats, phi: Floats) -> Platt:
    """The slope and intercept by which the probabilities of margins (n) have the means of phi (n). The slope
    is at most 1: outcomes so noisy may flatten what a forest says, and not make it bolder."""
    centre, scale = float(margins.mean()), float(margins.std())
    mean = min(max(float(phi.mean()), _LEAST), 1.0 - _LEAST)
    level = float(np.log(mean / (1.0 - mean)))
    if scale > 0:
        x = (margins - centre) / scale

        def loss(parameters: Floats) -> float:
            f = parameters[0] * x + parameters[1]
            return float(np.mean(np.logaddexp(0.0, f) - phi * f))

        bounds = [(0.0, scale), (level - 10.0, level + 10.0)]
        slope, intercept = minimize(loss, np.array([scale / 2, level]), method="L-BFGS-B", bounds=bounds).x
        if slope > 0:
            steep = float(slope) / scale
            return Platt(slope=steep, intercept=float(intercept) - steep * centre)
    return Platt(slope=0.0, intercept=level)
