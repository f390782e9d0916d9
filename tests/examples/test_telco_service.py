"""The stories of the default workspace over real HTTP: channels that know of one another."""

import asyncio
import contextlib
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from feature_store.embedded import EmbeddedStore
from feature_store.ingestion import load_customers
from feature_store.store import CustomerStore, connect
from models import training
from models.workshop import train_workspace
from service.app import create_app
from service.settings import Settings
from service.workspace.loading import load_workspace
from tests.service.conftest import listening

CUSTOMERS, TREES = 1_500, 4
HISTORY_UNTIL = 1_790_000_000.0  # the same history, and so the same models, whenever the tests run

PEOPLE = """\
customer_id,account_id,age,is_account_holder,products,internet_tier,mobile_plan,fibre_available,tenure_months,\
open_complaint,days_past_due,balance_due,monthly_spend,nps,care_calls_90d,email_opt_in
fay,house-1,40,true,mobile,none,prepaid,true,30,false,0,0,20,,0,false
finn,house-2,40,true,mobile,none,prepaid,true,30,false,0,0,20,,0,false
nina,house-3,40,true,mobile,none,prepaid,true,3,false,0,0,20,,0,false
cora,house-4,50,true,internet|mobile,fibre_500,mobile_l,true,30,true,0,0,90,3,4,false
liz,house-5,50,true,internet|mobile,fibre_500,mobile_l,true,30,false,0,0,90,4,4,false
lars,house-6,50,true,internet|mobile,fibre_500,mobile_l,true,30,false,0,0,90,4,4,false
lena,house-7,50,true,internet|mobile,fibre_500,mobile_l,true,30,false,0,0,90,4,4,false
debby,house-8,40,true,internet|mobile,fibre_500,mobile_l,true,30,false,6,40,90,,0,false
dan,house-8,42,false,internet|mobile,fibre_500,mobile_l,true,30,false,6,40,90,,0,false
doris,house-8,70,false,internet|mobile,fibre_500,mobile_l,true,30,false,6,40,90,,0,false
"""

Serve = Callable[..., AbstractContextManager[httpx.Client]]


