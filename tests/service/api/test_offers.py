"""One voice over real HTTP: what one channel has offered all others offer, too, until it is over."""

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from feature_store.embedded import EmbeddedStore
from feature_store.outcomes import OUTCOME_LOG, unpack_outcomes
from service.runtime.tokens import Signer

from .conftest import metric

Serve = Any  # the fixture that starts a service
SECRET = "a secret for these tests"

FILES = {
    "features.yaml": """\
features:
  tenure_months: {type: number, source: profile, description: Months since the first contract}
  page: {type: category, source: context, levels: [home, cart], description: Page of the site}
""",
    "channels.yaml": """\
channels:
  web:
    placements: {hero: {}}
  sales:
    placements: {desk: {limit: 2}}
""",
    "models.yaml": "models: {}\n",
    "actions/sales.yaml": """\
issue: sales
groups:
  internet:
    actions:
      fibre_500:
        propensity: 0.1
        value: 100
        offers:
          - name: loyal_20
            when: customer.tenure_months > 24.0
            valid_for: 14d
            terms: {price: 39.99, discount: 20}
          - {name: cart, when: 'context.page == "cart"', valid_for: 1d, terms: {price: 44.5, discount: 11}}
          - name: standard
            when: has(customer.tenure_months)
            valid_for: 7d
            terms: {price: 49.99, discount: 0}
        treatments:
          fibre_hero: {channel: web, content: {headline: "Fibre 500 for {price} EUR", price: "{price}"}}
          fibre_desk: {channel: sales, content: {text: "Offer {discount} % off"}}
      dsl_50:
        propensity: 0.1
        treatments:
          dsl_hero: {channel: web, content: {headline: "{no} placeholder"}}
          dsl_desk: {channel: sales}
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace in which one of two actions has offers."""
    for name, text in FILES.items():
        path = tmp_path / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "shop"


@pytest.fixture
def client(serve: Serve, folder: Path) -> Iterator[httpx.Client]:
    """A client of a service of that workspace."""
    with serve(workspace=folder, token_secret=SECRET) as served:
        yield served


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "actions/sales.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def tenure(client: httpx.Client, customer_id: str, months: float) -> None:
    path = f"/v1/customers/{customer_id}"
    assert client.put(path, json={"profile": {"tenure_months": months}}).status_code == 204


def decide(client: httpx.Client, customer_id: str, channel: str = "web", **request: Any) -> dict[str, Any]:
    asked = {"customer_id": customer_id, "channel": channel, **request}
    answer = client.post("/v1/decisions", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def fibre(decision: dict[str, Any]) -> dict[str, Any]:
    """The action of an answer that has offers."""
    actions = [action for placement in decision["placements"] for action in placement["actions"]]
    return next(action for action in actions if action["action"] == "fibre_500")


def view(client: httpx.Client, customer_id: str) -> dict[str, Any]:
    return client.get(f"/v1/customers/{customer_id}").json()  # type: ignore[no-any-return]


def test_the_seller_offers_what_the_web_page_showed_also_when_the_customer_has_changed(
    client: httpx.Client,
) -> None:
    tenure(client, "one-voice-1", 30)
    shown = fibre(decide(client, "one-voice-1"))
    assert shown["offer"]["name"] == "loyal_20"
    assert shown["offer"]["terms"] == {"price": 39.99, "discount": 20}
    assert shown["content"] == {"headline": "Fibre 500 for 39.99 EUR", "price": 39.99}
    tenure(client, "one-voice-1", 3)
    advised = fibre(decide(client, "one-voice-1", "sales"))
    assert advised["offer"] == shown["offer"]
    assert advised["content"] == {"text": "Offer 20 % off"}
    tenure(client, "one-voice-2", 3)
    assert fibre(decide(client, "one-voice-2", "sales"))["offer"]["name"] == "standard"


def test_after_its_validity_an_offer_makes_way_for_the_one_of_now(serve: Serve, folder: Path) -> None:
    edit(folder, "valid_for: 14d", "valid_for: 1s")
    with serve(workspace=folder) as client:
        tenure(client, "one-voice-3", 30)
        shown = fibre(decide(client, "one-voice-3"))["offer"]
        assert shown["name"] == "loyal_20"
        tenure(client, "one-voice-3", 3)
        patience = time.monotonic() + 30
        while (offer := fibre(decide(client, "one-voice-3", "sales"))["offer"]) == shown:
            assert time.monotonic() < patience
            time.sleep(0.1)
        assert (offer["name"], offer["terms"]["price"]) == ("standard", 49.99)
        assert [kept["name"] for kept in view(client, "one-voice-3")["offers"]] == ["standard"]


def test_an_action_without_offers_has_none_and_its_texts_keep_their_braces(client: httpx.Client) -> None:
    (dsl,) = decide(client, "one-voice-4", exclude=["fibre_500"])["placements"][0]["actions"]
    assert (dsl["offer"], dsl["content"]) == (None, {"headline": "{no} placeholder"})


def test_an_action_whose_offers_are_all_for_others_is_explained_as_such(client: httpx.Client) -> None:
    explanation = decide(client, "one-voice-5", explain="full")["explanation"]
    (entry,) = (candidate for candidate in explanation if candidate["action"] == "fibre_500")
    assert (entry["stage"], entry["rule"]) == ("eligibility", "no_offer")


def test_a_dry_run_shows_the_offer_and_keeps_nothing(client: httpx.Client) -> None:
    tenure(client, "one-voice-6", 30)
    assert fibre(decide(client, "one-voice-6", dry_run=True))["offer"]["name"] == "loyal_20"
    assert view(client, "one-voice-6")["offers"] == []
    tenure(client, "one-voice-6", 3)
    assert fibre(decide(client, "one-voice-6"))["offer"]["name"] == "standard"
    tenure(client, "one-voice-6", 30)
    assert fibre(decide(client, "one-voice-6", dry_run=True))["offer"]["name"] == "standard"


def test_the_view_of_a_customer_shows_what_they_can_rely_on_and_erasure_ends_it(client: httpx.Client) -> None:
    tenure(client, "one-voice-7", 30)
    decision = decide(client, "one-voice-7")
    offer = fibre(decision)["offer"]
    (kept,) = view(client, "one-voice-7")["offers"]
    assert kept.pop("made_at") < offer["valid_until"]
    assert kept == {
        "action": "fibre_500",
        **offer,
        "channel": "web",
        "decision_id": decision["decision_id"],
    }
    assert client.delete("/v1/customers/one-voice-7").status_code == 204
    tenure(client, "one-voice-7", 3)
    assert fibre(decide(client, "one-voice-7"))["offer"]["name"] == "standard"


def test_a_visitor_who_is_known_by_nothing_else_is_promised_something_too(client: httpx.Client) -> None:
    visit = {"anonymous_id": "one-voice-8", "channel": "web", "context": {"page": "cart"}}
    shown = fibre(client.post("/v1/decisions", json=visit).json())["offer"]
    assert shown["name"] == "cart"
    later = {"anonymous_id": "one-voice-8", "channel": "sales"}
    assert fibre(client.post("/v1/decisions", json=later).json())["offer"] == shown


def test_channels_that_ask_at_once_on_two_workers_never_promise_different_things(
    serve: Serve, folder: Path
) -> None:
    """The offer depends on the page, so those that ask differ in what they would offer."""
    asked = [("web", {"page": "cart"}), ("web", {"page": "home"}), ("sales", {})]
    with serve(workspace=folder) as one, serve(workspace=folder) as other:
        for number in range(5):
            customer_id = f"one-voice-at-once-{number}"
            tenure(one, customer_id, 3)
            calls = [
                (client, channel, context)
                for (channel, context), client, _ in zip(
                    cycle(asked), cycle([one, other]), range(24), strict=False
                )
            ]

            def call(
                what: tuple[httpx.Client, str, dict[str, str]], name: str = customer_id
            ) -> dict[str, Any]:
                client, channel, context = what
                return decide(client, name, channel, context=context)

            with ThreadPoolExecutor(12) as pool:
                decisions = list(pool.map(call, calls))
            assert {decision["mode"] for decision in decisions} == {"full"}
            offers = [fibre(decision)["offer"] for decision in decisions]
            assert all(offer == offers[0] for offer in offers)
            (kept,) = view(one, customer_id)["offers"]
            assert {name: kept[name] for name in offers[0]} == offers[0]


def test_one_call_with_many_requests_of_a_customer_promises_one_thing(client: httpx.Client) -> None:
    tenure(client, "one-voice-9", 3)
    requests = [
        {"customer_id": "one-voice-9", "channel": "web", "context": {"page": page}}
        for page in ("home", "cart") * 10
    ]
    answer = client.post("/v1/decisions/batch", json={"requests": requests}).json()["decisions"]
    offers = [fibre(decision)["offer"] for decision in answer]
    assert all(offer == offers[0] for offer in offers)


def test_kept_terms_outlive_a_change_of_prices_and_of_the_catalogue(serve: Serve, folder: Path) -> None:
    with serve(workspace=folder) as client:
        tenure(client, "one-voice-10", 30)
        shown = fibre(decide(client, "one-voice-10"))
        edit(folder, "price: 39.99", "price: 45")
        edit(folder, "name: loyal_20", "name: loyal_10")
        edit(folder, "Fibre 500 for {price} EUR", "Now only {price} EUR")
        assert client.post("/v1/admin/reload").status_code == 200
        after = fibre(decide(client, "one-voice-10"))
        assert after["offer"] == shown["offer"]
        assert after["content"] == {"headline": "Now only 39.99 EUR", "price": 39.99}
        tenure(client, "one-voice-11", 30)
        assert fibre(decide(client, "one-voice-11"))["offer"]["terms"]["price"] == 45


def test_a_kept_offer_that_the_new_texts_cannot_say_is_not_replaced_by_another(
    serve: Serve, folder: Path
) -> None:
    with serve(workspace=folder) as client:
        tenure(client, "one-voice-12", 30)
        decide(client, "one-voice-12")
        edit(folder, "price: 39.99", "fee: 1, price: 39.99")
        edit(folder, "price: 44.5", "fee: 1, price: 44.5")
        edit(folder, "price: 49.99", "fee: 1, price: 49.99")
        edit(folder, "Offer {discount} % off", "Offer {discount} % off, {fee} EUR once")
        assert client.post("/v1/admin/reload").status_code == 200
        explanation = decide(client, "one-voice-12", explain="full")["explanation"]
        (entry,) = (candidate for candidate in explanation if candidate["action"] == "fibre_500")
        assert (entry["stage"], entry["rule"]) == ("eligibility", "kept_offer_unsayable")
        tenure(client, "one-voice-13", 30)
        assert fibre(decide(client, "one-voice-13", "sales"))["content"]["text"].endswith("1 EUR once")


def test_the_token_and_the_log_of_outcomes_say_which_offer_it_was(
    client: httpx.Client, world_store: EmbeddedStore
) -> None:
    tenure(client, "one-voice-14", 30)
    token = fibre(decide(client, "one-voice-14"))["token"]
    assert Signer(SECRET.encode()).verify(token, time.time()).offer == "loyal_20"
    assert client.post("/v1/outcomes", json={"token": token, "outcome": "accept"}).status_code == 202
    with redis.Redis.from_url(world_store.url) as store:
        entries: Any = store.xrevrange(OUTCOME_LOG)
    logged = [outcome for _, entry in entries for outcome in unpack_outcomes(entry[b"outcomes"])]
    assert [o.offer for o in logged if o.customer_id == "one-voice-14"] == ["loyal_20"]


def test_offers_are_counted_by_what_became_of_them(client: httpx.Client) -> None:
    def counted(promise: str) -> float:
        return metric(client, "arbiter_offers_total", action="fibre_500", offer="loyal_20", promise=promise)

    before = {promise: counted(promise) for promise in ("made", "kept")}
    tenure(client, "one-voice-15", 30)
    decide(client, "one-voice-15", dry_run=True)
    for _ in range(3):
        decide(client, "one-voice-15")
    assert {promise: counted(promise) - before[promise] for promise in before} == {"made": 1, "kept": 2}


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    """A store of the test's own, to be disturbed."""
    with EmbeddedStore(tmp_path / "own") as server:
        yield server


def test_an_offer_that_the_store_refuses_to_keep_is_answered_as_degraded(
    serve: Serve, folder: Path, own_store: EmbeddedStore
) -> None:
    with serve(workspace=folder, redis_url=own_store.url) as client:
        tenure(client, "one-voice-16", 30)
        with redis.Redis.from_url(own_store.url) as store:
            store.config_set("maxmemory", "1")
            refused = decide(client, "one-voice-16")
            store.config_set("maxmemory", "0")
        assert fibre(refused)["offer"]["name"] == "loyal_20"
        assert (refused["mode"], refused["degraded"]) == ("degraded", ["offers:unavailable"])
        assert view(client, "one-voice-16")["offers"] == []
        assert metric(client, "arbiter_offers_total", promise="unkept") >= 1
        assert decide(client, "one-voice-16")["mode"] == "full"


def test_without_a_store_offers_are_made_by_what_is_known_and_the_answer_says_so(
    serve: Serve, folder: Path, unused_url: Callable[[], str]
) -> None:
    with serve(workspace=folder, redis_url=unused_url()) as client:
        decision = decide(client, "one-voice-17", context={"page": "cart"})
        assert fibre(decision)["offer"]["name"] == "cart"
        assert decision["degraded"] == ["features:unavailable", "offers:unavailable"]


@pytest.fixture
def unused_url() -> Callable[[], str]:
    """The URL of a store that nobody listens for."""
    return lambda: "redis://127.0.0.1:1"


def test_a_workspace_with_offers_can_be_copied_and_served_again(
    serve: Serve, folder: Path, tmp_path: Path
) -> None:
    """A worker that starts later keeps what the others have promised."""
    with serve(workspace=folder) as client:
        tenure(client, "one-voice-18", 30)
        shown = fibre(decide(client, "one-voice-18"))["offer"]
    shutil.copytree(folder, tmp_path / "copy")
    with serve(workspace=tmp_path / "copy") as later:
        tenure(later, "one-voice-18", 3)
        assert fibre(decide(later, "one-voice-18", "sales"))["offer"] == shown
