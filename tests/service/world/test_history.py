"""The logging policy and what it logs."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from service.world.history import choose

WEIGHTS = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(1, 5)),
    elements=st.one_of(st.just(0.0), st.floats(1e-3, 1e3)),
)


@given(weights=WEIGHTS, limit=st.integers(1, 6), seed=st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_only_candidates_are_picked_and_none_twice(
    weights: np.ndarray[tuple[int, int], np.dtype[np.float64]], limit: int, seed: int
) -> None:
    picks, probabilities = choose(np.random.default_rng(seed), weights, limit)
    for row, chosen, chances in zip(weights, picks, probabilities, strict=True):
        taken = chosen[chosen >= 0]
        assert len(taken) == min(limit, int((row > 0).sum()))
        assert len(set(taken.tolist())) == len(taken)
        assert (row[taken] > 0).all()
        left = row.copy()
        for pick, chance in zip(taken, chances, strict=False):
            assert chance == left[pick] / left.sum()
            left[pick] = 0.0
        assert np.isnan(chances[len(taken) :]).all()


def test_picks_come_as_often_as_their_probability_says_at_every_rank() -> None:
    n = 60_000
    weights = np.tile([5.0, 3.0, 1.0, 0.0], (n, 1))
    picks, probabilities = choose(np.random.default_rng(1), weights, 2)
    first = np.bincount(picks[:, 0], minlength=4) / n
    assert np.allclose(first, [5 / 9, 3 / 9, 1 / 9, 0], atol=0.01)
    after_the_first = picks[:, 0] == 0
    second = np.bincount(picks[after_the_first, 1], minlength=4) / after_the_first.sum()
    assert np.allclose(second, [0, 3 / 4, 1 / 4, 0], atol=0.01)
    inverse = 1 / probabilities[picks[:, 0] == 2, 0]
    assert np.isclose(inverse.sum() / n, 1.0, atol=0.05)
