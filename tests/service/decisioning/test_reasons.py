"""What speaks for an action: exact contributions of a real model, and the words for them."""

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

from feature_store.schema import FeatureSchema
from models.calibration import Platt
from models.layout import Layout
from models.scorers import LightGBMScorer
from service.decisioning.catalogue import Action
from service.decisioning.explain import Candidate, explain
from service.decisioning.pipeline import decide
from service.decisioning.reasons import Contribution, contributions, in_words, strongest
from service.decisioning.scoring import BoundModel
from service.decisioning.snapshot import Snapshot
from service.decisioning.wording import Form, Wording

from .conftest import NOW, SCHEMA, MakeBatch, MakeSnapshot

A = Action("a", "sales", "mobile", propensity=0.1, value=100.0, model="m")
B = Action("b", "sales", "mobile", propensity=0.2, value=1.0)
AGE, INTENT, IN_CART = range(3)


@pytest.fixture(scope="module")
def model() -> BoundModel:
    """A model of the action `a` that reads age and intent: it likes the old, and who cancels."""
    rng = np.random.default_rng(0)
    rows = np.stack([rng.uniform(18, 90, 4_000), rng.integers(0, 2, 4_000), *np.zeros((2, 4_000))], axis=1)
    labels = (rows[:, 0] / 40.0 + rows[:, 1] + rng.normal(size=4_000) > 2.0).astype(float)
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": 8}
    booster = lightgbm.train(parameters, lightgbm.Dataset(rows, labels, params=parameters), 20)
    return BoundModel(
        name="m",
        version="1",
        scorer=LightGBMScorer(booster.model_to_string().encode()),
        calibration=Platt(),
        layout=Layout.of(SCHEMA, ("intent", "age")[::-1]),
        action_codes=np.array([0.0, np.nan]),
        channel_codes=np.array([0.0, np.nan]),
        actions=np.array([True, False]),
    )


def customers(*rows: tuple[float, float, float]) -> NDArray[np.float64]:
    return np.array(rows, np.float64)


def added(
    snapshot: Snapshot, make_batch: MakeBatch, X: NDArray[np.float64], **columns: object
) -> NDArray[np.float64]:
    batch = make_batch(snapshot, len(X), X=X, **columns)
    return contributions(snapshot, batch, np.arange(len(X)), np.zeros(len(X), np.intp))


def test_contributions_tell_two_customers_apart_by_their_log_odds(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch, model: BoundModel
) -> None:
    snapshot = make_snapshot([A, B], models=(model,))
    X = customers((80, 1, 0), (20, 0, 0), (np.nan, np.nan, np.nan))
    P = decide(snapshot, make_batch(snapshot, 3, X=X)).factors.propensity[:, 0]
    log_odds = np.log(P / (1 - P))
    sums = np.nansum(added(snapshot, make_batch, X), axis=1)
    np.testing.assert_allclose(log_odds - log_odds[0], sums - sums[0], atol=1e-9)
    assert sums[0] > 0 > sums[1]


def test_what_the_model_does_not_read_has_no_contribution(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch, model: BoundModel
) -> None:
    snapshot = make_snapshot([A, B], models=(model,))
    found = added(snapshot, make_batch, customers((80, 1, 1)))
    assert np.isnan(found[0]).tolist() == [False, False, True]


def test_where_no_model_speaks_nothing_contributes(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch, model: BoundModel
) -> None:
    snapshot = make_snapshot([A, B], models=(model,))
    X = customers((80, 1, 1))
    assert np.isnan(added(snapshot, make_batch, X, scored=np.zeros(1, np.bool_))).all()
    of_b = contributions(snapshot, make_batch(snapshot, X=X), np.zeros(1, np.intp), np.ones(1, np.intp))
    assert np.isnan(of_b).all()


def test_contributions_of_a_pair_do_not_depend_on_the_others(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch, model: BoundModel
) -> None:
    snapshot = make_snapshot([A, B], models=(model,))
    X = customers((80, 1, 0), (20, 0, 0), (50, 1, 1))
    together = added(snapshot, make_batch, X)
    for row in range(3):
        np.testing.assert_array_equal(together[row : row + 1], added(snapshot, make_batch, X[row : row + 1]))


def explained(snapshot: Snapshot, make_batch: MakeBatch, X: NDArray[np.float64]) -> dict[str, Candidate]:
    batch = make_batch(snapshot, X=X, limits={"hero": 1})
    found = explain(snapshot, decide(snapshot, batch), 0, everything=True)
    return {candidate.action: candidate for candidate in found}


