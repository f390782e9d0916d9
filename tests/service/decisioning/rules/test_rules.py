"""What rules mean, what of CEL they take, and what is said of the rest."""

from typing import Any

import numpy as np
import pytest

from feature_store.schema import FeatureSchema, Source
from service.decisioning.rules import Compiler, ExpressionError, ProgramBuilder

SCHEMA = FeatureSchema.from_definition(
    [
        {"name": "age", "type": "number", "source": "profile"},
        {"name": "visits", "type": "number", "source": "behaviour"},
        {"name": "member", "type": "flag", "source": "profile"},
        {"name": "since", "type": "timestamp", "source": "profile"},
        {"name": "tier", "type": "category", "source": "profile", "levels": ["basic", "silver", "gold"]},
        {"name": "products", "type": "set", "source": "profile", "members": ["fibre_100", "fibre_500", "tv"]},
        {"name": "page", "type": "category", "source": "context", "levels": ["home", "cart"]},
    ]
)
NOW = 1_800_000_000.0


def holds(source: str, conditions: dict[str, str] | None = None, **values: Any) -> bool | None:
    """Whether a rule holds for a customer; None where it is an error."""
    compiler, builder = Compiler(SCHEMA, conditions), ProgramBuilder()
    node = compiler.flag(source).node
    true, false = builder.true(node), builder.false(node)
    X = np.full((1, SCHEMA.width), np.nan)
    assert not SCHEMA.encode(values, X[0], tuple(Source))
    columns = builder.build().run(X, np.array([NOW]))
    return True if columns[true][0] else False if columns[false][0] else None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("customer.age >= 18", None),
        ("customer.age >= 18 && false", False),
        ("false && customer.age >= 18", False),
        ("customer.age >= 18 || true", True),
        ("true || customer.age >= 18", True),
        ("customer.age >= 18 && true", None),
        ("!(customer.age >= 18)", None),
        ("customer.age != 18", None),
        ("customer.member ? true : true", None),
        ("has(customer.age)", False),
        ("has(customer.age) && customer.age >= 18", False),
        ("!has(customer.age) || customer.age >= 18", True),
        ('customer.products.exists(p, p == "tv")', None),
        ("customer.products.exists(p, false)", None),
        ("customer.products.all(p, true)", None),
        ("size(customer.products) == 0", None),
        ('customer.tier == "gold" || customer.tier != "gold"', None),
    ],
)
def test_a_missing_value_is_an_error_unless_the_rest_decides(source: str, expected: bool | None) -> None:
    assert holds(source) is expected


def test_a_feature_with_a_default_is_always_there() -> None:
    feature = SCHEMA.feature("age")
    schema = FeatureSchema((type(feature)(feature.name, feature.type, feature.source, default=40),))
    builder = ProgramBuilder()
    place = builder.true(Compiler(schema).flag("has(customer.age)").node)
    assert builder.build().run(np.full((1, 1), np.nan), np.array([NOW]))[place].tolist() == [True]


@pytest.mark.parametrize("macro", ["exists", "all"])
def test_an_error_in_a_macro_does_not_matter_where_another_member_decides(macro: str) -> None:
    decides = {"exists": 'customer.age > 3 || p == "tv"', "all": 'customer.age > 3 && p != "tv"'}[macro]
    expected = macro == "exists"
    for products in (["fibre_100", "tv"], ["tv"]):
        assert holds(f"customer.products.{macro}(p, {decides})", products=products) is expected
    assert holds(f"customer.products.{macro}(p, {decides})", products=["fibre_100"]) is None


def test_nan_is_a_number_like_none_and_no_error() -> None:
    nan = "(customer.age / customer.visits)"
    for sign, expected in (("<", False), (">=", False), ("==", False), ("!=", True)):
        assert holds(f"{nan} {sign} 1.0", age=0, visits=0) is expected
        assert holds(f"!({nan} {sign} 1.0)", age=0, visits=0) is not expected
        assert holds(f"{nan} {sign} 1.0", age=0) is None
    assert holds("customer.age / customer.visits > 1e300", age=1, visits=0) is True


def test_durations_and_timestamps_are_reckoned_from_the_time_of_the_decision() -> None:
    assert holds('now - customer.since > duration("720h")', since="2026-01-01T00:00:00Z") is True
    later = 'customer.since < now + duration("2160h")'
    assert holds(later, since="2027-01-15T08:00:00Z") is True
    assert holds(later, since="2030-01-15T08:00:00Z") is False
    assert (
        holds('customer.since == timestamp("2026-01-01T01:00:00+01:00")', since="2026-01-01T00:00:00Z")
        is True
    )
    assert holds('customer.since - duration("87660h") < now', since="0005-01-01T00:00:00Z") is None


