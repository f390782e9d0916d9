"""What policies earn with the same candidates, by the truth."""

import numpy as np
import pytest

from service.simulation.contests import (
    ARBITER,
    GREEDY,
    ORACLE,
    PROPENSITY,
    RANDOM,
    RULES,
    Contest,
    Earned,
    reached,
)

CONTEST = Contest(
    number=7,
    day=0,
    weight=np.array([1.0, 10.0, 2.0]),
    prior=np.array([0.9, 0.05, 0.1]),
    propensity=np.array([0.1, 0.02, 0.2]),
    true=np.array([0.3, 0.05, 0.1]),
    chosen=1,
)


def test_each_policy_is_worth_the_true_reward_of_what_it_would_choose() -> None:
    rewards = CONTEST.rewards()
    assert rewards[RANDOM] == pytest.approx((0.3 + 0.5 + 0.2) / 3)
    assert rewards[RULES] == pytest.approx(0.3)
    assert rewards[PROPENSITY] == pytest.approx(0.2)
    assert rewards[ARBITER] == pytest.approx(0.5)
    assert rewards[GREEDY] == pytest.approx(0.2)
    assert rewards[ORACLE] == pytest.approx(0.5)


def test_nobody_beats_the_oracle_and_it_gains_all_there_is() -> None:
    rng = np.random.default_rng(3)
    earned = Earned.of([drawn(rng, number) for number in range(200)])
    assert (earned.rewards <= earned.rewards[:, [ORACLE]] + 1e-12).all()
    assert earned.gain(ORACLE) == pytest.approx(1.0)
    assert earned.gain(RANDOM) == pytest.approx(0.0)
    assert earned.gain(ARBITER) < 1.0


def test_what_was_offered_to_learn_is_told_from_the_best() -> None:
    rising = np.array([1.0, 2.0])
    best, other = (Contest(0, 0, rising, rising, rising, rising, chosen) for chosen in (1, 0))
    assert Earned.of([best, other]).explored.tolist() == [False, True]


def test_what_is_summed_up_stands_for_all_decisions() -> None:
    rng = np.random.default_rng(4)
    earned = Earned.of([drawn(rng, number) for number in range(0, 1_000, 10)])
    summed = earned.cumulative(1_000)
    assert summed[-1] == pytest.approx(earned.rewards.mean(axis=0) * 1_000)
    assert (np.diff(summed, axis=0) >= 0).all()


def test_blocks_take_the_decisions_one_after_the_other() -> None:
    even, true = np.array([0.1, 0.1]), np.array([0.1, 0.3])
    poor = [Contest(n, 0, np.ones(2), even, even, true, chosen=0) for n in range(50)]
    good = [Contest(n, 0, np.ones(2), even, even, true, chosen=1) for n in range(50, 100)]
    (first, low), (last, high) = Earned.of([*poor, *good]).blocks(100, 2)
    assert (first, last) == (50, 100)
    assert low < 0.0
    assert high == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("shares", "after"),
    [
        ((0.9, 0.9, 0.9), 0),
        ((0.5, 0.9, 0.9), 10),
        ((0.9, 0.5, 0.9), 20),
        ((0.9, 0.9, 0.5), None),
        ((0.9, float("nan"), 0.9), 20),
    ],
)
def test_an_aim_is_reached_when_it_is_not_missed_any_more(
    shares: tuple[float, ...], after: int | None
) -> None:
    blocks = [(10 * (place + 1), share) for place, share in enumerate(shares)]
    assert reached(blocks, 0.8) == after


def drawn(rng: np.random.Generator, number: int) -> Contest:
    weight, prior, propensity, true = rng.uniform(0.01, 1.0, (4, 6))
    return Contest(number, 0, weight, prior, propensity, true, chosen=int(rng.integers(6)))
