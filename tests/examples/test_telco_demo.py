"""The demo data of the telco workspace: people who could exist, and a history that can be learned from."""

import importlib
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from feature_store.columns import columns_from_arrow
from feature_store.schema import STORED, Source
from models.spec import load_specs
from service.world.offers import Offers

if TYPE_CHECKING:
    from tests.examples.conftest import Demo

DAY = 86400.0


def test_there_is_every_customer_once_and_households_have_several(demo: "Demo") -> None:
    ids = demo.customers["customer_id"].to_pylist()
    assert ids == [f"c{i}" for i in range(demo.size)]
    accounts = demo.texts("customers", "account_id")
    _, sizes = np.unique(accounts, return_counts=True)
    assert 1.5 < sizes.mean() < 2.5
    assert sizes.max() <= 5
    holders = demo.people("is_account_holder")
    assert holders.sum() == len(sizes)
    stated = demo.people("household_size")
    assert (stated == sizes[np.unique(accounts, return_inverse=True)[1]]).all()


def test_what_is_of_the_household_is_the_same_for_its_members(demo: "Demo") -> None:
    accounts = np.unique(demo.texts("customers", "account_id"), return_inverse=True)[1]
    first = np.unique(accounts, return_index=True)[1]
    shared = ("internet_tier", "tv_package", "monthly_spend", "customer_since", "region", "payment_method")
    for name in shared:
        values = demo.people(name)
        assert (values == values[first][accounts]).all(), name


def test_use_needs_the_product(demo: "Demo") -> None:
    c = demo.people
    online, mobile, tv = (c.has("products", name) for name in ("internet", "mobile", "tv"))
    for name in ("home_data_gb_30d", "peak_speed_share", "wifi_score", "devices_at_home"):
        assert not (c.known(name) & ~online).any(), name
    for name in ("mobile_data_gb_30d", "bundle_used_share", "device_age_months", "device_brand"):
        assert not (c.known(name) & ~mobile).any(), name
    assert not (c.known("tv_hours_30d") & ~tv).any()
    assert not ((c("roaming_days_90d") > 0) & ~mobile).any()
    assert not ((c("app_sessions_30d") > 0) & (c("app_installed") == 0)).any()
    assert not ((c("push_opt_in") == 1) & (c("app_installed") == 0)).any()


def test_products_agree_with_tariffs_and_with_each_other(demo: "Demo") -> None:
    c = demo.people
    online, mobile, tv = (c.has("products", name) for name in ("internet", "mobile", "tv"))
    assert (online == ~c.among("internet_tier", "none")).all()
    assert (mobile == ~c.among("mobile_plan", "none")).all()
    assert (tv == ~c.among("tv_package", "none")).all()
    assert (online | mobile).all()
    assert not (tv & ~online).any()
    assert not (c.has("products", "wifi_pods") & ~online).any()
    assert not (c.has("products", "static_ip") & (c("is_business") == 0)).any()
    fibre = c.among("internet_tier", "fibre_100", "fibre_500", "fibre_1000")
    assert not (fibre & (c("fibre_available", 1.0) == 0)).any()


def test_dates_come_in_the_order_of_life(demo: "Demo") -> None:
    c = demo.people
    since, end, ticket = c("customer_since"), c("contract_end", np.nan), c("last_ticket_at", np.nan)
    assert (since < demo.now).all()
    assert not (end <= since).any()
    assert not (ticket < since).any()
    assert not (ticket > demo.now).any()
    recent = ticket > demo.now - 90 * DAY
    assert (recent == (c("tickets_90d") > 0)).all()
    holder = (c("is_account_holder") == 1) & c.known("age")
    assert (c("tenure_months")[holder] <= (c("age")[holder] - 17) * 12).all()


def test_families_have_children_and_children_have_no_contract(demo: "Demo") -> None:
    c = demo.people
    minor = c.known("age") & (c("age") < 18)
    assert minor.sum() > 100
    assert (c("children_at_home")[minor] == 1).all()
    assert not (minor & (c("is_account_holder") == 1)).any()
    assert not (c("days_past_due")[minor] > 0).any()


@pytest.mark.parametrize(
    ("cause", "effect"),
    [
        ("outage_minutes_30d", "tickets_90d"),
        ("tickets_90d", "care_calls_90d"),
        ("household_size", "monthly_spend"),
        ("household_size", "home_data_gb_30d"),
    ],
)
def test_causes_have_effects(demo: "Demo", cause: str, effect: str) -> None:
    known = demo.people.known(cause) & demo.people.known(effect)
    assert np.corrcoef(demo.people(cause)[known], demo.people(effect)[known])[0, 1] > 0.15


def test_unhappy_customers_score_low_and_old_ones_have_no_app(demo: "Demo") -> None:
    c = demo.people
    asked, complains = c.known("nps"), c("tickets_90d") > 0
    assert c("nps")[asked & complains].mean() < c("nps")[asked & ~complains].mean() - 0.5
    young, old = c.known("age") & (c("age") < 35), c("age") > 65
    assert c("app_installed")[young].mean() > c("app_installed")[old].mean() + 0.3


def test_some_values_are_missing_but_most_are_not(demo: "Demo") -> None:
    features = [f for f in demo.schema.features if f.source in STORED]
    shares = {f.name: demo.customers[f.name].null_count / demo.size for f in features}
    assert 0.6 < shares["nps"] < 0.85
    assert 0.01 < shares["age"] < 0.06
    assert sum(share == 0 for share in shares.values()) > 20
    assert max(shares.values()) < 0.9