def test_the_offered_action_says_why_in_the_words_of_its_treatment_and_the_others_say_nothing(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch, model: BoundModel
) -> None:
    of_a = (
        Wording(AGE, "you are {value}", Form.NUMBER),
        Wording(INTENT, "you want to leave", least=1.0, most=1.0),
        Wording(INTENT, "you look around", least=0.0, most=0.0),
        Wording(IN_CART, "it is in your cart", least=1.0, most=1.0),
    )
    snapshot = make_snapshot([A, B], models=(model,), wordings=(of_a, ()))
    found = explained(snapshot, make_batch, customers((80, 1, 1)))
    assert set(found["a"].reasons or ()) == {"you are 80", "you want to leave"}
    spoke = found["a"].contributions
    assert spoke is not None
    assert {(entry.feature, entry.value) for entry in spoke} == {("age", 80.0), ("intent", "cancel")}
    assert [abs(entry.added) for entry in spoke] == sorted(
        (abs(entry.added) for entry in spoke), reverse=True
    )
    assert (found["b"].reasons, found["b"].contributions) == (None, None)
    young = explained(snapshot, make_batch, customers((19, 1, 1)))
    assert young["a"].reasons == ["you want to leave"], "what speaks against it is no reason"


def test_an_offered_action_without_a_model_or_without_words_has_no_reasons(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch, model: BoundModel
) -> None:
    snapshot = make_snapshot([A, B], models=(model,))
    assert explained(snapshot, make_batch, customers((80, 1, 1)))["a"].reasons == []
    unscored = make_snapshot([A, B], wordings=((Wording(AGE, "you are {value}"),), ()))
    found = explained(unscored, make_batch, customers((80, 1, 1)))["a"]
    assert (found.reasons, found.contributions) == ([], None)


def test_the_strongest_reasons_come_first_and_there_are_three_at_most() -> None:
    wordings = [Wording(column, f"reason {column}") for column in range(5)]
    assert in_words(wordings, np.zeros(5), np.array([0.1, 0.5, np.nan, 0.3, 0.2])) == [
        "reason 1",
        "reason 3",
        "reason 4",
    ]


def test_a_text_that_fits_twice_is_said_once() -> None:
    wordings = [Wording(0, "you like books"), Wording(1, "you like books"), Wording(2, "you are here")]
    assert in_words(wordings, np.ones(3), np.array([3.0, 2.0, 1.0])) == ["you like books", "you are here"]


def test_what_is_missing_or_out_of_its_bounds_is_not_said() -> None:
    often = Wording(0, "{value} visits", Form.NUMBER, least=2.0, most=9.0)
    assert [often.said(value) for value in (1.9, 2.0, 9.0, 9.1, np.nan)] == [
        None,
        "2 visits",
        "9 visits",
        None,
        None,
    ]
    assert Wording(0, "known").said(np.nan) is None


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (-0.5, "-0.5"), (41.994, "41.99"), (1200.0, "1200"), (100.0, "100")]
)
def test_a_number_is_written_with_two_decimals_at_most(value: float, text: str) -> None:
    assert Wording(0, "{value}", Form.NUMBER).said(value) == text


def test_a_timestamp_is_written_as_its_date() -> None:
    assert Wording(0, "since {value}", Form.DATE).said(NOW) == "since 2027-01-15"


def test_the_strongest_features_are_named_with_their_values_for_and_against() -> None:
    schema = FeatureSchema.from_definition(
        [
            {"name": "age", "type": "number", "source": "profile"},
            {"name": "likes", "type": "set", "source": "profile", "members": ["tv", "films"]},
            {"name": "returning", "type": "flag", "source": "context"},
            {"name": "in_cart", "type": "flag", "source": "context"},
        ]
    )
    values = np.array([40.0, 1.0, 0.0, np.nan, 1.0])
    added = np.array([0.1, -0.7, 0.05, 0.3, np.nan])
    assert strongest(schema, values, added, 9) == [
        Contribution("likes=tv", True, -0.7),
        Contribution("returning", None, 0.3),
        Contribution("age", 40.0, 0.1),
        Contribution("likes=films", False, 0.05),
    ]
    assert [entry.feature for entry in strongest(schema, values, added, 2)] == ["likes=tv", "returning"]
    assert strongest(schema, values, np.array([0.0, np.nan, 0.0, 0.0, 0.0]), 9) == []
