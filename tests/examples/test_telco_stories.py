"""What the policies of the default workspace make of its customers, as a marketer would tell it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from service.decisioning.pipeline import decide
from service.decisioning.snapshot import Snapshot
from service.decisioning.valuation import Scaling
from service.workspace.loading import load_workspace

from .deciding import DAY, HOUR, SELLING, TODAY, Touch, ask, requests, touches, unlearned

Demo = Any  # the class of the fixture
CHANNELS = ["web", "email", "push", "shop", "sales", "call_centre"]
NO_LINE: dict[str, Any] = {
    "products": ["mobile"],
    "internet_tier": "none",
    "mobile_plan": "prepaid",
    "fibre_available": True,
}
LEAVING: dict[str, Any] = {
    "intent": "cancel",
    "nps": 4,
    "care_calls_90d": 3,
    "monthly_spend": 90,
    "tenure_months": 30,
}
LATE: dict[str, Any] = {"days_past_due": 6, "balance_due": 40}


@pytest.fixture(scope="module")
def snapshot(telco: Any) -> Snapshot:
    return unlearned(load_workspace(telco))


# --- an open service case -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "placement"),
    [("call_centre", "agent_advice"), ("sales", "next_activities"), ("web", "account_tile")],
)
def test_an_open_complaint_is_spoken_of_first_wherever_the_customer_comes(
    snapshot: Snapshot, channel: str, placement: str
) -> None:
    case = ask(snapshot, channel, open_complaint=True, intent="cancel")
    assert case.placements[placement][0] == "complaint_callback"
    assert not case.issues & SELLING


def test_an_open_case_brings_service_before_everything_else(snapshot: Snapshot) -> None:
    slow: dict[str, Any] = {"internet_tier": "dsl_50", "fibre_available": True, "tickets_90d": 1}
    calm = ask(snapshot, "call_centre", **slow)
    case = ask(snapshot, "call_centre", last_ticket_at="2026-11-18T08:00:00Z", **slow)
    assert calm.placements["agent_advice"][0] == "dsl_to_fibre"
    assert case.placements["agent_advice"][:2] == ["router_swap", "wifi_check"]
    assert case.worth("wifi_check") == pytest.approx(2 * calm.worth("wifi_check"))


def test_who_reports_a_fault_that_is_known_hears_of_it_before_anything_else(snapshot: Snapshot) -> None:
    known = ask(snapshot, "web", intent="fault", outage_minutes_30d=45)
    assert known.placements["home_hero"] == ["outage_updates"]
    assert known.worth("outage_updates") < known.worth("outage_credit")
    unknown = ask(snapshot, "web", intent="browse", outage_minutes_30d=45)
    assert unknown.placements["home_hero"] == ["outage_credit"]


# --- a churn risk -------------------------------------------------------------------------------------------


def test_who_wants_to_leave_hears_first_what_would_make_them_stay(snapshot: Snapshot) -> None:
    assert ask(snapshot, "call_centre", **LEAVING).placements["agent_advice"][0] == "save_discount"
    browsing: dict[str, Any] = {**LEAVING, "intent": "browse", "topics_viewed_30d": ["cancel_contract"]}
    assert ask(snapshot, "call_centre", **browsing).placements["agent_advice"][0] == "save_discount"


def test_when_the_budget_of_the_loyalty_price_is_spent_something_else_makes_them_stay(
    snapshot: Snapshot,
) -> None:
    spent = ask(snapshot, "call_centre", spent=["save_budget"], **LEAVING)
    assert spent.rules["save_discount"] == "volume:save_budget"
    assert spent.placements["agent_advice"][:2] == ["renew_internet", "save_callback"]
    both = ask(snapshot, "call_centre", spent=["save_budget", "senior_advisers"], **LEAVING)
    assert both.rules["save_callback"] == "volume:senior_advisers"
    assert both.placements["agent_advice"][0] == "renew_internet"


def test_the_unhappier_a_customer_the_more_retention_weighs(snapshot: Snapshot) -> None:
    renewing: dict[str, Any] = {"contract_end": "2027-01-01T00:00:00Z"}
    weights = [
        ask(snapshot, nps=nps, **renewing).worth("renew_internet", "context_weight") for nps in (9, 6, 2)
    ]
    assert weights == pytest.approx([1.0, 1.1, 1.5])


def test_a_large_household_is_worth_more_effort_but_does_not_drown_everything(snapshot: Snapshot) -> None:
    renewing: dict[str, Any] = {"contract_end": "2027-01-01T00:00:00Z"}
    small, large = (ask(snapshot, monthly_spend=spend, **renewing) for spend in (30, 240))
    assert small.worth("renew_internet", "raw_value") == pytest.approx(1.4 * 30)
    assert large.worth("renew_internet", "raw_value") == pytest.approx(1.4 * 240)
    assert large.worth("renew_internet", "value") < 4.5 * small.worth("renew_internet", "value")
    assert ask(snapshot, **renewing).worth("renew_internet", "raw_value") == 115


def test_a_smaller_tariff_stands_up_to_larger_ones_because_it_is_good_for_the_customer(
    snapshot: Snapshot,
) -> None:
    little: dict[str, Any] = {
        "mobile_plan": "mobile_l",
        "bundle_used_share": 0.2,
        "push_opt_in": True,
        "app_installed": True,
    }
    assert ask(snapshot, "push", **little).placements["app_push"] == ["right_size_mobile"]
    selfish = replace(snapshot.arbitration.valuation, benefit_weight=0.0, scaling=Scaling())
    company_first = replace(snapshot, arbitration=replace(snapshot.arbitration, valuation=selfish))
    offered = ask(snapshot, "push", **little).worth("right_size_mobile", "raw_value")
    assert offered == 38 + 0.25 * 96
    assert ask(company_first, "push", **little).worth("right_size_mobile", "raw_value") == 38


# --- one answer ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", CHANNELS)
def test_no_answer_has_two_discounts_or_more_than_two_sales(
    snapshot: Snapshot, demo: Demo, channel: str
) -> None:
    actions = snapshot.catalogue.actions
    slate = decide(snapshot, requests(snapshot, demo.people.X, channel, demo.now)).slate
    discounts = np.array(["discount" in action.tags for action in actions])[slate.action]
    sales = np.array([action.issue == "sales" for action in actions])[slate.action]
    for counted, most in ((discounts, 1), (sales, 2)):
        assert np.bincount(slate.row[counted], minlength=1).max() <= most


def test_the_site_sells_as_much_as_it_may_and_then_offers_something_else(snapshot: Snapshot) -> None:
    page = ask(snapshot, "web", household_size=4, device_age_months=30, credit_band="a", **NO_LINE)
    actions = snapshot.catalogue.action_index
    sold = [name for name in page.actions if snapshot.catalogue.actions[actions[name]].issue == "sales"]
    assert len(sold) == 2
    assert page.rules["phone_instalments"] == "limit:two_sales"
    assert {"roaming_pass", "safe_online"} <= page.actions


def test_the_line_for_the_house_brings_its_sim_along(snapshot: Snapshot) -> None:
    counter = ask(snapshot, "shop", **NO_LINE, intent="move").placements["counter_screen"]
    assert counter[counter.index("fibre_500") + 1] == "mobile_s"


@pytest.mark.parametrize("channel", CHANNELS)
def test_tips_come_after_everything_else_in_a_placement(snapshot: Snapshot, demo: Demo, channel: str) -> None:
    slate = decide(snapshot, requests(snapshot, demo.people.X, channel, demo.now)).slate
    tips = np.array([action.issue == "education" for action in snapshot.catalogue.actions])[slate.action]
    first_tip: dict[tuple[int, int], int] = {}
    for row, slot, rank, is_tip in zip(slate.row, slate.slot, slate.rank, tips, strict=True):
        if is_tip:
            first_tip.setdefault((row, slot), rank)
        else:
            assert rank < first_tip.get((row, slot), np.inf)


def test_the_newsletter_is_never_without_a_lead(snapshot: Snapshot) -> None:
    silent = ask(snapshot, "email", email_opt_in=False)
    assert silent.placements["newsletter_lead"] == ["scam_tips"]
    spoken = ask(snapshot, "email", email_opt_in=True)
    assert spoken.placements["newsletter_lead"] != ["scam_tips"]
    assert spoken.rules["scam_tips"] == "fallback_not_needed"


# --- how often ----------------------------------------------------------------------------------------------


def test_a_no_to_one_channel_is_a_no_to_all_of_them(snapshot: Snapshot) -> None:
    said = [Touch(TODAY - DAY, "reject", "sales", "fibre_500")]
    person: dict[str, Any] = {**NO_LINE, "email_opt_in": True}
    for channel in ("web", "email", "shop", "sales"):
        assert ask(snapshot, channel, **person).rules["fibre_500"] in (None, "outranked"), channel
        after = ask(snapshot, channel, history=said, **person)
        assert after.rules["fibre_500"] == "no_to_sales", channel
        assert after.actions, channel
    of_its_group = ask(snapshot, "web", history=said, household_size=4, **NO_LINE).rules
    assert of_its_group["fibre_1000"] == of_its_group["fibre_100"] == "no_to_sales"
    assert of_its_group["mobile_s"] != "no_to_sales"


def test_a_no_rests_for_ninety_days(snapshot: Snapshot) -> None:
    said = [Touch(TODAY, "reject", "sales", "fibre_500")]
    out = ask(snapshot, "web", now=TODAY + 89.9 * DAY, history=said, **NO_LINE).candidates["fibre_500"]
    assert out.cap is not None
    assert out.cap["next_free"] == "2027-02-16T11:06:40Z"
    assert ask(snapshot, "web", now=TODAY + 90 * DAY, history=said, **NO_LINE).rules["fibre_500"] is None


def test_what_was_seen_three_times_makes_room_for_something_else(snapshot: Snapshot) -> None:
    seen = [Touch(TODAY - days * DAY, "impression", "web", "wifi_pods") for days in (1, 2, 3)]
    assert "wifi_pods" in ask(snapshot, "web", history=seen[:2]).actions
    rested = ask(snapshot, "web", history=seen)
    assert rested.rules["wifi_pods"] == "seen_enough_add_ons"
    assert ask(snapshot, "shop", history=seen).rules["wifi_pods"] != "seen_enough_add_ons"
    help_stays = [touch._replace(action="complaint_callback") for touch in seen * 3]
    assert "complaint_callback" in ask(snapshot, "web", history=help_stays, open_complaint=True).actions


def test_the_newsletter_has_another_lead_every_week(snapshot: Snapshot) -> None:
    reader: dict[str, Any] = {
        "email_opt_in": True,
        "tenure_months": 70,
        "device_age_months": 30,
        "mobile_plan": "mobile_s",
        "fibre_available": True,
        "internet_tier": "dsl_50",
    }
    leads: list[str] = []
    history: list[Touch] = []
    for week in range(8):
        now = TODAY + week * 7 * DAY
        (lead,) = ask(snapshot, "email", now=now, history=history, **reader).placements["newsletter_lead"]
        leads.append(lead)
        history.append(Touch(now, "impression", "email", lead))
    assert len(set(leads)) == len(leads)
    assert leads[0] == "dsl_to_fibre"
    again = ask(snapshot, "email", now=TODAY + 56 * DAY, history=history, **reader)
    assert again.placements["newsletter_lead"] == ["dsl_to_fibre"]


def test_nobody_gets_a_third_mail_in_a_week(snapshot: Snapshot) -> None:
    sent = [
        Touch(TODAY - DAY, "impression", "email", "bonus_data"),
        Touch(TODAY - 2 * DAY, "impression", "email", "scam_tips"),
    ]
    one_left = ask(snapshot, "email", history=sent[:1], email_opt_in=True)
    assert sum(map(len, one_left.placements.values())) == 1
    assert ask(snapshot, "email", history=sent, email_opt_in=True).placements == {}


def test_the_telephone_is_left_alone_at_night_and_between_two_messages(snapshot: Snapshot) -> None:
    open_to_all: dict[str, Any] = {"push_opt_in": True, "app_installed": True}
    evening = TODAY + 8 * HOUR  # 20:06 in Brussels
    assert ask(snapshot, "push", now=evening, **open_to_all).actions
    assert set(ask(snapshot, "push", now=evening + HOUR, **open_to_all).rules.values()) >= {"night"}
    assert not ask(snapshot, "push", now=evening + HOUR, **open_to_all).actions
    first = Touch(TODAY - 5 * HOUR, "impression", "push", "wifi_check")
    second = Touch(TODAY - 1 * HOUR, "impression", "push", "bonus_data")
    assert ask(snapshot, "push", history=[first], **open_to_all).actions
    assert ask(snapshot, "push", history=[second], **open_to_all).rules["wifi_check"] == "room_between_pushes"
    later = ask(snapshot, "push", now=TODAY + 4 * HOUR, history=[first, second], **open_to_all)
    assert later.rules["wifi_check"] == "two_pushes_a_day"


def test_one_reminder_is_enough_for_a_household(snapshot: Snapshot) -> None:
    reminded = [Touch(TODAY - DAY, "impression", "email", "payment_reminder")]
    assert "payment_reminder" in ask(snapshot, "email", **LATE).actions
    after = ask(snapshot, "email", of_account=reminded, **LATE)
    assert after.rules["payment_reminder"] == "one_reminder_for_the_household"
    assert "payment_reminder" in ask(snapshot, "call_centre", of_account=reminded, **LATE).actions


def test_what_is_hardly_ever_welcome_is_not_said_at_all(snapshot: Snapshot) -> None:
    unwelcome = replace(snapshot, priors=0.1 * snapshot.priors)
    assert ask(unwelcome, "push", push_opt_in=True).rules["wifi_check"] == "do_nothing"
    assert ask(unwelcome, "shop").rules["wifi_pods"] == "worth_an_advisers_breath"
    assert ask(unwelcome, "web").rules["wifi_pods"] is None
    promised = ask(unwelcome, "call_centre", open_complaint=True, care_calls_90d=5)
    assert promised.rules["save_callback"] == "worth_a_senior_adviser"
    assert promised.placements["agent_advice"][0] == "complaint_callback"


# --- one voice, and what is tried out -----------------------------------------------------------------------


def test_terms_depend_on_how_long_somebody_has_been_here(snapshot: Snapshot) -> None:
    for months, name in ((30, "loyal_20"), (3, "standard_10")):
        answer = ask(snapshot, "call_centre", **{**LEAVING, "tenure_months": months})
        offered = answer.decisions.offered
        assert offered is not None
        offer = offered.of(0, snapshot.catalogue.action_index["save_discount"])
        assert offer is not None
        assert offer.name == name


def in_arms(snapshot: Snapshot, demo: Demo, channel: str) -> tuple[Any, dict[str, np.ndarray[Any, Any]]]:
    """The decisions for all customers, each a unit of its own, and who is in which arm."""
    keys = np.random.default_rng(5).integers(0, 2**63, (2, demo.size)).astype(np.uint64)
    asked = requests(snapshot, demo.people.X, channel, demo.now, units=keys[0], account_units=keys[1])
    decisions = decide(snapshot, asked)
    arms = [snapshot.experiments.arms(decisions.assigned, row) for row in range(demo.size)]
    named = {f"{name}.{arm}" for each in arms for name, arm in each.items()}
    return decisions, {
        place: np.array([each.get(place.split(".")[0]) == place.split(".")[1] for each in arms])
        for place in named
    }


def test_the_control_group_is_small_and_gets_help_but_no_advertising(snapshot: Snapshot, demo: Demo) -> None:
    advertising = SELLING | {"loyalty"}
    decisions, arms = in_arms(snapshot, demo, "call_centre")
    control = arms["universal_control.control"]
    assert 0.01 < control.mean() < 0.02
    issues = np.array([action.issue for action in snapshot.catalogue.actions])[decisions.slate.action]
    withheld = control[decisions.slate.row]
    assert not set(issues[withheld]) & advertising
    assert {"service", "retention"} <= set(issues[withheld])
    assert set(issues[~withheld]) & advertising == {"sales", "cross_sell", "upsell", "loyalty"}


def test_five_standing_arms_and_a_challenger_take_part(snapshot: Snapshot, demo: Demo) -> None:
    _, arms = in_arms(snapshot, demo, "web")
    standing = {name: share for name, share in arms.items() if name.startswith("standing_arms.")}
    assert len(standing) == 5
    assert all(0.002 < who.mean() < 0.008 for who in standing.values())
    assert 0.04 < arms["fairer_prices.challenger"].mean() < 0.06
    assert 0.04 < arms["fairer_prices.champion"].mean() < 0.06


def test_a_history_takes_out_only_what_it_is_about(snapshot: Snapshot, demo: Demo) -> None:
    """Of 4,000 customers one has said no: the others' answers are as they were."""
    X = demo.people.X
    said = touches(snapshot, [Touch(demo.now - DAY, "reject", "web", "wifi_pods")], row=7, of=len(X))
    before = decide(snapshot, requests(snapshot, X, "web", demo.now))
    after = decide(snapshot, requests(snapshot, X, "web", demo.now, touches=said))
    others = np.arange(len(X)) != 7
    assert (before.removed_by[others] == after.removed_by[others]).all()
