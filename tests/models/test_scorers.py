import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import lightgbm
import numpy as np
import pytest

from models.scorers import Attributing, InvalidModel, LightGBMScorer

WIDTH = 12


def drawn(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, WIDTH))
    rows[rng.random(rows.shape) < 0.1] = np.nan
    rows[:, -1] = rng.integers(0, 8, count)
    return rows


@pytest.fixture(scope="module")
def booster() -> lightgbm.Booster:
    rows = drawn(3_000)
    labels = (np.nan_to_num(rows[:, 0]) + (rows[:, -1] == 3) > 0.7).astype(float)
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1}
    data = lightgbm.Dataset(rows, labels, categorical_feature=[WIDTH - 1], params=parameters)
    return lightgbm.train(parameters, data, 20)


@pytest.fixture(scope="module")
def scorer(booster: lightgbm.Booster) -> LightGBMScorer:
    return LightGBMScorer(booster.model_to_string().encode())


@pytest.mark.parametrize("count", [1, 2, 20, 500])
def test_scores_are_those_of_lightgbms_own_package(
    booster: lightgbm.Booster, scorer: LightGBMScorer, count: int
) -> None:
    rows = drawn(count, seed=count)
    expected = np.asarray(booster.predict(rows, raw_score=True))
    np.testing.assert_array_equal(scorer.margins(rows), expected)


def test_rows_may_lie_in_memory_in_any_way(scorer: LightGBMScorer) -> None:
    rows = drawn(40)
    expected = scorer.margins(rows)
    np.testing.assert_array_equal(scorer.margins(np.asfortranarray(rows)), expected)
    np.testing.assert_array_equal(scorer.margins(rows[::2]), expected[::2])
    np.testing.assert_array_equal(scorer.margins(np.repeat(rows, 2, axis=1)[:, ::2]), expected)


def test_codes_that_were_never_seen_and_missing_values_get_a_margin(scorer: LightGBMScorer) -> None:
    rows = np.stack([np.full(WIDTH, value) for value in (np.nan, np.inf, -np.inf, 1e300, -1.0)])
    assert np.isfinite(scorer.margins(rows)).all()


def test_no_rows_have_no_scores(scorer: LightGBMScorer) -> None:
    assert scorer.margins(np.empty((0, WIDTH))).shape == (0,)


@pytest.mark.parametrize("shape", [(3, WIDTH - 1), (3, WIDTH + 1), (WIDTH,)])
def test_rows_of_another_width_are_refused_before_memory_is_touched(
    scorer: LightGBMScorer, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=rf"must have the shape \(m, {WIDTH}\)"):
        scorer.margins(np.zeros(shape))


def test_contributions_are_those_of_lightgbms_own_package(
    booster: lightgbm.Booster, scorer: LightGBMScorer
) -> None:
    rows = drawn(30)
    expected = np.asarray(booster.predict(rows, pred_contrib=True))[:, :-1]
    np.testing.assert_array_equal(scorer.contributions(rows), expected)


def test_contributions_tell_one_row_from_another_by_their_margins(scorer: LightGBMScorer) -> None:
    rows = drawn(30)
    margins, contributions = scorer.margins(rows), scorer.contributions(rows).sum(axis=1)
    np.testing.assert_allclose(margins - margins[0], contributions - contributions[0], atol=1e-9)


def test_no_rows_have_no_contributions_and_rows_of_another_width_are_refused(scorer: LightGBMScorer) -> None:
    assert scorer.contributions(np.empty((0, WIDTH))).shape == (0, WIDTH)
    with pytest.raises(ValueError, match=rf"must have the shape \(m, {WIDTH}\)"):
        scorer.contributions(np.zeros((3, WIDTH + 1)))


def test_threads_can_share_a_scorer(scorer: LightGBMScorer) -> None:
    rows = drawn(200)
    expected = scorer.margins(rows)
    with ThreadPoolExecutor(4) as pool:
        for scores in pool.map(lambda _: scorer.margins(rows), range(50)):
            np.testing.assert_array_equal(scores, expected)


def test_more_threads_do_not_change_scores(booster: lightgbm.Booster, scorer: LightGBMScorer) -> None:
    rows = drawn(500)
    threaded = LightGBMScorer(booster.model_to_string().encode(), threads=2)
    np.testing.assert_array_equal(threaded.margins(rows), scorer.margins(rows))


@pytest.mark.parametrize("content", [b"", b"not a model"])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidModel, match="LightGBM can't read the model"):
        LightGBMScorer(content)


def test_a_model_with_several_outputs_is_refused() -> None:
    rows = drawn(300)
    parameters = {"objective": "multiclass", "num_class": 3, "verbosity": -1, "num_threads": 1}
    labels = np.arange(300) % 3
    booster = lightgbm.train(parameters, lightgbm.Dataset(rows, labels, params=parameters), 2)
    with pytest.raises(InvalidModel, match="3 outputs"):
        LightGBMScorer(booster.model_to_string().encode())


def test_lightgbm_can_say_what_its_scores_are_made_of(scorer: LightGBMScorer) -> None:
    assert isinstance(scorer, Attributing)


def test_serving_imports_neither_lightgbms_package_nor_scikit_learn() -> None:
    heavy = {"lightgbm", "sklearn", "scipy.linalg", "scipy.sparse", "pyarrow"}
    code = f"import sys, models.registry; print(sorted({heavy} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_scipys_linear_algebra_can_be_imported_once_loops_are_compiled() -> None:
    code = "import models.kernel, scipy.linalg.cython_blas, scipy.linalg; print(scipy.linalg.norm([3, 4]))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "5.0"