@pytest.mark.parametrize("wanted", ["", "!"])
def test_a_moment_beyond_the_calendar_is_an_error_however_it_was_reckoned(wanted: str) -> None:
    since = "0001-01-01T00:00:00Z"
    assert holds(f"{wanted}(now + (now - customer.since) > now)", since="2020-01-01T00:00:00Z") is not bool(
        wanted
    )
    assert (
        holds(f"{wanted}(now - (now - customer.since) - (now - customer.since) < now)", since=since) is None
    )


def test_whole_numbers_are_promoted_where_cel_would_not_mix_them() -> None:
    assert holds("customer.age + 1 > 18", age=17.5) is True
    assert holds("customer.age / 2 == 8.75", age=17.5) is True
    assert holds("size(customer.products) + 0.5 < customer.age", age=2, products=["tv"]) is True


def test_members_that_a_macro_or_a_list_names_are_the_columns_that_count() -> None:
    owned: dict[str, Any] = {"products": ["fibre_100", "tv"]}
    assert holds('customer.products.exists(p, p.startsWith("fibre"))', **owned) is True
    assert holds('customer.products.all(p, p.startsWith("fibre"))', **owned) is False
    assert holds('["fibre_500", "tv"].exists(p, p in customer.products)', **owned) is True
    assert holds('["fibre_500", "tv"].all(p, p in customer.products)', **owned) is False


def test_conditions_are_used_by_name_and_may_use_each_other() -> None:
    conditions = {"adult_member": "adult && customer.member", "adult": "customer.age >= 18"}
    assert holds("adult_member", conditions, age=18, member=True) is True
    assert holds("!adult_member", conditions, age=17) is True
    compiled = Compiler(SCHEMA, conditions).flag('adult_member && context.page == "cart"')
    assert compiled.features == ("page", "age", "member") or set(compiled.features) == {
        "page",
        "age",
        "member",
    }


def test_a_condition_that_goes_round_in_a_circle_is_told() -> None:
    compiler = Compiler(SCHEMA, {"a": "b", "b": "c || true", "c": "a", "d": "customer.member"})
    assert [str(error) for error in compiler.errors.values()] == [
        "1:1: condition 'a' goes round in a circle: a > b > c > a"
    ]
    assert set(compiler.conditions) >= {"d"}


def test_equal_parts_are_computed_once_whichever_rule_they_stand_in() -> None:
    compiler, builder = Compiler(SCHEMA, {"adult": "customer.age >= 18"}), ProgramBuilder()
    places = [builder.true(compiler.flag("adult").node)]
    before = len(builder.build())
    again = ("customer.age >= 18.0", "18 <= customer.age", "!!(customer.age >= 18)", "adult || adult")
    places += [builder.true(compiler.flag(source).node) for source in again]
    assert len(set(places)) == 1
    assert len(builder.build()) == before


@pytest.mark.parametrize("count", [20, 500])
def test_a_set_of_many_members_takes_as_few_operations_as_a_small_one(count: int) -> None:
    members = [f"m{number}" for number in range(count)]
    schema = FeatureSchema.from_definition(
        [{"name": "s", "type": "set", "source": "profile", "members": members}]
    )
    builder = ProgramBuilder()
    builder.true(Compiler(schema).flag('customer.s.exists(p, p.endsWith("7"))').node)
    assert len(builder.build()) == 5


def test_many_rules_of_the_same_shape_take_as_few_operations_as_one() -> None:
    few, many = ProgramBuilder(), ProgramBuilder()
    for builder, count in ((few, 1), (many, 50)):
        for number in range(count):
            source = f"has(customer.age) ? customer.age > {number}.0 && customer.visits < {number}.5 : true"
            builder.true(Compiler(SCHEMA).flag(source).node)
    assert len(many.build()) == len(few.build())


