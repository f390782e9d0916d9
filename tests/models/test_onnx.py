"""Models of scikit-learn, scored by ONNX Runtime."""

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from feature_store.schema import FeatureSchema
from models.layout import Inputs
from models.onnx import OnnxScorer
from models.scorers import Attributing, InvalidModel

FOLDER = Path(__file__).parent / "onnx"
READ = ("age", "page", "contract_end")


@pytest.fixture(scope="module")
def inputs(schema: FeatureSchema) -> Inputs:
    return Inputs(FeatureSchema(tuple(schema.feature(name) for name in READ)), ("call_back",), ("web",))


def made(name: str, inputs: Inputs) -> OnnxScorer:
    return OnnxScorer((FOLDER / f"{name}.onnx").read_bytes(), inputs)


def kept(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows with action and channel behind them, and scikit-learn's own probabilities."""
    with np.load(FOLDER / f"{name}.npz") as arrays:
        rows = np.concatenate([arrays["rows"].astype(np.float64), np.zeros((40, 2))], axis=1)
        return rows, arrays["probabilities"]


@pytest.mark.parametrize("name", ["logistic", "boosted"])
def test_scores_are_those_of_scikit_learn(name: str, inputs: Inputs) -> None:
    rows, probabilities = kept(name)
    margins = made(name, inputs).margins(rows)
    np.testing.assert_allclose(1 / (1 + np.exp(-margins)), probabilities, atol=1e-5)
    assert np.isnan(rows).any()


@pytest.mark.parametrize("name", ["logistic", "boosted"])
def test_a_score_does_not_depend_on_who_else_is_scored(name: str, inputs: Inputs) -> None:
    scorer, (rows, _) = made(name, inputs), kept(name)
    alone = [scorer.margins(row[None, :])[0] for row in rows]
    np.testing.assert_array_equal(scorer.margins(rows), alone)
    assert scorer.margins(rows[:0]).shape == (0,)


def test_rows_of_another_width_are_refused(inputs: Inputs) -> None:
    with pytest.raises(ValueError, match=r"must have the shape \(m, 5\)"):
        made("logistic", inputs).margins(np.zeros((3, 4)))


def test_it_can_not_say_what_its_scores_are_made_of(inputs: Inputs) -> None:
    assert not isinstance(made("logistic", inputs), Attributing)


def test_a_model_that_answers_with_maps_is_told_how_to_convert_it(inputs: Inputs) -> None:
    with pytest.raises(InvalidModel, match="convert it with the option zipmap=False"):
        made("zipmap", inputs)


def test_a_model_of_other_columns_is_refused(schema: FeatureSchema) -> None:
    with pytest.raises(InvalidModel, match="reads 3 columns; it has to read 8, those of its features, or 10"):
        made("logistic", Inputs(schema, (), ()))


def test_what_is_no_model_is_refused(inputs: Inputs) -> None:
    with pytest.raises(InvalidModel, match="ONNX Runtime can't read the model"):
        OnnxScorer(b"not a model", inputs)


def test_without_onnx_runtime_it_is_said_what_to_install(
    inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InvalidModel, match=r"pip install 'arbiter-nba\[onnx\]'"):
        made("logistic", inputs)
