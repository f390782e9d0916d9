import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from models.calibration import Calibration

finite = st.floats(-1e6, 1e6)
margins = arrays(np.float64, st.integers(1, 40), elements=finite)
calibrations = st.builds(Calibration, slope=st.floats(0, 1e3), intercept=st.floats(-50, 50))


@given(calibrations, margins)
def test_calibration_gives_probabilities_and_never_turns_an_order_round(
    calibration: Calibration, margins: np.ndarray
) -> None:
    probabilities = calibration.apply(np.sort(margins))
    assert ((probabilities > 0) & (probabilities <= 1)).all()
    assert (np.diff(probabilities) >= 0).all()


@given(calibrations, margins)
def test_scores_do_not_depend_on_what_is_scored_beside_them(
    calibration: Calibration, margins: np.ndarray
) -> None:
    alone = np.concatenate([calibration.apply(margin.reshape(1)) for margin in margins])
    np.testing.assert_allclose(calibration.apply(margins), alone, rtol=1e-14)


def test_applying_leaves_the_margins_as_they_were() -> None:
    margins = np.array([-1.0, 0.0, 2.0])
    Calibration(slope=3.0, intercept=1.0).apply(margins)
    assert margins.tolist() == [-1.0, 0.0, 2.0]


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.4, -2.0), (2.5, 1.0)])
def test_fitting_finds_the_distortion_that_made_the_margins(slope: float, intercept: float) -> None:
    rng = np.random.default_rng(0)
    margins = rng.normal(0, 1.5, 200_000)
    labels = (rng.random(len(margins)) < 1 / (1 + np.exp(-(slope * margins + intercept)))).astype(float)
    fitted = Calibration.fit(margins, labels)
    assert fitted.slope == pytest.approx(slope, rel=0.05)
    assert fitted.intercept == pytest.approx(intercept, abs=0.05)


@pytest.mark.parametrize("margins", [np.zeros(100), -np.repeat([0.0, 1.0], [80, 20])])
def test_margins_that_tell_nothing_all_get_the_base_rate(margins: np.ndarray) -> None:
    labels = np.repeat([0.0, 1.0], [80, 20])
    np.testing.assert_allclose(Calibration.fit(margins, labels).apply(margins), 0.2)


def test_a_falling_calibration_can_not_be_declared() -> None:
    with pytest.raises(ValidationError, match="slope"):
        Calibration(slope=-1.0)
