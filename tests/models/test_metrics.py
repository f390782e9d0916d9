import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.metrics import Metrics, expected_calibration_error

N = 50
labels = arrays(np.float64, N, elements=st.sampled_from([0.0, 1.0]))
probabilities = arrays(np.float64, N, elements=st.floats(0, 1))


@given(labels, probabilities)
def test_the_calibration_error_lies_between_nothing_and_all(labels: np.ndarray, p: np.ndarray) -> None:
    assert 0 <= expected_calibration_error(labels, p) <= 1


@given(labels)
def test_promises_that_are_kept_exactly_have_no_calibration_error(labels: np.ndarray) -> None:
    assert expected_calibration_error(labels, labels) == 0


def test_promising_too_much_by_a_tenth_is_an_error_of_a_tenth() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.05, 0.5, 200_000)
    labels = (rng.random(len(truth)) < truth).astype(float)
    assert expected_calibration_error(labels, truth + 0.1) == pytest.approx(0.1, abs=0.003)


def test_metrics_of_a_known_case() -> None:
    measured = Metrics.measure(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.35, 0.8]))
    assert measured.auc == pytest.approx(0.75)
    assert measured.average_precision == pytest.approx(0.8333, abs=1e-4)
    assert measured.base_rate == 0.5
    assert measured.brier == pytest.approx((0.01 + 0.16 + 0.65**2 + 0.04) / 4)
    assert measured.log_loss == pytest.approx(-np.log([0.9, 0.6, 0.35, 0.8]).mean())
