"""References: how columns were spread in training, and how far from it they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.reference import Reference, Spread

VALUES = arrays(
    np.float64,
    st.integers(1, 200),
    elements=st.one_of(st.just(np.nan), st.integers(-5, 5).map(float), st.floats(-1e9, 1e9)),
)


@given(VALUES)
def test_shares_are_those_of_the_values_in_each_bin(values: np.ndarray) -> None:
    bins = Reference(features={}, score=Spread.of(values)).bins
    counts = bins.counts(values[:, None])
    assert counts.sum() == len(values)
    assert counts[0, -1] == np.isnan(values).sum()
    assert bins.shares == pytest.approx(counts / len(values), abs=1e-6)
    assert bins.instability(counts) == pytest.approx(0.0, abs=1e-3)


def test_bins_are_tenths_or_single_values() -> None:
    generator = np.random.default_rng(0)
    tenths = Spread.of(generator.normal(size=10_000))
    assert tenths.shares == pytest.approx([0.1] * 10 + [0.0], abs=1e-3)
    flags = Spread.of(np.array([0.0, 1.0, 1.0, np.nan]))
    assert (flags.edges, flags.shares) == ((0.5,), (0.25, 0.5, 0.25))
    assert Spread.of(np.full(3, np.nan)).shares == (0.0, 1.0)


def test_the_index_tells_a_shift_from_chance_and_a_hole_from_both() -> None:
    generator = np.random.default_rng(1)
    rows = generator.normal(size=(5_000, 3))
    reference = Reference.of(("same", "shifted", "holed"), rows, rows[:, 0])
    bins = reference.bins
    served = np.column_stack([generator.normal(size=(1_000, 3)), generator.normal(size=1_000)])
    served[:, 1] += 1.0
    served[::2, 2] = np.nan
    same, shifted, holed, score = bins.instability(bins.counts(served)).tolist()
    assert max(same, score) < 0.1
    assert min(shifted, holed) > 0.2


def test_the_index_is_that_of_the_textbook() -> None:
    spread = Spread(edges=(0.5,), shares=(0.6, 0.4, 0.0))
    bins = Reference(features={}, score=spread).bins
    counts = bins.counts(np.array([[0.0]] * 3 + [[1.0]] * 7))
    expected = (0.3 - 0.6) * np.log(0.3 / 0.6) + (0.7 - 0.4) * np.log(0.7 / 0.4)
    assert bins.instability(counts) == pytest.approx(expected)


def test_a_reference_survives_being_written() -> None:
    rows = np.random.default_rng(2).normal(size=(100, 2))
    reference = Reference.of(("a", "b"), rows, rows[:, 1])
    assert Reference.model_validate_json(reference.model_dump_json()) == reference
