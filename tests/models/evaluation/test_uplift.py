"""Uplift as measured, against a truth that is known."""

import numpy as np
import pytest

from models.evaluation.uplift import Trial, curve, uplift, uplift_found
from models.uplift import calibrated, likelihood


def _trial(n: int = 40_000, seed: int = 0) -> tuple[Trial, np.ndarray]:
    """Half of the customers are moved by 20 points, the others not; the treatment was given with .2 or .6."""
    rng = np.random.default_rng(seed)
    moved = rng.random(n) < 0.5
    likely = np.where(rng.random(n) < 0.5, 0.2, 0.6)
    treated = rng.random(n) < likely
    responds = (rng.random(n) < 0.1 + 0.3 * (likely > 0.5) + 0.2 * (moved & treated)).astype(float)
    probability = np.where(treated, likely, 1 - likely)
    return Trial(moved + 0.001 * rng.random(n), treated, probability, responds), moved


def test_uplift_is_that_of_the_truth_though_treatment_hangs_on_the_customer() -> None:
    trial, moved = _trial()
    assert uplift(trial) == pytest.approx(0.1, abs=0.015)
    assert uplift(trial.take(np.flatnonzero(moved))) == pytest.approx(0.2, abs=0.02)
    assert uplift(trial.take(np.flatnonzero(~moved))) == pytest.approx(0.0, abs=0.02)


def test_good_scores_have_their_uplift_at_the_top() -> None:
    trial, _ = _trial()
    found = uplift_found(trial)
    for at in found.at:
        assert at.low < 0.2 < at.high
    assert found.qini.low > 0.015  # (0.1 - 0.05) / 2 is the best that there is
    assert found.qini.high < 0.035
    assert found.curve[50] == pytest.approx(found.curve[100], abs=0.02)
    assert found.observed[0] == pytest.approx(0.0, abs=0.05)
    assert found.observed[-1] == pytest.approx(0.2, abs=0.05)


def test_scores_by_lot_find_nobody() -> None:
    trial, _ = _trial()
    lot = Trial(
        np.random.default_rng(1).random(len(trial.score)), trial.treated, trial.probability, trial.outcome
    )
    found = uplift_found(lot)
    assert found.qini.low < 0 < found.qini.high


def test_the_curve_begins_at_nothing_and_ends_with_all() -> None:
    trial, _ = _trial(5_000)
    assert curve(trial)[0] == 0.0
    assert curve(trial)[-1] == pytest.approx(uplift(trial))


def test_calibration_gives_margins_the_means_of_the_pseudo_outcomes() -> None:
    rng = np.random.default_rng(0)
    margins = rng.normal(size=50_000)
    truth = 1 / (1 + np.exp(-(0.5 * margins - 3)))
    phi = truth + rng.normal(0, 1, 50_000)  # far outside of 0 to 1
    found = calibrated(margins, phi)
    assert found.apply(margins).mean() == pytest.approx(phi.mean(), abs=1e-3)
    assert found.slope == pytest.approx(0.5, abs=0.15)


def test_who_is_not_moved_gets_next_to_nothing() -> None:
    found = calibrated(np.zeros(10), np.full(10, -0.5))
    assert 0 < found.apply(np.zeros(1))[0] <= 1e-4


def test_the_likelihood_is_least_at_the_mean() -> None:
    gradient, hessian = likelihood(np.full(4, np.log(0.25 / 0.75)), np.array([-1.0, 2.0, 0.0, 0.0]))
    assert gradient.mean() == pytest.approx(0.0)
    assert (hessian > 0).all()
