"""Experiments and exploration over real HTTP: the same arm everywhere, and probabilities that are kept."""

import asyncio
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from scipy.stats import chisquare

from feature_store.embedded import EmbeddedStore
from feature_store.outcomes import OUTCOME_LOG, Outcome, unpack_outcomes
from feature_store.store import connect
from service.decisioning.draws import key_of, keys_of
from service.decisioning.experiments import places
from service.workspace.loading import Workspace

from .conftest import metric

Serve = Any  # the fixture that starts a service

EXPERIMENTS = {
    "control": {"namespace": "holdout", "arms": {"all": {"share": "30%", "withhold": "everything"}}},
    "impact": {
        "namespace": "arbitration",
        "arms": {
            "random": {"share": "40%", "conduct": "random_eligible"},
            "drawn": {"from": "40%", "share": "30%", "conduct": "random_propensity"},
        },
    },
    "household": {
        "namespace": "households",
        "unit": "account",
        "arms": {"half": {"share": "50%"}},
    },
}


@pytest.fixture(scope="module")
def tried(serve: Serve, world: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A client of a service in which most people take part in an experiment."""
    folder: Path = tmp_path_factory.mktemp("experiments") / "world"
    shutil.copytree(world.folder, folder)
    (folder / "experiments.yaml").write_text(yaml.safe_dump({"experiments": EXPERIMENTS}, sort_keys=False))
    with serve(workspace=folder) as client:
        yield client


def decided(client: httpx.Client, customer_id: str, **asked: Any) -> dict[str, Any]:
    answer = client.post("/v1/decisions", json={"customer_id": customer_id, "channel": "web", **asked})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def expected_arms(customer_id: str, account_id: str | None = None) -> dict[str, str]:
    """By the places of the customer, or the account, in the namespaces."""
    holdout, arbitration = (
        float(places(keys_of([customer_id]), key_of(name))[0]) for name in ("holdout", "arbitration")
    )
    arms = {"control": "all"} if holdout < 0.3 else {}
    if arbitration < 0.7:
        arms["impact"] = "random" if arbitration < 0.4 else "drawn"
    if places(keys_of([account_id or customer_id]), key_of("households"))[0] < 0.5:
        arms["household"] = "half"
    return arms


def test_a_customer_is_in_the_same_arms_in_every_channel_and_at_every_visit(
    tried: httpx.Client, world: Workspace
) -> None:
    seen = Counter[str]()
    channels = [channel.name for channel in world.catalogue.channels]
    for number in range(60):
        arms = expected_arms(f"p{number}")
        for channel in channels:
            decision = decided(tried, f"p{number}", channel=channel)
            assert decision["experiments"] == arms
            first = next((f"{experiment}.{arm}" for experiment, arm in arms.items()), "next_best_action")
            assert decision["arm"] == first
        seen[decision["arm"]] += 1
    assert set(seen) == {
        "control.all", "household.half", "impact.random", "impact.drawn", "next_best_action",
    }  # fmt: skip


def people(arm: str, number: int) -> list[str]:
    """Customers whose first experiment puts them into an arm."""
    found = []
    for index in range(400):
        arms = expected_arms(f"p{index}")
        if next((f"{experiment}.{each}" for experiment, each in arms.items()), "next_best_action") == arm:
            found.append(f"p{index}")
    return found[:number]


def test_an_account_is_in_one_arm_whether_the_request_or_the_store_names_it(tried: httpx.Client) -> None:
    for number in range(8):
        account = f"family-{number}"
        arms = expected_arms(f"member-{number}", account)
        named = decided(tried, f"member-{number}", account_id=account)
        stored = {"account_id": account, "profile": {}}
        assert tried.put(f"/v1/customers/member-{number}", json=stored).status_code == 204
        assert named["experiments"] == decided(tried, f"member-{number}")["experiments"] == arms


def test_a_control_group_is_offered_nothing_and_is_told_why(tried: httpx.Client) -> None:
    (customer,) = people("control.all", 1)
    decision = decided(tried, customer, explain="full")
    reasons = {placement["no_action"]["reason"] for placement in decision["placements"]}
    assert reasons == {"control_group"}
    would_have = decision["explanation"][0]
    assert (would_have["stage"], would_have["rule"]) == ("arbitration", "experiment:control")
    assert would_have["priority"] > 0


def test_decisions_are_counted_by_arm(tried: httpx.Client) -> None:
    (customer,) = people("impact.random", 1)
    before = metric(tried, "arbiter_decisions_total", arm="impact.random")
    decided(tried, customer)
    decided(tried, customer, dry_run=True)
    assert metric(tried, "arbiter_decisions_total", arm="impact.random") == before + 1


def test_an_outcome_knows_the_arms_in_which_its_action_was_chosen(
    tried: httpx.Client, world_store: EmbeddedStore
) -> None:
    (customer,) = people("impact.drawn", 1)
    action, *_ = decided(tried, customer)["placements"][0]["actions"]
    reported = {"token": action["token"], "outcome": "click"}
    assert tried.post("/v1/outcomes", json=reported).status_code == 202
    last = asyncio.run(_logged(world_store.url))[-1]
    assert (last.customer_id, last.experiments) == (customer, expected_arms(customer))
    assert last.experiments["impact"] == "drawn"
    assert last.selection_probability == action["selection_probability"] < 1


async def _logged(url: str) -> list[Outcome]:
    client = connect(url, timeout=30)
    try:
        entries = await client.run([("XRANGE", OUTCOME_LOG, "-", "+")])
        return [outcome for _, fields in entries[0] for outcome in unpack_outcomes(fields[1])]
    finally:
        await client.close()


def test_the_random_arm_offers_whatever_is_eligible_as_often(tried: httpx.Client) -> None:
    """Decisions have ids of their own, so this is as random as it is in life: chi-square at one in a
    million."""
    (customer,) = people("impact.random", 1)
    asked = {"placements": [{"id": "home_hero", "limit": 1}]}
    eligible = {
        candidate["action"]
        for candidate in decided(tried, customer, explain="full", dry_run=True, **asked)["explanation"]
        if candidate["stage"] in (None, "slate")
    }
    chosen = Counter[str]()
    for _ in range(400):
        (action,) = decided(tried, customer, **asked)["placements"][0]["actions"]
        assert action["selection_probability"] == pytest.approx(1 / len(eligible))
        chosen[action["action"]] += 1
    assert set(chosen) <= eligible
    assert chisquare([chosen[action] for action in sorted(eligible)]).pvalue > 1e-6
