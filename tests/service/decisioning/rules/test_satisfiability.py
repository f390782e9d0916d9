"""What can never hold, what always follows, and that both are only said where they are proven."""

from collections.abc import Hashable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_store.feature import Feature, FeatureType, Source
from feature_store.schema import FeatureSchema
from service.decisioning.rules import Compiler, ProgramBuilder, satisfiability
from service.decisioning.rules.linear import MOST, Form, Inequality, feasible
from service.decisioning.rules.satisfiability import Solver
from tests.service.decisioning.rules import test_reference as reference

SCHEMA = FeatureSchema(
    (
        Feature("age", FeatureType.NUMBER, Source.PROFILE),
        Feature("visits", FeatureType.NUMBER, Source.BEHAVIOUR, default=0),
        Feature("member", FeatureType.FLAG, Source.PROFILE),
        Feature("tier", FeatureType.CATEGORY, Source.PROFILE, levels=("none", "silver", "gold")),
        Feature("goods", FeatureType.SET, Source.PROFILE, members=("fibre", "mobile", "tv"), default=()),
        Feature("topics", FeatureType.SET, Source.BEHAVIOUR, members=("bill", "move")),
        Feature("since", FeatureType.TIMESTAMP, Source.PROFILE),
        Feature("until", FeatureType.TIMESTAMP, Source.PROFILE),
        Feature("page", FeatureType.CATEGORY, Source.CONTEXT, levels=("home", "cart")),
    )
)
COMPILER = Compiler(SCHEMA, {"adult": "customer.age >= 18.0"})
SOLVER = Solver(SCHEMA)


def flags(*sources: str) -> list:  # type: ignore[type-arg]
    return [COMPILER.flag(source).node for source in sources]


NEVER = [
    ("customer.age > 40.0 && customer.age < 30.0",),
    ("customer.age > 40.0", "customer.age <= 40.0"),
    ("adult", "!adult"),
    ("adult", "!has(customer.age)"),
    ("customer.age + 1.0 > 5.0", "!has(customer.age)"),
    ("customer.age + 2.0 > 42.0", "customer.age < 40.0"),
    ("customer.age * 2.0 > 80.0", "customer.age < 39.0"),
    ("-customer.age > 5.0", "customer.age > 0.0"),
    ("customer.age in [20.0, 30.0]", "customer.age > 30.0"),
    ("!has(customer.visits)",),
    ("customer.member", "!customer.member"),
    ("customer.member == customer.member && customer.member != customer.member",),
    ('customer.tier == "gold"', 'customer.tier == "silver"'),
    ('customer.tier == "gold"', '!(customer.tier in ["gold", "silver"])'),
    ('customer.tier.startsWith("x")',),
    ('"tv" in customer.goods', '!("tv" in customer.goods)'),
    ('"tv" in customer.goods', "size(customer.goods) == 0"),
    ("size(customer.goods) > 3",),
    ("size(customer.goods) > 1", "size(customer.goods) < 2"),
    ("size(customer.goods) == 1.5",),
    ('customer.goods.exists(g, g.startsWith("t"))', '!("tv" in customer.goods)'),
    ('customer.goods.all(g, g == "tv")', '"fibre" in customer.goods'),
    ('"bill" in customer.topics', '!has(customer.topics) || !("bill" in customer.topics)'),
    ("!has(customer.topics)", 'customer.topics.exists(t, t == "move")'),
    ('now - customer.since > duration("720h")', 'customer.since > now - duration("24h")'),
    ('now - customer.since >= duration("720h")', 'customer.since >= now - duration("24h")'),
    ("customer.since < customer.until", "customer.until <= customer.since"),
    ("customer.since < customer.until", "customer.until < now", 'customer.since > now + duration("1h")'),
    ('customer.since > timestamp("2027-01-01T00:00:00Z")', 'customer.since < timestamp("2026-01-01T00:00:00Z")'),  # noqa: E501
    ("(customer.member ? customer.age : customer.visits) > 9.0", "customer.age < 5.0", "customer.visits < 5.0"),  # noqa: E501
    ("customer.member ? customer.age > 9.0 : customer.age > 8.0", "customer.age < 5.0"),
    ("customer.age * customer.visits > 5.0", "customer.age * customer.visits < 4.0"),
    ("customer.age != customer.age",),
    ("customer.age / 0.0 > 1.0", "customer.age / 0.0 < 1.0"),
]  # fmt: skip

POSSIBLE = [
    ("customer.age > 30.0", "customer.age < 40.0"),
    ("customer.age + 0.1 > 0.3", "customer.age <= 0.2"),  # 0.2 + 0.1 is 0.30000000000000004
    ("customer.age + 0.1 >= 0.3", "customer.age < 0.2"),
    ("customer.age * 1e307 == customer.age * 1e308", "customer.age > 100.0"),  # both infinite
    ("customer.age / 0.0 != customer.age / 0.0",),
    ("!(customer.age / 0.0 < 1.0)", "!(customer.age / 0.0 >= 1.0)"),
    ("!has(customer.age)", "customer.visits >= 0.0"),
    ("size(customer.goods) == 3", '"tv" in customer.goods'),
    ('customer.goods.all(g, g == "tv")',),
    ('now - customer.since > duration("720h")', "customer.until > now"),
    ("customer.age * customer.visits > 5.0", "customer.visits * customer.age < 4.0"),
]


