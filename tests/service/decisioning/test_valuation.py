"""What a response is worth, to whom, and how that is scaled."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.decisioning.arbitration import Arbitration
from service.decisioning.catalogue import Action
from service.decisioning.explain import explain
from service.decisioning.pipeline import decide
from service.decisioning.valuation import Scaling, Valuation

from .conftest import SCHEMA, Expressions, MakeBatch, MakeSnapshot

A = Action("a", "sales", "mobile", propensity=0.5, value=40.0)
B = Action("b", "sales", "mobile", propensity=0.5, value=100.0)
AGES = np.full((4, SCHEMA.width), np.nan)
AGES[:3, 0] = 20.0, 60.0, -500.0
Method = Literal["none", "logarithm", "square_root"]
METHODS: list[Method] = ["none", "logarithm", "square_root"]


def test_a_value_is_computed_for_each_customer_and_a_declared_number_stands_in_where_it_can_not(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    written = Expressions()
    valuation = Valuation(business=((0, written.formula("0.5 * customer.age + 20.0", otherwise=40.0)),))
    snapshot = make_snapshot([A, B], arbitration=Arbitration(valuation=valuation), rules=written.book())
    factors = decide(snapshot, make_batch(snapshot, 4, X=AGES)).factors
    assert factors.value.tolist() == [[30.0, 100.0], [50.0, 100.0], [0.0, 100.0], [40.0, 100.0]]
    assert factors.business_value[2, 0] == -230.0
    assert factors.assumed is not None
    assert factors.assumed.tolist() == [[False, False], [False, False], [False, False], [True, False]]


def test_a_number_that_is_not_finite_counts_as_one_that_is_not_known(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    written = Expressions()
    valuation = Valuation(business=((0, written.formula("1.0 / (customer.age - 20.0)", otherwise=7.0)),))
    snapshot = make_snapshot([A], arbitration=Arbitration(valuation=valuation), rules=written.book())
    factors = decide(snapshot, make_batch(snapshot, 2, X=AGES[:2])).factors
    assert factors.value.tolist() == [[7.0], [0.025]]
    assert factors.assumed is not None
    assert factors.assumed.tolist() == [[True], [False]]


def test_a_benefit_for_the_customer_counts_by_its_declared_weight_and_a_loss_counts_against(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    helps, hurts = replace(A, customer_value=200.0), replace(B, customer_value=-600.0)
    for weight, expected in ((0.0, [40.0, 100.0]), (0.1, [60.0, 40.0]), (0.5, [140.0, 0.0])):
        arbitration = Arbitration(valuation=Valuation(benefit_weight=weight))
        snapshot = make_snapshot([helps, hurts], arbitration=arbitration)
        factors = decide(snapshot, make_batch(snapshot)).factors
        assert factors.value[0].tolist() == pytest.approx(expected)
        assert factors.customer_value[0].tolist() == [200.0, -600.0]
        assert factors.business_value[0].tolist() == [40.0, 100.0]


def test_the_benefit_for_the_customer_can_be_computed_too(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    written = Expressions()
    customer = ((0, written.formula("2.0 * customer.age", otherwise=1.0)),)
    valuation = Valuation(benefit_weight=0.5, customer=customer)
    snapshot = make_snapshot([A], arbitration=Arbitration(valuation=valuation), rules=written.book())
    factors = decide(snapshot, make_batch(snapshot, 4, X=AGES)).factors
    assert factors.value[:, 0].tolist() == [60.0, 100.0, 0.0, 40.5]
    assert factors.assumed is not None
    assert factors.assumed[:, 0].tolist() == [False, False, False, True]


@given(
    method=st.sampled_from(METHODS),
    reference=st.floats(0.01, 1e6),
    values=st.lists(st.floats(0.01, 1e9), min_size=2, max_size=2),
)
def test_scaling_keeps_the_order_and_the_zero_and_can_be_undone(
    method: Method, reference: float, values: list[float]
) -> None:
    scaling = Scaling(method, reference)
    low, high = sorted(values)
    scaled = scaling.scaled(np.array([0.0, low, high]))
    assert scaled[0] == 0.0
    assert 0.0 < scaled[1] <= scaled[2]
    if high > low * 1.001:
        assert scaled[1] < scaled[2]
    assert scaling.unscaled(scaled).tolist() == pytest.approx([0.0, low, high], rel=1e-6)


@pytest.mark.parametrize(
    ("method", "scaled"),
    [
        ("none", [1.0, 100.0, 10_000.0]),
        ("logarithm", [0.995, 69.3, 461.5]),
        ("square_root", [10.0, 100.0, 1000.0]),
    ],
)
def test_scaling_draws_large_values_together(method: Method, scaled: list[float]) -> None:
    found = Scaling(method, 100.0).scaled(np.array([1.0, 100.0, 10_000.0]))
    assert found.tolist() == pytest.approx(scaled, rel=1e-3)


def test_a_mortgage_does_not_swallow_the_slate_and_the_explanation_shows_what_it_is_worth_unscaled(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    card = Action("card", "sales", "cards", propensity=0.2, value=100.0)
    mortgage = Action("mortgage", "sales", "loans", propensity=0.01, value=10_000.0, customer_value=50.0)
    cases: list[tuple[Method, str]] = [("none", "mortgage"), ("square_root", "card")]
    for method, first in cases:
        scaling = Scaling(method, 100.0)
        snapshot = make_snapshot(
            [card, mortgage], arbitration=Arbitration(valuation=Valuation(scaling=scaling))
        )
        decisions = decide(snapshot, make_batch(snapshot))
        assert snapshot.catalogue.actions[decisions.slate.action[0]].name == first
    by_name = {entry.action: entry for entry in explain(snapshot, decisions, 0, everything=True)}
    assert by_name["mortgage"].value == 1000.0
    assert by_name["mortgage"].worth == {
        "business": 10_000.0,
        "customer": 50.0,
        "raw": 10_000.0,
        "assumed": False,
    }
    assert by_name["card"].worth is None


@pytest.mark.parametrize("method", METHODS)
def test_a_value_is_the_same_to_the_last_bit_alone_and_in_any_batch(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch, method: Method
) -> None:
    written = Expressions()
    valuation = Valuation(
        benefit_weight=0.3,
        scaling=Scaling(method, 77.0),
        business=((0, written.formula("customer.age * 1.1 + 3.7")),),
        customer=((1, written.formula("customer.age / 7.0")),),
    )
    actions = [Action(f"n{i}", "i", "g", propensity=0.1 + i / 100, value=3.3 * i) for i in range(19)]
    snapshot = make_snapshot(actions, arbitration=Arbitration(valuation=valuation), rules=written.book())
    X = np.full((67, SCHEMA.width), np.nan)
    X[:, 0] = np.linspace(1, 99, 67)
    together = decide(snapshot, make_batch(snapshot, 67, X=X)).factors.priority
    for row in range(0, 67, 11):
        alone = decide(snapshot, make_batch(snapshot, X=X[[row]])).factors.priority
        assert alone[0].tolist() == together[row].tolist()
