"""Rules over actions and treatments, consent, and what the explanation says of them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from feature_store.consents import DENIED, GRANTED, UNKNOWN
from service.decisioning.catalogue import Action
from service.decisioning.consent import Imported, Purpose
from service.decisioning.explain import Candidate, explain
from service.decisioning.pipeline import Decisions, decide
from service.decisioning.rulebook import RuleBook
from service.decisioning.rules import Compiler, ProgramBuilder
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import STILL_IN, Stage

from .conftest import SCHEMA, MakeBatch, MakeSnapshot, book

A = Action("a", "sales", "mobile", propensity=0.1, value=100.0)
B = Action("b", "sales", "mobile", propensity=0.2, value=100.0)
TWO_SAYINGS = {"a": {"web": ("hero", "tiles"), "email": ("lead",)}, "b": {"web": ("tiles",)}}


def rows(*ages: float) -> Any:
    X = np.full((len(ages), SCHEMA.width), np.nan)
    X[:, 0] = ages
    return X


def reasons(snapshot: Snapshot, decisions: Decisions, action: str) -> list[str | None]:
    """What took an action out, request by request."""
    index = snapshot.catalogue.action_index[action]
    removals = [snapshot.removals[code] for code in decisions.removed_by[:, index]]
    return [removal.rule if removal else None for removal in removals]


def candidate(snapshot: Snapshot, decisions: Decisions, action: str, row: int = 0) -> Candidate:
    found = explain(snapshot, decisions, row, everything=True)
    return next(entry for entry in found if entry.action == action)


def test_the_first_rule_that_does_not_hold_is_the_reason(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    rules = book(
        (Stage.SUITABILITY, "false", {"actions": (0,)}),
        (Stage.ELIGIBILITY, "customer.age >= 18.0", {"actions": (0, 1)}),
        (Stage.ELIGIBILITY, "customer.age >= 21.0", {"actions": (0,)}),
    )
    snapshot = make_snapshot([A, B], rules=rules)
    decisions = decide(snapshot, make_batch(snapshot, 4, X=rows(17, 20, 40, np.nan)))
    adults = "customer.age >= 18.0"
    assert reasons(snapshot, decisions, "a") == [adults, "customer.age >= 21.0", "false", adults]
    assert reasons(snapshot, decisions, "b") == [adults, None, None, adults]


def test_a_removed_candidate_shows_its_rule_and_what_the_rule_observed(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    source = 'customer.age >= 18.0 && context.intent != "cancel" && now > timestamp("2000-01-01T00:00:00Z")'
    snapshot = make_snapshot([A], rules=book((Stage.ELIGIBILITY, source, {"actions": (0,)})))
    decisions = decide(snapshot, make_batch(snapshot, X=rows(17)))
    found = candidate(snapshot, decisions, "a")
    assert (found.stage, found.rule, found.source) == (Stage.ELIGIBILITY, source, source)
    assert found.observed == {
        "customer.age": 17.0,
        "context.intent": None,
        "now": "2027-01-15T08:00:00Z",
    }


def test_what_is_chosen_or_out_for_a_built_in_reason_has_no_rule_of_the_workspace(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot = make_snapshot([A])
    decisions = decide(snapshot, make_batch(snapshot))
    assert candidate(snapshot, decisions, "a").observed is None


def test_a_treatment_that_a_rule_takes_out_gives_way_to_another_of_its_action(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    places = {"a": {"web": ("hero", "tiles")}}
    snapshot = make_snapshot([A], places)
    twin = type(snapshot.catalogue.treatments[0])("a_twin", "a", "web", ("hero",), b"{}")
    catalogue = type(snapshot.catalogue)(
        snapshot.catalogue.channels, (A,), (*snapshot.catalogue.treatments, twin), "v"
    )
    rules = book((Stage.SUITABILITY, "customer.age >= 18.0", {"treatments": (0,)}))
    snapshot = Snapshot(catalogue, SCHEMA, snapshot.priors, rules=rules)
    slate = decide(snapshot, make_batch(snapshot, 2, X=rows(30, 17), limits={"hero": 1})).slate
    assert [catalogue.treatments[index].name for index in slate.treatment] == ["a_web", "a_twin"]
    alone = decide(snapshot, make_batch(snapshot, X=rows(17), limits={"tiles": 1}))
    assert reasons(snapshot, alone, "a") == ["customer.age >= 18.0"]


def test_an_action_stays_in_while_a_treatment_fits_a_slot_that_is_asked_for(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    rules = book((Stage.ELIGIBILITY, "customer.age >= 18.0", {"treatments": (0,)}))
    snapshot = make_snapshot([A, B], TWO_SAYINGS, rules=rules)
    assert snapshot.catalogue.treatments[0].name == "a_web"
    web = decide(snapshot, make_batch(snapshot, 2, X=rows(17, 30)))
    assert reasons(snapshot, web, "a") == ["customer.age >= 18.0", None]
    out = candidate(snapshot, web, "a")
    assert (out.stage, out.propensity) == (Stage.TREATMENT, None)
    assert out.observed == {"customer.age": 17.0}
    email = decide(snapshot, make_batch(snapshot, channel="email", X=rows(17)))
    assert reasons(snapshot, email, "a") == [None]


def test_the_emergency_exclusion_speaks_before_everything_else(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot = make_snapshot([A, B], stopped=np.array([True, False]))
    decisions = decide(snapshot, make_batch(snapshot, excluded=np.array([[True, False]])))
    assert reasons(snapshot, decisions, "a") == ["emergency_exclusion"]
    assert decisions.removed_by[0, 1] == STILL_IN


WEB_ONLY = np.array([[True, False], [False, False]])


@pytest.mark.parametrize(
    ("stored", "unknown", "allowed"),
    [
        (GRANTED, DENIED, True),
        (DENIED, GRANTED, False),
        (UNKNOWN, GRANTED, True),
        (UNKNOWN, DENIED, False),
        (None, GRANTED, True),
        (None, DENIED, False),
    ],
)
def test_without_consent_the_actions_that_need_it_are_out(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch, stored: int | None, unknown: int, allowed: bool
) -> None:
    purpose = Purpose("marketing", "not agreed", WEB_ONLY, unknown)
    snapshot = make_snapshot([A, B], purposes=(purpose,))
    consents = None if stored is None else np.array([[[stored, UNKNOWN]]], np.int8)
    decisions = decide(snapshot, make_batch(snapshot, consents=consents))
    assert reasons(snapshot, decisions, "a") == [None if allowed else "marketing"]
    assert reasons(snapshot, decisions, "b") == [None]
    if not allowed:
        state = {GRANTED: "granted", DENIED: "denied"}.get(stored or 0, "unknown")
        shown = state if stored is not None and stored != UNKNOWN else "unknown"
        assert candidate(snapshot, decisions, "a").observed == {"consent.marketing.web": shown}


def test_where_nothing_is_stored_an_imported_consent_holds_and_a_stored_one_overrides_it(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    builder = ProgramBuilder()
    compiled = Compiler(SCHEMA).flag("context.in_cart")
    places = Imported(builder.true(compiled.node), builder.false(compiled.node), compiled.features)
    purpose = Purpose("marketing", "", WEB_ONLY, DENIED, (places, None))
    snapshot = make_snapshot([A, B], purposes=(purpose,), rules=RuleBook(builder.build()))
    X = np.full((4, SCHEMA.width), np.nan)
    X[:, 2] = [1, 0, np.nan, 0]
    consents = np.full((4, 1, 2), UNKNOWN, np.int8)
    consents[3, 0, 0] = GRANTED
    decisions = decide(snapshot, make_batch(snapshot, 4, X=X, consents=consents))
    assert reasons(snapshot, decisions, "a") == [None, "marketing", "marketing", None]
    assert candidate(snapshot, decisions, "a", 1).observed == {
        "consent.marketing.web": "unknown",
        "context.in_cart": False,
    }


def test_a_request_gets_the_same_alone_as_in_any_batch(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    rules = book(
        (Stage.ELIGIBILITY, "customer.age >= 18.0", {"actions": (0,)}),
        (Stage.SUITABILITY, "customer.age < 60.0", {"treatments": (0,)}),
        (Stage.SUITABILITY, 'now > timestamp("2026-01-01T00:00:00Z")', {"actions": (1,)}),
    )
    snapshot = make_snapshot([A, B], TWO_SAYINGS, rules=rules)
    X = rows(10, 18, 59, 60, np.nan)
    together = decide(snapshot, make_batch(snapshot, 5, X=X)).removed_by
    for row in range(5):
        alone = decide(snapshot, make_batch(snapshot, 1, X=X[[row]])).removed_by
        assert alone[0].tolist() == together[row].tolist()


def test_a_workspace_may_have_more_reasons_than_sixteen_bits_tell_apart(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    declared = book(
        (Stage.ELIGIBILITY, "customer.age >= 18.0", {"actions": (0,)}),
        (Stage.SUITABILITY, "customer.age < 60.0", {"actions": (0,)}),
    )
    snapshot = make_snapshot([A, B], rules=declared)
    batch = make_batch(snapshot, 3, X=rows(17, 40, 70))
    many = replace(snapshot.rulebook, first_code=70_000)
    removed_by = np.zeros((3, 2), np.int32)
    many.of_actions.remove(many.evaluate(batch), decide(snapshot, batch).assigned, removed_by)
    assert removed_by.tolist() == [[70_000, 0], [0, 0], [70_001, 0]]


def test_an_empty_batch_has_rules_too(make_snapshot: MakeSnapshot, make_batch: MakeBatch) -> None:
    rules = book(
        (Stage.ELIGIBILITY, "customer.age >= 18.0", {"actions": (0,)}),
        (Stage.SUITABILITY, "customer.age < 60.0", {"treatments": (0,)}),
    )
    snapshot = make_snapshot([A], rules=rules)
    assert decide(snapshot, make_batch(snapshot, 0)).removed_by.shape == (0, 1)
