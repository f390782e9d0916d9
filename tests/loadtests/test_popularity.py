from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.popularity import Popularity


def test_frequencies_fall_by_the_power_law() -> None:
    popularity, random = Popularity(1_000, exponent=1.0), Random(1)
    counted = [count for _, count in Counter(popularity.draw(random) for _ in range(200_000)).most_common()]
    assert counted[0] / counted[9] == pytest.approx(10, rel=0.15)
    assert counted[1] / counted[19] == pytest.approx(10, rel=0.2)


def test_a_few_customers_make_most_of_the_visits() -> None:
    assert Popularity(20_000).share_of_top(0.01) > 0.5
    assert Popularity(20_000).share_of_top(1.0) == pytest.approx(1)


def test_popularity_is_not_the_order_of_the_file() -> None:
    popularity, random = Popularity(1_000), Random(1)
    [(favourite, _)] = Counter(popularity.draw(random) for _ in range(5_000)).most_common(1)
    other, random = Popularity(1_000, seed=1), Random(1)
    [(others, _)] = Counter(other.draw(random) for _ in range(5_000)).most_common(1)
    assert favourite != others


def test_nobody_can_not_be_popular() -> None:
    with pytest.raises(ValueError, match="at least one customer"):
        Popularity(0)


@given(customers=st.integers(1, 500), exponent=st.floats(0, 3), seed=st.integers(0, 9))
def test_whoever_is_drawn_exists(customers: int, exponent: float, seed: int) -> None:
    popularity, random = Popularity(customers, exponent=exponent, seed=seed), Random(seed)
    assert all(0 <= popularity.draw(random) < customers for _ in range(50))