@pytest.mark.parametrize("sources", NEVER, ids=" & ".join)
def test_what_contradicts_itself_is_never_possible(sources: tuple[str, ...]) -> None:
    assert not SOLVER.possible(flags(*sources))


@pytest.mark.parametrize("sources", POSSIBLE, ids=" & ".join)
def test_what_some_customer_may_meet_is_possible(sources: tuple[str, ...]) -> None:
    assert SOLVER.possible(flags(*sources))


FOLLOWS = [
    (["customer.age >= 21.0"], "customer.age >= 18.0"),
    (["customer.age >= 21.0"], "has(customer.age)"),
    (['customer.tier == "gold"'], 'customer.tier != "silver"'),
    (["!customer.member || adult", "customer.member"], "adult"),
    ([], "has(customer.visits)"),
    ([], 'customer.goods.exists(g, g == "tv") || !("tv" in customer.goods)'),
    (['"tv" in customer.goods'], "size(customer.goods) > 0"),
    (['customer.until < now + duration("24h")'], 'customer.until < now + duration("48h")'),
    (["customer.since < customer.until", "customer.until < now"], "customer.since < now"),
]
FOLLOWS_NOT = [
    (["customer.age >= 18.0"], "customer.age >= 21.0"),
    ([], "adult || !adult"),  # an error without an age
    (["!customer.member"], "!(customer.member && adult && false) && has(customer.age)"),
    (['customer.topics.all(t, t == "bill")'], 'customer.tier != "gold"'),
    (["customer.age / 0.0 != 1.0"], "customer.age / 0.0 < 1.0 || customer.age / 0.0 > 1.0"),
]


@pytest.mark.parametrize(("given_", "then"), FOLLOWS, ids=str)
def test_what_follows_is_proven(given_: list[str], then: str) -> None:
    assert SOLVER.implies(flags(*given_), *flags(then))


@pytest.mark.parametrize(("given_", "then"), FOLLOWS_NOT, ids=str)
def test_what_may_fail_or_be_an_error_does_not_follow(given_: list[str], then: str) -> None:
    assert not SOLVER.implies(flags(*given_), *flags(then))


def test_a_conflict_names_only_what_takes_part_in_it() -> None:
    sources = ("customer.visits > 1.0", "customer.age < 30.0", "customer.member", "customer.age > 60.0")
    assert SOLVER.conflict(flags(*sources)) == (1, 3)
    assert SOLVER.conflict(flags(*sources[:3])) == ()


def test_too_many_cases_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [f"customer.age == {i}.0 || customer.visits == {i}.0" for i in (1, 2, 3)]
    assert not SOLVER.possible(flags(*pairs))
    monkeypatch.setattr(satisfiability, "MOST_CASES", 2)
    assert SOLVER.possible(flags(*pairs))


@pytest.mark.parametrize("seed", range(12))
def test_no_random_customer_has_what_was_called_impossible(seed: int) -> None:
    """Random conditions that share their features, over the schema and customers of the reference test."""
    generator = reference.Generator(seed, nan=seed % 3 == 0)
    customers = [generator.customer() for _ in range(60)]
    X = np.stack([reference.row(values) for values in customers])
    now = np.full(len(X), reference.NOW.timestamp())
    compiler, builder, solver = Compiler(reference.SCHEMA), ProgramBuilder(), Solver(reference.SCHEMA)
    nodes = [compiler.flag(generator.flag(generator.pick(1, 1, 2, 3))).node for _ in range(120)]
    places = [builder.true(node) for node in nodes]
    columns = builder.build().run(X, now)
    true = [columns[place] for place in places]
    impossible = implied = 0
    for i, one in enumerate(nodes):
        for j in (generator.random.randrange(len(nodes)) for _ in range(6)):
            if not solver.possible([one, nodes[j]]):
                impossible += 1
                assert not (true[i] & true[j]).any(), (one, nodes[j])
            if solver.implies([one], nodes[j]):
                implied += 1
                assert not (true[i] & ~true[j]).any(), (one, nodes[j])
    assert impossible > 10
    assert implied > 10


small = st.integers(-3, 3)


@given(st.lists(st.tuples(small, small, small, small, st.booleans()), max_size=6), small, small, small)
def test_inequalities_that_some_numbers_meet_are_feasible(
    rows: list[tuple[int, int, int, int, bool]], x: int, y: int, z: int
) -> None:
    met = []
    for a, b, c, constant, strict in rows:
        value = a * x + b * y + c * z + constant
        if value > 0 or (value == 0 and not strict):
            terms: dict[Hashable, Fraction] = {
                name: Fraction(k) for name, k in (("x", a), ("y", b), ("z", c)) if k
            }
            met.append(Inequality(Form(terms, Fraction(constant)), strict))
    assert feasible(met)


def test_inequalities_without_a_solution_are_not_feasible() -> None:
    x, y = Fraction(1), Fraction(-1)
    rows = [Form({"x": x, "y": y}), Form({"y": x, "z": y}), Form({"z": x, "x": y})]
    assert feasible([Inequality(row, strict=False) for row in rows])
    assert not feasible([Inequality(row, strict=True) for row in rows])


def test_more_inequalities_than_can_be_looked_at_prove_nothing() -> None:
    never = (
        Inequality(Form({"x": Fraction(1)}), strict=True),
        Inequality(Form({"x": Fraction(-1)}), strict=True),
    )
    others = [Inequality(Form({f"y{i}": Fraction(1)}), strict=True) for i in range(MOST)]
    assert feasible([*never, *others])
