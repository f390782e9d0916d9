"""The engagement policies of the default workspace, on its own customers."""

from typing import Any

import numpy as np
import pytest

from service.decisioning.pipeline import Decisions, decide
from service.decisioning.snapshot import Snapshot
from service.workspace.loading import load_workspace

from .deciding import SELLING, ask, requests, unlearned

Demo = Any  # the class of the fixture


@pytest.fixture(scope="module")
def snapshot(telco: Any) -> Snapshot:
    return unlearned(load_workspace(telco))


def decided(
    snapshot: Snapshot, channel: str = "web", **values: Any
) -> tuple[Decisions, dict[str, str | None]]:
    """The decision for one customer, and what took each action out."""
    answer = ask(snapshot, channel, **values)
    return answer.decisions, answer.rules


@pytest.mark.parametrize(
    ("channel", "most"),
    [
        ("web", 0.005),
        ("email", 0.005),
        ("push", 0.01),
        ("shop", 0.005),
        ("sales", 0.005),
        ("call_centre", 0.03),
    ],
)
def test_nearly_every_customer_has_an_action_in_every_channel(
    snapshot: Snapshot, demo: Demo, channel: str, most: float
) -> None:
    decisions = decide(snapshot, requests(snapshot, demo.people.X, channel, demo.now))
    assert 1 - len(np.unique(decisions.slate.row)) / demo.size <= most


@pytest.mark.parametrize("channel", ["web", "email", "shop", "sales", "call_centre"])
def test_somebody_of_whom_nothing_is_known_has_an_action_too(snapshot: Snapshot, channel: str) -> None:
    X = np.full((1, snapshot.schema.width), np.nan)
    assert len(decide(snapshot, requests(snapshot, X, channel)).slate.row)


def test_what_a_customer_owns_is_not_offered_again(snapshot: Snapshot, demo: Demo) -> None:
    decisions = decide(snapshot, requests(snapshot, demo.people.X, "web", demo.now))
    index, schema = snapshot.catalogue.action_index, snapshot.schema
    for name in ("wifi_pods", "safe_online", "kids_online", "streaming_duo", "cloud_storage"):
        column = schema.slice("products").start + schema.feature("products").codes[name]
        owners = demo.people.X[:, column] == 1
        assert owners.any()
        assert not np.isin(
            np.flatnonzero(owners), decisions.slate.row[decisions.slate.action == index[name]]
        ).any()
    _, rules = decided(snapshot, products=["internet", "wifi_pods"])
    assert rules["wifi_pods"] == "owned_products"


def test_an_open_case_suppresses_sales_and_leaves_service(snapshot: Snapshot) -> None:
    decisions, rules = decided(snapshot, "call_centre", open_complaint=True)
    chosen = {snapshot.catalogue.actions[action].issue for action in decisions.slate.action}
    assert "service" in chosen
    assert not chosen & SELLING
    assert rules["wifi_pods"] == "no_sales_in_an_open_case"
    assert rules["complaint_callback"] in (None, "outranked")


def test_a_fresh_ticket_is_an_open_case_and_an_old_one_is_not(snapshot: Snapshot) -> None:
    fresh, old = "2026-11-17T12:00:00Z", "2026-10-01T12:00:00Z"
    assert decided(snapshot, last_ticket_at=fresh)[1]["safe_online"] == "no_sales_in_an_open_case"
    assert decided(snapshot, last_ticket_at=old)[1]["safe_online"] in (None, "outranked")


@pytest.mark.parametrize(
    ("values", "sold"),
    [
        ({"age": 17}, False),
        ({"age": 18}, True),
        ({"age": None, "is_account_holder": True}, True),
        ({"age": None, "is_account_holder": False}, False),
    ],
)
def test_minors_are_sold_nothing(snapshot: Snapshot, values: dict[str, Any], sold: bool) -> None:
    _, rules = decided(snapshot, **values)
    assert (rules["safe_online"] != "adults_only") is sold


def test_arrears_block_sales_and_bring_an_arrangement(snapshot: Snapshot) -> None:
    decisions, rules = decided(snapshot, "call_centre", days_past_due=30, balance_due=80)
    assert rules["wifi_pods"] == "no_debts_before_sales"
    assert rules["payment_plan"] in (None, "outranked")
    chosen = {snapshot.catalogue.actions[action].issue for action in decisions.slate.action}
    assert not chosen & SELLING
    assert decided(snapshot, days_past_due=0)[1]["payment_reminder"] == "payment_reminder_needs_a_debt"


@pytest.mark.parametrize(
    ("available", "rule"), [(True, None), (False, "fibre_at_the_address"), (None, "fibre_at_the_address")]
)
def test_fibre_is_offered_where_it_can_be_ordered(
    snapshot: Snapshot, available: bool | None, rule: str | None
) -> None:
    _, rules = decided(snapshot, internet_tier="dsl_50", fibre_available=available)
    assert rules["dsl_to_fibre"] in ({None, "outranked"} if rule is None else {rule})


def test_a_visitor_of_unknown_address_sees_fibre_on_the_home_page_and_nobody_says_that_it_can_be_ordered(
    snapshot: Snapshot,
) -> None:
    fibre = snapshot.catalogue.action_index["fibre_500"]
    X = np.full((1, snapshot.schema.width), np.nan)
    slate = decide(snapshot, requests(snapshot, X, "web")).slate
    said = [snapshot.catalogue.treatments[t].name for t in slate.treatment[slate.action == fibre]]
    assert said in ([], ["fibre_500_hero"])
    assert snapshot.catalogue.slot_index["web", "home_hero"] in slate.slot
    for channel in ("email", "shop", "sales"):
        assert fibre not in decide(snapshot, requests(snapshot, X, channel)).slate.action


def test_a_renewal_is_for_who_comes_near_the_end_of_the_contract_or_asks_for_it(snapshot: Snapshot) -> None:
    near, far = "2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"
    out = "renew_internet.applicability"
    assert decided(snapshot, contract_end=near)[1]["renew_internet"] != out
    assert decided(snapshot, contract_end=far)[1]["renew_internet"] == out
    assert decided(snapshot, contract_end=far, intent="renew")[1]["renew_internet"] != out


@pytest.mark.parametrize(("channel", "opt_in"), [("email", "email_opt_in"), ("push", "push_opt_in")])
def test_marketing_by_email_and_push_needs_the_customer_s_consent(
    snapshot: Snapshot, channel: str, opt_in: str
) -> None:
    said = {"email": "safe_online", "push": "cloud_storage"}[channel]
    assert decided(snapshot, channel, **{opt_in: False})[1][said] == "marketing"
    assert decided(snapshot, channel, **{opt_in: True})[1][said] in (None, "outranked")


def test_every_rule_lets_some_customers_through_and_stops_others(snapshot: Snapshot, demo: Demo) -> None:
    """In the population, or for who has come with an intent."""
    columns = snapshot.rulebook.evaluate(requests(snapshot, demo.people.X, "web", demo.now))
    for rule in snapshot.rules.rules:
        share = columns[rule.place].mean()
        assert share < 1, rule.name
        assert share > 0, rule.name
