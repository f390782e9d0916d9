"""Statistics of two groups, beside numbers computed by hand and by other ways."""

import numpy as np
import pytest
from scipy import stats

from service.reporting.comparison import Group, lift, units_needed, value_difference


def test_the_lift_is_the_ratio_of_shares_with_the_interval_of_katz() -> None:
    found = lift(Group(1_000, 60), Group(2_000, 100))
    assert found is not None
    assert found.value == pytest.approx(0.2)
    # exp(log(1.2) -+ 1.95996 sqrt(1/60 - 1/1000 + 1/100 - 1/2000))
    assert found.low == pytest.approx(0.8798 - 1, abs=1e-3)
    assert found.high == pytest.approx(1.6368 - 1, abs=1e-3)


@pytest.mark.parametrize(("one", "other"), [(0, 0), (4, 500), (500, 4)])
def test_of_too_few_nothing_is_told(one: int, other: int) -> None:
    groups = [Group(1_000, responders, 1.0, 2.0, offered=900) for responders in (one, other)]
    assert lift(groups[0], groups[1]) is None
    assert value_difference(groups[0], groups[1]) is None


def test_values_differ_by_welch_s_interval() -> None:
    rng = np.random.default_rng(5)
    one, other = rng.exponential(5.0, 80), rng.exponential(3.0, 400)
    groups = [Group(len(x), len(x), float(x.mean()), float(x.var(ddof=1))) for x in (one, other)]
    found = value_difference(groups[0], groups[1])
    interval = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.value == pytest.approx(one.mean() - other.mean())


def test_values_that_are_all_the_same_differ_for_sure() -> None:
    found = value_difference(Group(50, 50, 3.0, 0.0), Group(50, 50, 2.0, 0.0))
    assert found is not None
    assert (found.low, found.value, found.high) == (1.0, 1.0, 1.0)


def test_who_was_offered_nothing_has_brought_nothing_for_sure() -> None:
    others = Group(1_000, 300, 5.0, 40.0, offered=900)
    found = value_difference(Group(100, 0, 0.0, 0.0, offered=0), others)
    margin = stats.t.ppf(0.975, 999) * (40.0 / 1_000) ** 0.5
    assert found is not None
    assert (found.low, found.high) == pytest.approx((-5.0 - margin, -5.0 + margin))
    assert value_difference(Group(100, 0, 0.0, 0.0, offered=80), others) is None
    assert lift(Group(100, 0, 0.0, 0.0, offered=0), others) is None


def test_the_size_is_that_of_the_textbook() -> None:
    # Fleiss et al., without correction: 5 % against 6 %, two groups of the same size, 5 % and 80 %
    assert units_needed(Group(100, 5), Group(100, 6)) == pytest.approx(8_158, abs=2)
    assert units_needed(Group(100, 60), Group(100, 50)) == pytest.approx(388, abs=1)


def test_a_small_arm_beside_many_needs_fewer_but_not_as_few_as_half() -> None:
    equal, unequal = (
        units_needed(Group(100, 5), Group(100, 6)),
        units_needed(Group(100, 5), Group(10_000, 600)),
    )
    assert equal is not None
    assert unequal is not None
    assert equal / 2 < unequal < equal


def test_the_size_holds_its_power() -> None:
    size = units_needed(Group(100, 30), Group(100, 40))
    assert size is not None
    rng = np.random.default_rng(1)
    one, other = rng.binomial(size, 0.3, 4_000) / size, rng.binomial(size, 0.4, 4_000) / size
    spread = np.sqrt((one + other) / 2 * (1 - (one + other) / 2) * 2 / size)
    assert np.mean(np.abs(one - other) / spread > 1.96) == pytest.approx(0.8, abs=0.03)


def test_where_there_is_no_difference_no_size_tells_it() -> None:
    assert units_needed(Group(100, 5), Group(200, 10)) is None
    assert units_needed(Group(), Group(200, 10)) is None
