"""How tastes change."""

import numpy as np

from service.simulation.drift import Drift


def test_the_first_day_is_as_the_world_says() -> None:
    drift = Drift.drawn(np.random.default_rng(1), days=5, actions=3)
    chances = np.array([0.02, 0.5, 0.9])
    assert np.allclose(drift.moved(chances, 0, np.arange(3)), chances)


def test_odds_move_by_steps_of_the_given_size_and_stay_chances() -> None:
    drift = Drift.drawn(np.random.default_rng(2), days=200, actions=50, daily=0.3)
    assert abs(np.diff(drift.shift, axis=0).std() - 0.3) < 0.02
    moved = drift.moved(np.full(50, 0.5), 199, np.arange(50))
    assert ((moved > 0) & (moved < 1)).all()
    assert np.allclose(np.log(moved / (1 - moved)), drift.shift[199])


def test_what_was_declared_may_be_wrong_from_the_first_day_on() -> None:
    drift = Drift.drawn(np.random.default_rng(4), days=2, actions=2_000, daily=0.0, misjudged=0.7)
    assert abs(drift.shift[0].std() - 0.7) < 0.03
    assert (drift.shift[1] == drift.shift[0]).all()


def test_without_drift_nothing_moves() -> None:
    drift = Drift.drawn(np.random.default_rng(3), days=4, actions=2, daily=0.0)
    assert not drift.shift.any()
