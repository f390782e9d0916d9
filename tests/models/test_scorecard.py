"""Scorecards: points by hand, and the log-odds that they stand for."""

import json
from typing import Any

import numpy as np
import pytest

from feature_store.schema import FeatureSchema
from models.layout import Inputs
from models.scorecard import ScorecardScorer
from models.scorers import Attributing, InvalidModel

CARD: dict[str, Any] = {
    "base_score": 600,
    "base_odds": 0.25,
    "points_to_double_odds": 20,
    "initial_points": 580,
    "characteristics": [
        {
            "column": "age",
            "bins": [{"below": 25, "points": -10}, {"below": 60, "points": 0}, {"points": 30}],
            "otherwise": 5,
        },
        {"column": "segment", "levels": {"soho": 20, "enterprise": 40}},
        {"column": "action", "levels": {"fibre": 20}, "otherwise": -20},
        {"column": "products=fibre", "bins": [{"below": 0.5, "points": 0}, {"points": 1}]},
    ],
}


@pytest.fixture(scope="module")
def inputs(schema: FeatureSchema) -> Inputs:
    return Inputs(schema, ("fibre", "mobile"), ("web",))


def scorer(inputs: Inputs, card: object = CARD) -> ScorecardScorer:
    return ScorecardScorer(json.dumps(card).encode(), inputs)


def row(inputs: Inputs, **values: float) -> np.ndarray:
    return np.array([[values.get(name.replace("=", "_"), np.nan) for name in inputs.names]])


@pytest.mark.parametrize(
    ("values", "points"),
    [
        ({"age": 24.9, "segment": 0, "action": 0, "products_fibre": 0}, -10 + 0 + 20 + 0),
        ({"age": 25.0, "segment": 1, "action": 1, "products_fibre": 1}, 0 + 20 - 20 + 1),
        ({"age": 60.0, "segment": 2, "action": 0, "products_fibre": 0}, 30 + 40 + 20 + 0),
        ({}, 5 + 0 - 20 + 0),
        ({"age": -1e9, "segment": 7, "action": -1}, -10 + 0 - 20 + 0),
    ],
)
def test_points_add_up_and_twenty_more_double_the_odds(
    inputs: Inputs, values: dict[str, float], points: float
) -> None:
    margin = scorer(inputs).margins(row(inputs, **values))[0]
    assert np.exp(margin) == pytest.approx(0.25 * 2 ** ((580 + points - 600) / 20))


def test_it_says_what_its_scores_are_made_of_beside_a_row_of_which_nothing_is_known(inputs: Inputs) -> None:
    made, known = scorer(inputs), row(inputs, age=70, segment=2, action=0, products_fibre=1)
    assert isinstance(made, Attributing)
    added = made.contributions(known)
    nothing = made.margins(row(inputs))
    assert made.margins(known)[0] - nothing[0] == pytest.approx(added.sum())
    assert added[0, inputs.names.index("age")] == pytest.approx((30 - 5) / 20 * np.log(2))
    assert np.count_nonzero(added) == 4


def altered(place: int, **changes: Any) -> dict[str, Any]:
    card = json.loads(json.dumps(CARD))
    card["characteristics"][place] |= changes
    return dict(card)


@pytest.mark.parametrize(
    ("card", "complaint"),
    [
        ([], "should be a valid dictionary|Input should be an object"),
        (CARD | {"base_odds": 0}, "base_odds: Input should be greater than 0"),
        (CARD | {"odds": 1}, "odds: Extra inputs are not permitted"),
        (CARD | {"characteristics": []}, "characteristics: Tuple should have at least 1 item"),
        (altered(0, column="ago"), "reads 'ago', which is no column of its features; did you mean 'age'"),
        (altered(1, levels={"soha": 1}), "'segment' has no level 'soha'; did you mean 'soho'"),
        (altered(0, levels={"x": 1}), "either bins or levels"),
        (altered(1, levels={}, bins=[{"points": 1}]), "'segment' needs levels"),
        (altered(0, bins=[], levels={"x": 1}), "'age' needs bins"),
        (altered(0, bins=[{"below": 2, "points": 1}]), "every bin has a bound 'below' but the last one"),
        (
            altered(0, bins=[{"below": 2, "points": 1}, {"below": 2, "points": 1}, {"points": 1}]),
            "the bounds of bins rise",
        ),
    ],
)
def test_what_is_wrong_with_a_card_is_said(inputs: Inputs, card: object, complaint: str) -> None:
    with pytest.raises(InvalidModel, match=complaint):
        scorer(inputs, card)


def test_what_is_not_json_is_refused(inputs: Inputs) -> None:
    with pytest.raises(InvalidModel, match="the scorecard is not right: Invalid JSON"):
        ScorecardScorer(b"points", inputs)
