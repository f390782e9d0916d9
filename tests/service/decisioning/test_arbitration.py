"""The arithmetic of priority."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.decisioning.arbitration import Arbitration, ContextWeight, arbitrate
from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action, Catalogue
from service.decisioning.pipeline import decide
from service.decisioning.snapshot import Snapshot

from .conftest import SCHEMA, Expressions, MakeBatch, MakeSnapshot

A = Action("a", "sales", "mobile", propensity=0.5, value=100.0, levers=(20, 10, 25))
B = Action("b", "retention", "mobile", propensity=0.25, value=10.0)
AGE, INTENT, IN_CART = range(3)
CANCEL = 1.0
CANCELS, HAS_CART = 'context.intent == "cancel"', "context.in_cart"
ONE = np.array([True])


def switched(*off: str) -> Arbitration:
    """An arbitration without some factors."""
    switches: dict[str, Any] = dict.fromkeys(off, False)
    return Arbitration(**switches)


def people(*rows: dict[int, float]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """X, missing but for what is given by column."""
    X = np.full((len(rows), SCHEMA.width), np.nan)
    for row, known in enumerate(rows):
        for column, value in known.items():
            X[row, column] = value
    return X


def test_levers_are_additive_percents_and_then_one_multiplier() -> None:
    assert A.lever == 1.55


def test_priority_is_the_product_of_all_four_factors(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    written = Expressions()
    retention = ContextWeight(written.true(CANCELS), np.array([True, False]), 100)
    snapshot = make_snapshot(
        [A, B], arbitration=Arbitration(context_weights=(retention,)), rules=written.book()
    )
    decisions = decide(snapshot, make_batch(snapshot, X=people({INTENT: CANCEL})))
    assert decisions.factors.priority[0].tolist() == pytest.approx([0.25 * 2 * 10 * 1, 0.5 * 1 * 100 * 1.55])


@pytest.mark.parametrize(
    ("off", "expected"),
    [
        ("propensity", 1 * 100 * 1.55),
        ("value", 0.5 * 1.55),
        ("lever", 0.5 * 100),
    ],
)
def test_a_factor_that_is_switched_off_counts_as_one(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch, off: str, expected: float
) -> None:
    snapshot = make_snapshot([A], arbitration=switched(off))
    assert decide(snapshot, make_batch(snapshot)).factors.priority[0, 0] == pytest.approx(expected)


def test_context_weights_add_up_and_need_their_conditions(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    written = Expressions()
    weights = (
        ContextWeight(written.true(CANCELS), ONE, 100),
        ContextWeight(written.true(HAS_CART), ONE, 50),
        ContextWeight(written.true(f"{CANCELS} && {HAS_CART}"), ONE, -25),
        ContextWeight(None, ONE, 10),
    )
    snapshot = make_snapshot([A], arbitration=Arbitration(context_weights=weights), rules=written.book())
    X = people({}, {INTENT: CANCEL}, {IN_CART: 1.0}, {INTENT: CANCEL, IN_CART: 1.0})
    C = decide(snapshot, make_batch(snapshot, 4, X=X)).factors.context_weight
    assert C[:, 0].tolist() == [1.1, 2.1, 1.6, 2.35]


def test_a_context_weight_can_be_computed_from_what_is_predicted_and_weighs_nothing_where_it_cannot(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    written = Expressions()
    weight = ContextWeight(None, ONE, written.formula("2.0 * customer.age"))
    snapshot = make_snapshot([A], arbitration=Arbitration(context_weights=(weight,)), rules=written.book())
    X = people({AGE: 30.0}, {AGE: 50.0}, {})
    C = decide(snapshot, make_batch(snapshot, 3, X=X)).factors.context_weight
    assert C[:, 0].tolist() == [1.6, 2.0, 1.0]


def test_a_context_weight_may_be_for_some_channels(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    weight = ContextWeight(None, ONE, 100, channels=np.array([False, True]))
    snapshot = make_snapshot(
        [A],
        {"a": {"web": ("hero",), "email": ("lead",)}},
        arbitration=Arbitration(context_weights=(weight,)),
    )
    for channel, expected in (("web", 1.0), ("email", 2.0)):
        decisions = decide(snapshot, make_batch(snapshot, channel=channel))
        assert decisions.factors.context_weight[0, 0] == expected


def test_context_weights_that_are_switched_off_count_as_one_and_never_turn_a_priority_negative(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    less = (ContextWeight(None, ONE, -300),)
    for switch, expected in ((True, 0.0), (False, 1.0)):
        arbitration = Arbitration(context_weights=less, context_weight=switch)
        snapshot = make_snapshot([A], arbitration=arbitration)
        assert decide(snapshot, make_batch(snapshot)).factors.context_weight[0, 0] == expected


def ranking(snapshot: Snapshot, propensity: list[float]) -> list[int]:
    """The actions, the highest priority first."""
    row = np.arange(1)
    batch = Batch(people({}), np.zeros(1), row, np.ones((1, 0), np.int32), row == 0)
    P = np.array([propensity])
    factors = arbitrate(
        snapshot.arbitration, snapshot.catalogue, batch, snapshot.rules.evaluate(batch), row, P
    )
    return list(np.argsort(-factors.priority[0], kind="stable"))


THREE = st.lists(st.floats(0.001, 1), min_size=3, max_size=3)
VALUES = st.lists(st.floats(0.1, 1e4), min_size=3, max_size=3)


def three(values: list[float], levers: list[float], *off: str) -> Snapshot:
    actions = tuple(
        Action(name, "i", "g", value=value, levers=(0, 0, lever))
        for name, value, lever in zip("abc", values, levers, strict=True)
    )
    return Snapshot(Catalogue((), actions, (), "v"), SCHEMA, np.ones(3), arbitration=switched(*off))


@given(propensity=THREE, values=VALUES, raised=st.floats(0, 500))
def test_raising_a_lever_never_lowers_its_action_and_never_reorders_the_others(
    propensity: list[float], values: list[float], raised: float
) -> None:
    before = ranking(three(values, [0, 0, 0]), propensity)
    after = ranking(three(values, [raised, 0, 0]), propensity)
    assert after.index(0) <= before.index(0)
    assert [i for i in after if i != 0] == [i for i in before if i != 0]


@given(propensity=THREE, values=VALUES, levers=st.lists(st.floats(-90, 500), min_size=3, max_size=3))
def test_a_factor_that_is_off_leaves_the_ranking_of_the_rest(
    propensity: list[float], values: list[float], levers: list[float]
) -> None:
    def order(scores: list[float]) -> list[int]:
        return list(np.argsort(-np.array(scores), kind="stable"))

    L = [1 + lever / 100 for lever in levers]
    off = [
        (("propensity",), [v * lever for v, lever in zip(values, L, strict=True)]),
        (("value",), [p * lever for p, lever in zip(propensity, L, strict=True)]),
        (("lever",), [p * v for p, v in zip(propensity, values, strict=True)]),
        (("propensity", "value"), L),
        (("value", "lever"), propensity),
    ]
    for switches, rest in off:
        assert ranking(three(values, levers, *switches), propensity) == order(rest)


def test_an_experiment_can_have_levers_of_its_own(make_snapshot: MakeSnapshot, make_batch: MakeBatch) -> None:
    snapshot = make_snapshot([A, B], arbitration=Arbitration(levers=np.array([3.0, 1.0])))
    decisions = decide(snapshot, make_batch(snapshot))
    assert decisions.factors.lever[0].tolist() == [3.0, 1.0]
    assert decisions.factors.priority[0].tolist() == pytest.approx([0.25 * 10 * 3, 0.5 * 100])
