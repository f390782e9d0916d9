"""How long batches are expected to take, from what the last ones took."""

import numpy as np
import pytest

from service.runtime.pace import Pace

FIXED, EACH = 0.001, 0.0002


def learned(sizes: list[int]) -> Pace:
    pace = Pace()
    for size in sizes:
        pace.learn(size, FIXED + EACH * size)
    return pace


def test_nothing_is_expected_to_take_any_time_before_anything_is_known() -> None:
    assert Pace().expected(1000, 128) == 0.0


def test_what_a_batch_costs_is_told_from_what_its_items_cost() -> None:
    pace = learned(np.random.default_rng(1).integers(1, 128, 200).tolist())
    assert pace.each == pytest.approx(EACH, rel=0.1)
    assert pace.expected(100, 128) == pytest.approx(FIXED + 100 * EACH, rel=0.1)
    assert pace.expected(200, 100) == pytest.approx(2 * FIXED + 200 * EACH, rel=0.1)


def test_lone_requests_do_not_make_a_crowd_look_slow() -> None:
    assert learned([1, 2] * 100).expected(64, 128) < 2 * (FIXED + EACH)


def test_batches_that_get_larger_show_at_once_what_their_items_cost() -> None:
    pace = learned([1] * 100 + [100] * 5)
    assert pace.expected(100, 128) == pytest.approx(FIXED + 100 * EACH, rel=0.1)


def test_a_batch_that_hung_is_forgotten() -> None:
    pace = learned([50] * 20)
    pace.learn(50, 10.0)
    assert pace.expected(50, 128) > 0.5
    for _ in range(100):
        pace.learn(50, FIXED + EACH * 50)
    assert pace.expected(50, 128) == pytest.approx(FIXED + EACH * 50, rel=0.1)