@pytest.fixture(scope="module")
def trained(telco: Path, generator: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the workspace with models of a few trees, that leaves nothing to chance."""
    folder = tmp_path_factory.mktemp("telvara") / "telco"
    shutil.copytree(telco, folder, ignore=shutil.ignore_patterns("models"))
    edit(folder, "^exploration: .*$", "")
    generator.write_demo(folder, customers=CUSTOMERS, seed=7, now=HISTORY_UNTIL)
    workspace = load_workspace(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "MAX_TREES", TREES)
        train_workspace(
            workspace.specs,
            workspace.schema,
            workspace.action_models,
            folder,
            workspace.registry,
            seed=1,
            derivations=workspace.derivations,
        )
    return folder


@pytest.fixture(scope="module")
def serve(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts a service, with the people above in its store."""
    people = trained / "people.csv"
    people.write_text(PEOPLE)

    async def fill(url: str) -> None:
        schema = load_workspace(trained).schema
        store = CustomerStore(connect(url, timeout=30), schema)
        await store.register_schema()
        report = await load_customers(people, schema, store, strict=True)
        assert report.loaded == len(PEOPLE.splitlines()) - 1
        await store.close()

    @contextlib.contextmanager
    def start(workspace: Path = trained) -> Iterator[httpx.Client]:
        settings = Settings(
            workspace=workspace,
            redis_url=store.url,
            data=tmp_path_factory.mktemp("data"),
            deadline_ms=10_000,  # a busy test machine must not degrade decisions
        )
        with listening(create_app(settings)) as url, httpx.Client(base_url=url, timeout=30) as client:
            yield client

    with EmbeddedStore(tmp_path_factory.mktemp("store")) as store:
        asyncio.run(fill(store.url))
        yield start


@pytest.fixture(scope="module")
def client(serve: Serve) -> Iterator[httpx.Client]:
    with serve() as served:
        yield served


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "policies.yaml"
    text, times = re.subn(old, new, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert times == 1
    path.write_text(text, encoding="utf-8")


def decide(client: httpx.Client, customer: str, channel: str, **request: Any) -> dict[str, Any]:
    answer = client.post("/v1/decisions", json={"customer_id": customer, "channel": channel, **request})
    assert answer.status_code == 200, answer.text
    decision: dict[str, Any] = answer.json()
    assert decision["mode"] == "full"
    assert decision["arm"] == "next_best_action", "the people of these stories take part in no experiment"
    return decision


def actions(decision: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What an answer offers, by name, over its placements in their order."""
    offered = [action for placement in decision["placements"] for action in placement["actions"]]
    return {action["action"]: action for action in offered}


def report(client: httpx.Client, action: dict[str, Any], outcome: str) -> None:
    answer = client.post("/v1/outcomes", json={"token": action["token"], "outcome": outcome})
    assert answer.status_code == 202, answer.text


def rule(client: httpx.Client, customer: str, channel: str, action: str, **request: Any) -> str | None:
    """What took an action out."""
    asked = decide(client, customer, channel, explain="full", dry_run=True, **request)
    (found,) = (entry["rule"] for entry in asked["explanation"] if entry["action"] == action)
    return None if found is None else str(found)


def test_seller_shop_and_site_agree_on_the_price_that_was_shown_first(client: httpx.Client) -> None:
    moving = {"context": {"intent": "move"}}
    shown = actions(decide(client, "fay", "web", **moving))["fibre_500"]
    assert shown["offer"]["name"] == "loyal"
    assert "€ 37" in shown["content"]["text"]
    changed = client.put("/v1/customers/fay", json={"profile": {"tenure_months": 3}})
    assert changed.status_code == 204
    for channel in ("sales", "shop", "web"):
        said = actions(decide(client, "fay", channel, **moving))["fibre_500"]
        assert said["offer"] == shown["offer"], channel
        assert "€ 37" in said["content"]["text"], channel
    of_another = actions(decide(client, "nina", "sales", **moving))["fibre_500"]
    assert of_another["offer"]["terms"] == {"price": 42}


def test_who_says_no_to_the_seller_is_not_asked_by_the_shop_or_the_site(client: httpx.Client) -> None:
    offered = actions(decide(client, "finn", "sales", context={"intent": "move"}))["fibre_500"]
    report(client, offered, "reject")
    for channel in ("sales", "shop", "web"):
        answer = decide(client, "finn", channel, context={"intent": "move"})
        assert "fibre_500" not in actions(answer), channel
        assert actions(answer), channel
        assert rule(client, "finn", channel, "fibre_500") == "no_to_sales", channel


def test_an_open_complaint_is_called_back_and_sold_nothing_at_the_telephone_and_the_desk(
    client: httpx.Client,
) -> None:
    for channel in ("call_centre", "sales", "web"):
        answer = actions(decide(client, "cora", channel, context={"intent": "cancel"}))
        assert "complaint_callback" in answer, channel
        assert not {action["issue"] for action in answer.values()} & {"sales", "cross_sell", "upsell"}
    assert next(iter(actions(decide(client, "cora", "call_centre")))) == "complaint_callback"


def test_a_churn_risk_brings_the_loyalty_price_until_its_budget_is_spent(
    serve: Serve, trained: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "telco"
    shutil.copytree(trained, folder)
    edit(folder, "name: save_budget,(.*) at_most: 1000,", r"name: small_save_budget,\1 at_most: 2,")
    edit(folder, "pacing: even", "pacing: as_it_comes")
    leaving = {"context": {"intent": "cancel"}, "placements": [{"id": "agent_advice", "limit": 1}]}
    with serve(folder) as client:
        first, second, third = (
            next(iter(actions(decide(client, customer, "call_centre", **leaving)).values()))
            for customer in ("liz", "lars", "lena")
        )
        assert [first["action"], second["action"]] == ["save_discount"] * 2
        assert first["offer"]["terms"] == {"discount_percent": 20, "months": 12}
        assert (third["issue"], third["offer"]) == ("retention", None)
        assert rule(client, "lena", "call_centre", "save_discount", **leaving) == "volume:small_save_budget"


def test_a_household_is_reminded_once_though_the_mailing_decides_for_all_at_once(
    client: httpx.Client,
) -> None:
    def mail(customer: str) -> bool:
        mailing = decide(
            client, customer, "email", placements=[{"id": "service_mail"}], exclude=["direct_debit"]
        )
        return "payment_reminder" in actions(mailing)

    with ThreadPoolExecutor(8) as pool:
        reminded = list(pool.map(mail, ["debby", "dan", "doris"] * 8))
    assert sum(reminded) == 1