MISTAKES = [
    ("", "1:1: is empty"),
    ("customer.age >", "1:15: is not CEL: it ends too early"),
    ("customer.age = 3", "1:14: is not CEL: = is not expected here; write == to compare"),
    ("customer.age > 3 and customer.member", "1:18: is not CEL: and is not expected here; write && for and"),
    ("customer.age > 3 &&\n  || customer.member", "2:3: is not CEL: ||"),
    ("customer.agee > 3", "1:1: there is no feature 'customer.agee'; did you mean 'age'?"),
    ("customer.page == 'home'", "1:1: page is of the context: write context.page"),
    (
        "custmer.age > 3",
        "1:1: only customer.<feature> and context.<feature> have a dot; did you mean 'customer'?",
    ),
    ("customer > 3", "1:1: customer is used by its features, such as customer.age"),
    ("true && age > 3", "1:9: there is no condition 'age'; did you mean 'customer.age'?"),
    ("true && nov == now", "1:9: there is no condition 'nov'; did you mean 'now'?"),
    ("customer.age", "1:1: must be true or false, and this is a number"),
    (
        "customer.age > true",
        "1:1: > orders two numbers, timestamps or durations, not a number and true or false",
    ),
    ("customer.age == 'x'", "1:1: == compares values of one type, not a number with a text"),
    (
        "customer.tier == 'gould'",
        "1:18: 'gould' is not a level of tier (basic, silver, gold); did you mean 'gold'?",
    ),
    ("customer.tier in ['gold', 'x']", "1:18: 'x' is not a level of tier"),
    ("customer.tier > 'gold'", "> orders two numbers"),
    ("customer.tier == context.page", "a category is compared with a text"),
    (
        "'tvv' in customer.products",
        "1:1: 'tvv' is not a member of products (fibre_100, fibre_500, tv); did you mean 'tv'?",
    ),
    ("customer.products.exists(p, p == 'tvv')", "'tvv' is not a member of products"),
    ("customer.products == ['tv']", "a set is not compared by =="),
    ("customer.products.map(p, p)", ".map() is not supported for a set"),
    ("customer.products.exist(p, p == 'tv')", ".exist() is not supported for a set; did you mean 'exists'?"),
    ("customer.products.exists(p == 'tv')", "write .exists(x, ... x ...)"),
    ("customer.age in []", "the list is empty"),
    ("customer.age in [customer.visits]", "1:18: a list holds literals"),
    ("customer.age in ['a']", "'in' can't look for a number in this list"),
    ("customer.age in customer.tier", "'in' needs a set or a list [...] on its right, not a category"),
    ("customer.member == null", "null is no value of a feature: ask has(...)"),
    ("5 / 2 > 2.0", "1:1: CEL divides whole numbers without a remainder"),
    ("size(customer.products) / 2 > 1", "CEL divides whole numbers without a remainder"),
    ("customer.age % 2.0 == 0.0", "% is for integers in CEL"),
    ("9007199254740993 > customer.age", "has more than 53 bits"),
    ("4611686018427387904.0 > 4503599627370496 * 1024", "may have more than 53 bits"),
    ("customer.age > 5u", "5u is an unsigned number"),
    (
        "customer.since > '2026-01-01'",
        "> orders two numbers, timestamps or durations, not a timestamp and a text",
    ),
    ("customer.since > timestamp('2026-01-01')", "'2026-01-01' is not a time such as 2026-01-31T12:00:00Z"),
    ("now - customer.since > duration('30d')", "CEL has no days: write 720h for '30d'"),
    ("now - customer.since > duration('a while')", "'a while' is not a duration such as 720h"),
    ("now + now > now", "+ can't take a timestamp and a timestamp"),
    (
        "now - customer.since > 30",
        "> orders two numbers, timestamps or durations, not a duration and a number",
    ),
    ("has(customer)", "has() asks for a feature"),
    ("hass(customer.age)", "there is no function 'hass' here; did you mean 'has'?"),
    ("size(customer.age) > 1", "size() can't take a number"),
    ("customer.products[0] == 'tv'", "an index [...] is not supported"),
    ("{'a': 1} == 1", "maps are not supported"),
    ("customer.member ? 1 : 'a'", "? : chooses between two numbers"),
    ("customer.tier.matches('g.*')", ".matches() is not supported for a category"),
    ("customer.tier == 'a\\qb'", "\\q is not an escape of CEL"),
    ("(true && " * 400 + "true" + ")" * 400, "is nested too deeply"),
    ("true || " * 2000 + "true", "8000 are the most"),
]


@pytest.mark.parametrize(("source", "said"), MISTAKES)
def test_what_can_not_be_used_is_told_with_its_place_and_what_would_be_right(source: str, said: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        Compiler(SCHEMA).flag(source)
    assert said in str(caught.value)


def test_a_long_chain_of_alternatives_is_fine() -> None:
    assert holds(" || ".join(f"customer.age == {number}.0" for number in range(300)), age=299) is True


def test_comments_and_line_breaks_are_part_of_cel() -> None:
    assert holds("customer.age >= 18 // of age\n && customer.member", age=18, member=True) is True