def test_the_history_is_as_long_as_promised_and_has_every_placement(demo: "Demo", telco: Path) -> None:
    assert abs(demo.decisions.num_rows - 15 * demo.size) < 0.01 * 15 * demo.size
    offers = Offers.load(telco)
    shown = set(zip(demo.texts("decisions", "channel"), demo.texts("decisions", "placement"), strict=True))
    assert shown == {(slot.channel, slot.name) for slot in offers.placements}
    at = demo.seconds("decisions", "decided_at")
    assert at.max() < demo.now
    assert at.min() > demo.now - 92 * DAY
    late = demo.seconds("outcomes", "occurred_at")
    assert late.max() < demo.now


def test_selection_probabilities_of_the_first_rank_average_out(demo: "Demo") -> None:
    """The mean of 1 / p over shown actions is the number of candidates: the probabilities are honest."""
    lead = demo.texts("decisions", "placement") == "newsletter_lead"
    chances = demo.decisions["selection_probability"].to_numpy()
    assert (chances > 0).all()
    assert (chances <= 1).all()
    assert np.isclose((1 / chances[lead]).mean(), 11, rtol=0.1)


def test_nobody_was_shown_what_was_not_live(demo: "Demo") -> None:
    actions = demo.texts("decisions", "action")
    assert "tablet_bundle" not in actions
    assert "copper_switch_off" not in actions
    days = demo.seconds("decisions", "decided_at")
    school = days[actions == "back_to_school"]
    assert datetime(2026, 8, 15, tzinfo=UTC).timestamp() <= school.min() < school.max() < demo.now
    assert days.min() < school.min() - 30 * DAY


def test_the_truth_can_be_computed_again_exactly(demo: "Demo", telco: Path) -> None:
    offers = Offers.load(telco)
    responses = importlib.import_module("telco_demo.response").Responses(demo.schema, offers)
    context, errors = columns_from_arrow(demo.decisions, demo.schema, [Source.CONTEXT])
    assert not errors
    owners = demo.customers["customer_id"].combine_chunks()
    X = demo.people.X[pc.index_in(demo.decisions["customer_id"], value_set=owners).to_numpy()]
    X = np.where(np.isnan(X), context, X)
    actions = np.array([offers.position(name) for name in demo.texts("decisions", "action")])
    placements = demo.texts("decisions", "placement")
    logged = demo.decisions["true_probability"].to_numpy()
    for slot in offers.placements:
        rows = placements == slot.name
        again = responses.probability(X[rows], slot, actions[rows])
        np.testing.assert_allclose(again, logged[rows], rtol=1e-12)


def test_who_owns_a_product_does_not_respond_to_its_offer(demo: "Demo") -> None:
    owners = demo.customers["customer_id"].combine_chunks()
    rows = pc.index_in(demo.decisions["customer_id"], value_set=owners).to_numpy()
    truth = demo.decisions["true_probability"].to_numpy()
    actions = demo.texts("decisions", "action")
    for product in ("wifi_pods", "safe_online", "streaming_duo"):
        owned = demo.people.has("products", product)[rows]
        offered = actions == product
        assert truth[offered & owned].mean() < 0.1 * truth[offered & ~owned].mean()


def test_channels_and_context_matter(demo: "Demo") -> None:
    truth = demo.decisions["true_probability"].to_numpy()
    channel, issue = demo.texts("decisions", "channel"), demo.texts("decisions", "issue")
    intent = np.array([value or "" for value in demo.decisions["intent"].to_pylist()])
    shop, web = (truth[(channel == name) & (issue == "sales")].mean() for name in ("shop", "web"))
    assert shop > 1.5 * web
    for issue_name, asked in (("retention", "renew"), ("service", "fault")):
        of = issue == issue_name
        assert truth[of & (intent == asked)].mean() > 1.2 * truth[of & (intent == "browse")].mean()


def test_every_model_has_responses_to_learn_from(demo: "Demo", telco: Path) -> None:
    offers = Offers.load(telco)
    model = {action.name: action.model for action in offers.actions}
    actions, outcomes = demo.texts("outcomes", "action"), demo.texts("outcomes", "outcome")
    families = np.array([model[name] for name in actions])
    for name, spec in load_specs(telco / "models.yaml", demo.schema).items():
        if spec.target is not None:
            continue
        responses = (families == name) & np.isin(outcomes, spec.positive)
        shown = (families == name) & (outcomes == "impression")
        assert 0.005 < responses.sum() / shown.sum() < 0.2, name


def test_the_same_seed_and_time_write_the_same_tables(generator: ModuleType, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        generator.write_demo(tmp_path / name, customers=200, seed=seed, now=1.79e9)
    labels = ("churn", "intents", "leads", "lifetime_value")
    for table in ("customers", "decisions", "outcomes", *labels):
        a, b, c = (pq.read_table(tmp_path / name / f"{table}.parquet") for name in "abc")
        assert a.equals(b)
        assert not a.equals(c)


@pytest.mark.parametrize("customers", [1, 2, 17])
def test_a_tiny_population_works_too(generator: ModuleType, tmp_path: Path, customers: int) -> None:
    generator.write_demo(tmp_path, customers=customers, now=1.79e9)
    assert pq.read_metadata(tmp_path / "customers.parquet").num_rows == customers


def test_the_script_writes_the_files_and_says_how_far_it_is(telco: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(telco / "demo.py"), str(tmp_path), "--customers", "50", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "churn.parquet",
        "customers.parquet",
        "decisions.parquet",
        "intents.parquet",
        "leads.parquet",
        "lifetime_value.parquet",
        "outcomes.parquet",
    ]
    assert "customers: 50 of 50" in done.stderr
    refused = subprocess.run([*command[:3], "--customers", "0"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "at least 1" in refused.stderr
