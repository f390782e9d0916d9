"""Offers in the core: the first that a customer may have, and before all others the one that was promised."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action
from service.decisioning.content import placeholders, rendered
from service.decisioning.offers import Offer, OfferBook, Promise, Promises
from service.decisioning.pipeline import Decisions, decide
from service.decisioning.rulebook import RuleBook
from service.decisioning.rules import Compiler, ProgramBuilder
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import Stage

from .conftest import NOW, SCHEMA, MakeBatch, MakeSnapshot, book

FIBRE, MOBILE = 0, 1
DAY = 86_400.0
ACTIONS = [
    Action("fibre", "sales", "internet", propensity=0.5, value=2.0),
    Action("mobile", "sales", "mobile", propensity=0.5),
]


def terms(**values: Any) -> bytes:
    return msgspec.json.encode(values)


LOYAL, STANDARD = terms(price=39.99), terms(price=49.99)
OLD, GROWN = "customer.age > 60.0", "customer.age > 30.0"


@pytest.fixture
def snapshot(make_snapshot: MakeSnapshot) -> Snapshot:
    """Fibre has offers for customers over 60 and over 30; mobile has none and is for everybody."""
    return with_offers(make_snapshot, ("loyal", OLD, LOYAL), ("young", GROWN, STANDARD))


def with_offers(
    make_snapshot: MakeSnapshot, *declared: tuple[str, str | None, bytes], **parts: Any
) -> Snapshot:
    compiler, builder = Compiler(SCHEMA), ProgramBuilder()
    offers = tuple(
        Offer(FIBRE, name, said, 14 * DAY, None if when is None else builder.true(compiler.flag(when).node))
        for name, when, said in declared
    )
    return make_snapshot(ACTIONS, offers=OfferBook(offers), rules=RuleBook(builder.build()), **parts)


def ages(*values: float) -> Any:
    X = np.full((len(values), SCHEMA.width), np.nan)
    X[:, SCHEMA.slice("age").start] = values
    return X


def promised(rows: list[int], promise: Promise, action: int = FIBRE, sayable: bool = True) -> Promises:
    k = len(rows)
    return Promises(
        rows=np.array(rows, np.intp),
        actions=np.full(k, action, np.intp),
        names=np.array([promise.name.encode()] * k),
        terms=np.array([promise.terms] * k),
        valid_until=np.full(k, promise.valid_until),
        sayable=np.full(k, sayable),
    )


def made(decisions: Decisions, row: int, action: int = FIBRE) -> Promise | None:
    assert decisions.offered is not None
    return decisions.offered.of(row, action)


def removal(snapshot: Snapshot, decisions: Decisions, row: int, action: int = FIBRE) -> str | None:
    found = snapshot.removals[decisions.removed_by[row, action]]
    return found.rule if found else None


def test_the_first_offer_whose_condition_holds_is_made_until_its_time_is_over(
    snapshot: Snapshot, make_batch: MakeBatch
) -> None:
    decisions = decide(snapshot, make_batch(snapshot, 2, X=ages(70, 40)))
    assert made(decisions, 0) == Promise("loyal", LOYAL, NOW + 14 * DAY)
    assert made(decisions, 1) == Promise("young", STANDARD, NOW + 14 * DAY)
    assert made(decisions, 0, MOBILE) is None


def test_an_action_of_whose_offers_none_holds_is_not_eligible(
    snapshot: Snapshot, make_batch: MakeBatch
) -> None:
    decisions = decide(snapshot, make_batch(snapshot, 2, X=ages(20, np.nan)))
    for row in (0, 1):
        found = snapshot.removals[decisions.removed_by[row, FIBRE]]
        assert found is not None
        assert (found.stage, found.rule) == (Stage.ELIGIBILITY, "no_offer")
        assert decisions.removed_by[row, MOBILE] == 0


def test_the_want_of_an_offer_speaks_after_the_eligibility_and_before_the_applicability(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    rules = book(
        (Stage.ELIGIBILITY, "customer.age >= 18.0", {"actions": (FIBRE,)}),
        (Stage.APPLICABILITY, "customer.age > 50.0", {"actions": (FIBRE,)}),
    )
    over_50 = rules.rules[1].place
    offers = OfferBook((Offer(FIBRE, "loyal", LOYAL, 14 * DAY, over_50),))
    snapshot = make_snapshot(ACTIONS, offers=offers, rules=rules)
    decisions = decide(snapshot, make_batch(snapshot, 3, X=ages(17, 40, 70)))
    reasons = [removal(snapshot, decisions, row) for row in range(3)]
    assert reasons == ["customer.age >= 18.0", "no_offer", None]


def test_an_offer_without_a_condition_is_for_everybody(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot = with_offers(make_snapshot, ("loyal", OLD, LOYAL), ("standard", None, STANDARD))
    decisions = decide(snapshot, make_batch(snapshot, 2, X=ages(70, np.nan)))
    assert [made(decisions, row).name for row in (0, 1)] == ["loyal", "standard"]  # type: ignore[union-attr]


def test_a_promise_binds_before_every_condition_and_is_not_new(
    snapshot: Snapshot, make_batch: MakeBatch
) -> None:
    kept = Promise("summer", terms(price=29.99), NOW + 1.0)
    batch = make_batch(snapshot, 3, X=ages(20, 70, 40), promises=promised([0, 1], kept))
    decisions = decide(snapshot, batch)
    assert [made(decisions, row) for row in (0, 1)] == [kept, kept]
    assert made(decisions, 2) == Promise("young", STANDARD, NOW + 14 * DAY)
    assert decisions.offered is not None
    fibre = np.full(3, FIBRE)
    assert decisions.offered.new(np.arange(3), fibre).tolist() == [False, False, True]


def test_a_promise_of_an_action_that_has_no_offers_any_more_binds_too(
    snapshot: Snapshot, make_batch: MakeBatch
) -> None:
    kept = Promise("free_sim", terms(price=0), NOW + DAY)
    batch = make_batch(snapshot, 1, X=ages(20), promises=promised([0], kept, MOBILE))
    assert made(decide(snapshot, batch), 0, MOBILE) == kept


def test_a_promise_that_the_treatments_cannot_say_any_more_is_not_replaced_by_another(
    snapshot: Snapshot, make_batch: MakeBatch
) -> None:
    kept = Promise("old", terms(cost=1), NOW + DAY)
    batch = make_batch(snapshot, 2, X=ages(70, 70), promises=promised([0], kept, sayable=False))
    decisions = decide(snapshot, batch)
    assert [removal(snapshot, decisions, row) for row in (0, 1)] == ["kept_offer_unsayable", None]


def test_without_offers_in_the_catalogue_there_are_none_in_the_decision(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot = make_snapshot(ACTIONS)
    assert snapshot.offers.removals == ()
    assert decide(snapshot, make_batch(snapshot)).offered is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # it only makes functions
@given(
    st.lists(
        st.tuples(
            st.one_of(st.just(np.nan), st.integers(0, 90).map(float)), st.sampled_from([None, "kept", "mute"])
        ),
        min_size=1,
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_the_offer_of_a_customer_depends_on_nobody_else_in_the_batch(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch, people: list[tuple[float, str | None]], shuffler: Any
) -> None:
    snapshot = with_offers(make_snapshot, ("a", OLD, LOYAL), ("b", GROWN, STANDARD))
    kept = Promise("kept", terms(price=1), NOW + DAY)

    def answers(asked: list[tuple[float, str | None]]) -> list[Any]:
        bound = [row for row, (_, promise) in enumerate(asked) if promise]
        promises = promised(bound, kept) if bound else None
        if promises is not None:
            promises.sayable[:] = [asked[row][1] == "kept" for row in bound]
        batch: Batch = make_batch(snapshot, len(asked), X=ages(*(age for age, _ in asked)), promises=promises)
        decisions = decide(snapshot, batch)
        return [(made(decisions, row), decisions.removed_by[row].tolist()) for row in range(len(asked))]

    together = answers(people)
    assert [answers([one])[0] for one in people] == together
    order = list(range(len(people)))
    shuffler.shuffle(order)
    assert answers([people[row] for row in order]) == [together[row] for row in order]
    for (age, promise), (offer, removed) in zip(people, together, strict=True):
        expected = "kept" if promise else "a" if age > 60 else "b" if age > 30 else None
        assert (offer.name if offer else None) == expected
        assert (removed[FIBRE] == 0) == (expected is not None and promise != "mute")


def test_promises_are_taken_with_their_requests() -> None:
    one, two = Promise("one", terms(price=1), 1.0), Promise("two", terms(price=22222), 2.0)
    parts = promised([0, 2], one), promised([1], two, MOBILE)
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in Promises.__dataclass_fields__
    }
    some = Promises(**columns).take(np.array([1, 2]))
    found = {int(row): (int(some.actions[k]), some.at(k)) for k, row in enumerate(some.rows)}
    assert found == {0: (MOBILE, two), 1: (FIBRE, one)}


def test_content_names_terms_in_single_braces_at_any_depth() -> None:
    content = {
        "a": "Now {price} for {price}",
        "b": [{"c": "{months}"}],
        "d": 5,
        "e": "{{first_name}} {Not} { no }",
    }
    assert list(placeholders(content)) == [(("a",), "price"), (("a",), "price"), (("b", 0, "c"), "months")]


def test_terms_are_written_into_the_content_as_one_would_write_them() -> None:
    content = msgspec.json.encode(
        {
            "headline": "{name}: {price} EUR, {discount} % off",
            "price": "{price}",
            "deep": [{"text": "{whole} months, {flag}", "free": "{flag}"}, None, 7],
            "channel": "Dear {{first_name}}, “ä”",
        }
    )
    said = terms(name="Fibre “500”", price=39.99, discount=20, whole=12.0, flag=True)
    assert msgspec.json.decode(rendered(content, said)) == {
        "headline": "Fibre “500”: 39.99 EUR, 20 % off",
        "price": 39.99,
        "deep": [{"text": "12 months, true", "free": True}, None, 7],
        "channel": "Dear {{first_name}}, “ä”",
    }
    assert rendered(content, said) is rendered(content, said)


def test_a_term_is_not_read_for_placeholders_itself() -> None:
    said = terms(a="{b}", b="{a}")
    assert msgspec.json.decode(rendered(b'{"text":"{a} and {b}"}', said)) == {"text": "{b} and {a}"}
