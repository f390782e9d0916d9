from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.split import Split


@given(st.lists(st.text(), min_size=1, unique=True), st.integers(0, 2**31), st.data())
def test_every_row_is_in_exactly_one_part_and_customers_stay_together(
    names: list[str], seed: int, draw: st.DataObject
) -> None:
    owners = np.array(draw.draw(st.lists(st.integers(0, len(names) - 1), min_size=1)))
    split = Split.by_customer(names, owners, seed)
    parts = np.stack([split.training, split.validation, split.test])
    assert (parts.sum(axis=0) == 1).all()
    for owner in set(owners):
        assert len(np.unique(parts[:, owners == owner], axis=1).T) == 1


@given(st.integers(0, 100))
def test_a_customers_part_does_not_depend_on_who_else_is_there(seed: int) -> None:
    names = [f"c{i}" for i in range(50)]
    alone = [Split.by_customer([name], np.array([0]), seed).training[0] for name in names]
    together = Split.by_customer(names, np.arange(50), seed).training
    assert together.tolist() == alone


def test_the_parts_have_their_shares_of_the_customers() -> None:
    names = [f"c{i}" for i in range(20_000)]
    split = Split.by_customer(names, np.arange(len(names)), 0)
    shares = [part.mean() for part in (split.training, split.validation, split.test)]
    np.testing.assert_allclose(shares, [0.70, 0.15, 0.15], atol=0.01)


def test_another_seed_splits_in_another_way() -> None:
    names = [f"c{i}" for i in range(100)]
    first, second = (Split.by_customer(names, np.arange(100), seed).training for seed in (0, 1))
    assert (first != second).any()


@given(st.lists(st.floats(1e9, 2e9), min_size=1))
def test_by_time_no_part_knows_of_a_later_one_and_one_moment_stays_together(times: list[float]) -> None:
    now = np.array(times)
    split = Split.by_time(now)
    parts = (split.training, split.validation, split.test)
    assert (np.stack(parts).sum(axis=0) == 1).all()
    ends = [(now[part].min(), now[part].max()) for part in parts if part.any()]
    assert all(before[1] < after[0] for before, after in pairwise(ends))


def test_by_time_the_parts_have_their_shares_of_the_rows() -> None:
    split = Split.by_time(np.random.default_rng(0).permutation(20_000).astype(float))
    shares = [part.mean() for part in (split.training, split.validation, split.test)]
    np.testing.assert_allclose(shares, [0.70, 0.15, 0.15], atol=0.001)


def test_decisions_of_one_moment_are_split_by_customer() -> None:
    names, owners = [f"c{i}" for i in range(500)], np.arange(500)
    split = Split.of_decisions(np.full(500, 1e9), names, owners, 3)
    np.testing.assert_array_equal(split.test, Split.by_customer(names, owners, 3).test)
    in_turn = Split.of_decisions(np.arange(500.0), names, owners, 3)
    np.testing.assert_array_equal(in_turn.test, Split.by_time(np.arange(500.0)).test)
