"""The arithmetic of priority."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.decisioning.arbitration import Arbitration, ContextWeight, arbitrate
from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action, Catalogue
from service.decisioning.pipeline import decide
from service.decisioning.snapshot import Snapshot

from .conftest import SCHEMA, MakeBatch, MakeSnapshot

A = Action("a", "sales", "mobile", propensity=0.5, value=100.0, levers=(20, 10, 25))
B = Action("b", "retention", "mobile", propensity=0.25, value=10.0)
INTENT, IN_CART = 1, 2
CANCEL = 1.0


def weights(*weights: ContextWeight, **switches: bool) -> Arbitration:
    return Arbitration(context_weights=weights, **switches)


def test_levers_are_additive_percents_and_then_one_multiplier() -> None:
    assert A.lever == 1.55


def test_priority_is_the_product_of_all_four_factors(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    retention = ContextWeight(((INTENT, CANCEL),), np.array([True, False]), 100)
    snapshot = make_snapshot([A, B], arbitration=weights(retention))
    X = np.full((1, SCHEMA.width), np.nan)
    X[0, INTENT] = CANCEL
    decisions = decide(snapshot, make_batch(snapshot, X=X))
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
    snapshot = make_snapshot([A], arbitration=weights(**{off: False}))
    assert decide(snapshot, make_batch(snapshot)).factors.priority[0, 0] == pytest.approx(expected)


def test_context_weights_add_up_and_need_all_their_conditions(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    one = np.array([True])
    snapshot = make_snapshot(
        [A],
        arbitration=weights(
            ContextWeight(((INTENT, CANCEL),), one, 100),
            ContextWeight(((IN_CART, 1.0),), one, 50),
            ContextWeight(((INTENT, CANCEL), (IN_CART, 1.0)), one, -25),
        ),
    )
    X = np.full((4, SCHEMA.width), np.nan)
    X[1, INTENT] = X[3, INTENT] = CANCEL
    X[2, IN_CART] = X[3, IN_CART] = 1.0
    C = decide(snapshot, make_batch(snapshot, 4, X=X)).factors.context_weight
    assert C[:, 0].tolist() == [1.0, 2.0, 1.5, 2.25]


def test_context_weights_that_are_switched_off_count_as_one_and_never_turn_a_priority_negative(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    less = ContextWeight(((INTENT, CANCEL),), np.array([True]), -300)
    X = np.full((1, SCHEMA.width), CANCEL)
    for switch, expected in ((True, 0.0), (False, 1.0)):
        snapshot = make_snapshot([A], arbitration=weights(less, context_weight=switch))
        decisions = decide(snapshot, make_batch(snapshot, X=X))
        assert decisions.factors.context_weight[0, 0] == expected


def ranking(snapshot: Snapshot, propensity: list[float]) -> list[int]:
    rows = np.arange(1)
    batch = Batch(np.full((1, SCHEMA.width), np.nan), np.zeros(1), rows, np.ones((1, 0), np.int32), rows == 0)
    factors = arbitrate(snapshot.arbitration, snapshot.catalogue, batch, rows, np.array([propensity]))
    return list(np.argsort(-factors.priority[0], kind="stable"))


@given(
    propensity=st.lists(st.floats(0.001, 1), min_size=3, max_size=3),
    values=st.lists(st.floats(0.1, 1e4), min_size=3, max_size=3),
    raised=st.floats(0, 500),
)
def test_raising_a_lever_never_lowers_its_action_and_never_reorders_the_others(
    propensity: list[float], values: list[float], raised: float
) -> None:
    def snapshot(lever: float) -> Snapshot:
        actions = tuple(
            Action(name, "i", "g", value=value, levers=(0, 0, lever if name == "a" else 0))
            for name, value in zip("abc", values, strict=True)
        )
        return Snapshot(Catalogue((), actions, (), "v"), SCHEMA, np.ones(3))

    before, after = ranking(snapshot(0), propensity), ranking(snapshot(raised), propensity)
    assert after.index(0) <= before.index(0)
    assert [i for i in after if i != 0] == [i for i in before if i != 0]
