import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import TypeAdapter, ValidationError

from models.calibration import Beta, Calibration, Isotonic, Platt, best_calibration
from models.curves import Curve, Curves

finite = st.floats(-1e6, 1e6)
margins = arrays(np.float64, st.integers(1, 40), elements=finite)
factors, shifts = st.floats(0, 1e3), st.floats(-50, 50)
knots = st.lists(st.tuples(finite, shifts), min_size=1, unique_by=lambda knot: knot[0]).map(
    lambda pairs: Isotonic(
        margins=tuple(sorted(margin for margin, _ in pairs)),
        log_odds=tuple(sorted(log_odds for _, log_odds in pairs)),
    )
)
calibrations = st.one_of(
    st.builds(Platt, slope=factors, intercept=shifts),
    st.builds(Beta, below=factors, above=factors, shift=shifts),
    knots,
)
FORMS = (Platt, Beta, Isotonic)


@given(calibrations, margins)
def test_calibration_gives_probabilities_and_never_turns_an_order_round(
    calibration: Calibration, margins: np.ndarray
) -> None:
    probabilities = calibration.apply(np.sort(margins))
    assert ((probabilities > 0) & (probabilities <= 1)).all()
    assert (np.diff(probabilities) >= -1e-15).all()


@given(calibrations, margins)
def test_scores_do_not_depend_on_what_is_scored_beside_them(
    calibration: Calibration, margins: np.ndarray
) -> None:
    alone = np.concatenate([calibration.apply(margin.reshape(1)) for margin in margins])
    assert calibration.apply(margins).tolist() == alone.tolist()


@given(st.lists(calibrations, min_size=1, max_size=5), arrays(np.float64, st.integers(1, 9), elements=finite))
def test_columns_are_calibrated_together_as_they_are_alone(
    calibrations: list[Calibration], margins: np.ndarray
) -> None:
    matrix = np.repeat(margins[:, None], len(calibrations), axis=1)
    matrix[0, 0] = np.nan
    together = Curves.of([calibration.curve for calibration in calibrations]).apply(matrix)
    assert np.isnan(together[0, 0])
    for column, calibration in enumerate(calibrations):
        alone = calibration.apply(matrix[:, column])
        np.testing.assert_array_equal(together[:, column], alone)


@given(calibrations)
def test_a_calibration_comes_back_from_json_as_it_was(calibration: Calibration) -> None:
    form: TypeAdapter[Calibration] = TypeAdapter(Calibration)
    assert form.validate_json(form.dump_json(calibration)) == calibration


def test_applying_leaves_the_margins_as_they_were() -> None:
    margins = np.array([-1.0, 0.0, 2.0])
    Platt(slope=3.0, intercept=1.0).apply(margins)
    assert margins.tolist() == [-1.0, 0.0, 2.0]


def sample(curve: Curve, n: int = 60_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Margins, and labels that come as often as the curve says."""
    rng = np.random.default_rng(seed)
    margins = rng.normal(0, 1.5, n)
    return margins, (rng.random(n) < Curves.of([curve]).apply(margins[:, None])[:, 0]).astype(float)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.4, -2.0), (2.5, 1.0)])
def test_fitting_finds_the_distortion_that_made_the_margins(slope: float, intercept: float) -> None:
    fitted = Platt.fit(*sample(Curve(slope, slope, intercept)))
    assert fitted.slope == pytest.approx(slope, rel=0.08)
    assert fitted.intercept == pytest.approx(intercept, abs=0.08)


def test_beta_finds_both_slopes_of_a_bent_line() -> None:
    fitted = Beta.fit(*sample(Curve(0.4, 1.6, -0.5)))
    assert (fitted.below, fitted.above, fitted.shift) == pytest.approx((0.4, 1.6, -0.5), abs=0.1)


def test_beta_leaves_out_a_side_that_falls() -> None:
    rng = np.random.default_rng(0)
    margins = rng.normal(0, 2, 50_000)
    labels = (
        rng.random(len(margins)) < 1 / (1 + np.exp(-(2 * np.minimum(margins, 0) - 0.3 * margins)))
    ).astype(float)
    fitted = Beta.fit(margins, labels)
    assert fitted.above == 0.0 < fitted.below


STEPS = Curve(knots=(-1.0, -0.5, 0.8, 1.0), values=(-2.0, 0.0, 0.0, 2.0))


def test_isotonic_finds_any_rising_curve_and_leaves_no_ties_between_its_ends() -> None:
    fitted = Isotonic.fit(*sample(STEPS, 200_000))
    inner = np.linspace(-1.2, 1.2, 200)
    expected = Curves.of([STEPS]).apply(inner[:, None])[:, 0]
    assert np.abs(fitted.apply(inner) - expected).max() < 0.06
    assert (np.diff(fitted.log_odds) > 0).all()


def test_isotonic_never_says_never() -> None:
    fitted = Isotonic.fit(np.arange(10.0), (np.arange(10) > 4).astype(float))
    assert fitted.apply(np.array([-9.0, 99.0])).tolist() == pytest.approx([1 / 12, 11 / 12])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("margins", [np.zeros(100), -np.repeat([0.0, 1.0], [80, 20])])
def test_margins_that_tell_nothing_all_get_the_base_rate(
    form: type[Platt] | type[Beta] | type[Isotonic], margins: np.ndarray
) -> None:
    labels = np.repeat([0.0, 1.0], [80, 20])
    np.testing.assert_allclose(form.fit(margins, labels).apply(margins), 0.2, rtol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_a_row_of_weight_two_is_two_rows(form: type[Platt] | type[Beta] | type[Isotonic]) -> None:
    margins, labels = sample(Curve(0.5, 1.5, -1.0), 2_000)
    weights = np.where(np.arange(2_000) % 3 == 0, 2.0, 1.0)
    twice = np.repeat(np.arange(2_000), weights.astype(int))
    weighted = form.fit(margins, labels, weights).apply(margins)
    np.testing.assert_allclose(weighted, form.fit(margins[twice], labels[twice]).apply(margins), atol=1e-3)


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (Curve(0.6, 0.6, -0.4), "platt"),
        (Curve(0.2, 1.8, -0.4), "beta"),
        (Curve(knots=(-2.0, -1.9, 1.0, 1.1), values=(-4.0, -1.0, -0.9, 3.0)), "isotonic"),
    ],
)
def test_the_form_that_does_best_on_later_rows_is_taken(curve: Curve, expected: str) -> None:
    margins, labels = sample(curve, 40_000)
    found = best_calibration(margins, labels, np.arange(40_000.0), np.ones(40_000))
    assert found.calibration.method == expected
    assert found.log_losses.keys() == {"platt", "beta", "isotonic"}


def test_without_responses_to_judge_by_platt_is_taken() -> None:
    margins, labels = np.arange(100.0), (np.arange(100) % 40 == 5).astype(float)
    labels[50:] = 0.0
    found = best_calibration(margins, labels, np.arange(100.0), np.ones(100))
    assert found.calibration.method == "platt"
    assert found.log_losses == {}


def test_a_falling_calibration_can_not_be_declared() -> None:
    with pytest.raises(ValidationError, match="slope"):
        Platt(slope=-1.0)
    with pytest.raises(ValidationError, match="below"):
        Beta(below=-1.0, above=1.0, shift=0.0)
    with pytest.raises(ValidationError, match="must not fall"):
        Isotonic(margins=(0.0, 1.0), log_odds=(1.0, 0.0))
    with pytest.raises(ValidationError, match="each knot"):
        Isotonic(margins=(0.0, 1.0), log_odds=(1.0,))
