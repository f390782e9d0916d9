"""The arithmetic behind the Hillstrom table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.hillstrom.value import Comparison, contributions, mean_with_interval, over_splits


def test_only_those_who_got_the_picked_action_stand_for_the_policy() -> None:
    picks, arms = np.array([0, 1, 2, 0]), np.array([0, 0, 2, 1])
    added = contributions(picks, arms, np.array([1.0, 1.0, 0.0, 1.0]), propensity=1 / 3)
    assert added.tolist() == [3.0, 0.0, 0.0, 0.0]


def test_inverse_propensity_values_are_unbiased() -> None:
    """Over all ways that the lot can fall, the mean estimate of a policy is its true value."""
    rewards = np.array([[1.0, 0.0, 0.0], [0.0, 5.0, 1.0]])  # by customer and arm
    picks = np.array([0, 1])
    estimates = []
    for first in range(3):
        for second in range(3):
            arms = np.array([first, second])
            seen = rewards[np.arange(2), arms]
            estimates.append(contributions(picks, arms, seen, 1 / 3).mean())
    assert np.mean(estimates) == pytest.approx(rewards[[0, 1], picks].mean())


def test_the_interval_within_a_split_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    samples = [mean_with_interval(random.binomial(1, 0.2, 2_000).astype(float)) for _ in range(1_000)]
    covered = np.mean([estimate.low <= 0.2 <= estimate.high for estimate in samples])
    assert 0.93 < covered < 0.97


def test_splits_of_the_same_customers_are_not_counted_as_independent() -> None:
    leads = [0.1, 0.3, 0.2, 0.2, 0.1, 0.3, 0.2, 0.2, 0.1, 0.3]
    naive = 2.262 * np.std(leads, ddof=1) / np.sqrt(10)  # Student's t with 9 degrees of freedom
    assert over_splits(leads).margin == pytest.approx(naive * np.sqrt(11), rel=1e-3)


def test_one_split_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least two"):
        over_splits([0.1])


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20))
def test_the_mean_lies_in_its_interval(leads: list[float]) -> None:
    estimate = over_splits(leads)
    assert estimate.low <= estimate.value <= estimate.high


def test_a_lead_is_taken_over_the_same_customers() -> None:
    comparison = Comparison("old")
    for shift in (0.0, 10.0):  # a split in which everybody earns more moves both alike
        old = np.array([1.0, 2.0, 3.0]) + shift
        comparison.add({"new": old + 0.5, "old": old})
    new, old_row = comparison.rows()
    assert new.lead is not None
    assert new.lead.value == pytest.approx(0.5)
    assert new.lead.margin == pytest.approx(0)
    assert (new.won, old_row.lead) == (2, None)
