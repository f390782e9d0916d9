"""`POST /v1/decisions` and its batch, over real HTTP."""

import math
import socket
from typing import Any

import httpx
import pytest

from service.workspace.loading import Workspace

WEB = {"channel": "web", "context": {"page": "home", "device": "desktop", "cart_value": 20}}


def decide(client: httpx.Client, **request: Any) -> dict[str, Any]:
    answer = client.post("/v1/decisions", json={"customer_id": "c1", **WEB, **request})
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def refused(client: httpx.Client, status: int = 422, **request: Any) -> dict[str, str]:
    answer = client.post("/v1/decisions", json=request)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return {fault["path"]: fault["message"] for fault in answer.json()["errors"]}


def offered(decision: dict[str, Any]) -> list[dict[str, Any]]:
    return [action for placement in decision["placements"] for action in placement["actions"]]


def test_an_answer_has_everything_that_the_contract_names(client: httpx.Client, world: Workspace) -> None:
    decision = decide(client)
    assert set(decision) == {
        "decision_id", "customer_id", "anonymous_id", "channel", "placements", "arm", "experiments", "mode",
        "degraded", "warnings", "versions", "timings_ms",
    }  # fmt: skip
    assert (decision["customer_id"], decision["channel"], decision["mode"]) == ("c1", "web", "full")
    assert decision["versions"]["catalogue"] == world.catalogue.version
    assert decision["versions"]["features"] == world.schema.fingerprint
    assert set(decision["versions"]["models"]) == set(world.specs)
    assert set(decision["timings_ms"]) == {"features", "scoring", "total"}
    assert set(offered(decision)[0]) == {
        "rank", "issue", "group", "action", "treatment", "propensity", "context_weight", "value", "lever",
        "priority", "selection_probability", "bundle", "offer", "content", "token",
    }  # fmt: skip


def test_all_placements_of_the_channel_are_filled_within_their_limits(
    client: httpx.Client, world: Workspace
) -> None:
    channel = world.catalogue.channels[world.catalogue.channel_index["web"]]
    placements = decide(client)["placements"]
    assert [placement["id"] for placement in placements] == [p.id for p in channel.placements]
    for placement, declared in zip(placements, channel.placements, strict=True):
        ranks = [action["rank"] for action in placement["actions"]]
        assert ranks == list(range(1, len(ranks) + 1))
        assert len(ranks) <= declared.limit
        assert (placement["no_action"] is None) == bool(ranks)


def test_priority_is_the_product_of_the_factors_that_the_answer_shows(client: httpx.Client) -> None:
    for action in offered(decide(client)):
        product = action["propensity"] * action["context_weight"] * action["value"] * action["lever"]
        assert math.isclose(action["priority"], product)


def test_placements_come_in_the_order_and_size_asked_for(client: httpx.Client) -> None:
    asked = [{"id": "home_tiles", "limit": 2}, {"id": "home_hero"}]
    placements = decide(client, placements=asked)["placements"]
    assert [placement["id"] for placement in placements] == ["home_tiles", "home_hero"]
    assert len(placements[0]["actions"]) == 2


def test_no_action_is_offered_twice_in_one_answer(client: httpx.Client) -> None:
    names = [action["action"] for action in offered(decide(client))]
    assert len(set(names)) == len(names)


def test_an_excluded_action_is_not_offered(client: httpx.Client) -> None:
    best = offered(decide(client))[0]["action"]
    decision = decide(client, exclude=[best, "gone_long_ago"])
    assert best not in [action["action"] for action in offered(decision)]
    assert len(decision["warnings"]) == 1
    assert "gone_long_ago" in decision["warnings"][0]


def test_with_everything_excluded_each_placement_says_why_it_is_empty(
    client: httpx.Client, world: Workspace
) -> None:
    everything = [action.name for action in world.catalogue.actions]
    for placement in decide(client, exclude=everything)["placements"]:
        assert placement["actions"] == []
        assert placement["no_action"] == {"reason": "nothing_available", "stage": "availability"}


def test_an_unknown_customer_is_decided_on_defaults(client: httpx.Client) -> None:
    decision = decide(client, customer_id="never-seen")
    assert (decision["mode"], decision["degraded"]) == ("full", [])
    assert offered(decision)


def test_a_visitor_is_decided_for_by_anonymous_id(client: httpx.Client) -> None:
    answer = client.post("/v1/decisions", json={"anonymous_id": "v1", **WEB})
    assert answer.status_code == 200
    assert (answer.json()["customer_id"], answer.json()["anonymous_id"]) == (None, "v1")


def test_the_same_question_gets_the_same_actions(client: httpx.Client) -> None:
    def comparable(decision: dict[str, Any]) -> list[dict[str, Any]]:
        return [{**action, "token": None} for action in offered(decision)]

    first, second = decide(client, customer_id="c7"), decide(client, customer_id="c7")
    assert comparable(first) == comparable(second)
    assert first["decision_id"] != second["decision_id"]


def test_customers_differ_in_their_propensities(client: httpx.Client, customer_ids: list[str]) -> None:
    seen = {
        offered(decide(client, customer_id=customer_id))[0]["propensity"] for customer_id in customer_ids[:20]
    }
    assert len(seen) > 10


def test_what_the_context_says_changes_the_decision(client: httpx.Client) -> None:
    seen = {
        offered(decide(client, customer_id="c3", context={"cart_value": value}))[0]["priority"]
        for value in (0, 30, 500)
    }
    assert len(seen) > 1


def test_an_unknown_context_key_or_level_is_left_out_with_a_warning(client: httpx.Client) -> None:
    decision = decide(client, context={"pagee": "home", "device": "fridge"})
    assert decision["mode"] == "full"
    assert len(decision["warnings"]) == 2
    assert "did you mean 'page'" in decision["warnings"][0]
    assert "fridge" in decision["warnings"][1]


def test_an_explanation_tells_every_candidate_of_the_catalogue_with_what_took_it_out(
    client: httpx.Client, world: Workspace
) -> None:
    decision = decide(client, explain="full")
    explanation = decision["explanation"]
    assert sorted(c["action"] for c in explanation) == sorted(a.name for a in world.catalogue.actions)
    chosen = [c["action"] for c in explanation if c["stage"] is None]
    assert sorted(chosen) == sorted(action["action"] for action in offered(decision))
    for candidate in explanation:
        assert (candidate["rule"] is None) == (candidate["stage"] is None)


def test_factors_explain_only_what_reached_arbitration(client: httpx.Client) -> None:
    for candidate in decide(client, explain="factors")["explanation"]:
        assert candidate["priority"] is not None


def test_every_fault_of_a_body_is_told_at_once_with_its_path(client: httpx.Client) -> None:
    faults = refused(
        client,
        customer_id="c1",
        channel="web",
        placements=[{"id": "home_hero", "limit": 0}, {}],
        explain="some",
        deadline_ms=-1,
        limit=3,
    )
    assert set(faults) == {
        "placements[0].limit",
        "placements[1].id",
        "explain",
        "deadline_ms",
        "limit",
    }


def test_names_that_are_not_in_the_catalogue_are_told_with_what_would_be_right(client: httpx.Client) -> None:
    assert "did you mean 'web'" in refused(client, customer_id="c1", channel="wep")["channel"]
    faults = refused(
        client,
        customer_id="c1",
        channel="web",
        placements=[{"id": "home_heros"}, {"id": "home_tiles"}, {"id": "home_tiles"}],
        context={"cart_value": "a lot"},
    )
    assert "did you mean 'home_hero'" in faults["placements[0].id"]
    assert "twice" in faults["placements[2].id"]
    assert "number" in faults["context.cart_value"]


@pytest.mark.parametrize(
    "customer",
    [{}, {"customer_id": ""}, {"customer_id": "x" * 129}, {"customer_id": 5}, {"customer_id": "anonymous:1"}],
)
def test_a_customer_must_be_named_rightly(client: httpx.Client, customer: dict[str, Any]) -> None:
    assert refused(client, channel="web", **customer)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 422),
        (b"null", 422),
        (b'{"customer_id": "\\ud800", "channel": "web"}', 400),
        (b'{"customer_id": "c1", "channel": "\xff"}', 400),
        (b'{"customer_id": "c1", "channel": "web", "context": {"cart_value": 1e999}}', 422),
        (b'{"customer_id": "c1", "channel": "web", "context": {"cart_value": ' + b"9" * 400 + b"}}", 422),
        (b"[" * 100_000, 400),
    ],
)
def test_a_body_that_cannot_be_used_gets_a_problem_and_never_a_500(
    client: httpx.Client, body: bytes, status: int
) -> None:
    answer = client.post("/v1/decisions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= set(answer.json())


def test_a_body_of_another_type_or_too_large_is_refused(client: httpx.Client) -> None:
    answer = client.post("/v1/decisions", content=b"a=b", headers={"content-type": "text/plain"})
    assert answer.status_code == 415
    assert client.post("/v1/decisions", content=b" " * 3_000_000).status_code == 413


def test_a_batch_answers_in_order_and_a_bad_request_does_not_spoil_the_others(client: httpx.Client) -> None:
    good = {"customer_id": "c5", **WEB}
    requests = [
        good,
        {"channel": "web"},
        "nonsense",
        {**good, "channel": "wep"},
        {**good, "customer_id": "c6"},
    ]
    answer = client.post("/v1/decisions/batch", json={"requests": requests})
    assert answer.status_code == 200
    decisions = answer.json()["decisions"]
    assert [d.get("customer_id", d.get("status")) for d in decisions] == ["c5", 422, 422, 422, "c6"]
    assert decisions[3]["errors"][0]["path"] == "channel"


def test_a_batch_decides_as_single_requests_do(client: httpx.Client, customer_ids: list[str]) -> None:
    requests = [{"customer_id": customer_id, **WEB} for customer_id in customer_ids[:300]]
    together = client.post("/v1/decisions/batch", json={"requests": requests}).json()["decisions"]
    for request, decision in list(zip(requests, together, strict=True))[::50]:
        alone = decide(client, **request)
        assert [a["priority"] for a in offered(alone)] == [a["priority"] for a in offered(decision)]


@pytest.mark.parametrize("requests", [[], [{"customer_id": "c1", "channel": "web"}] * 1001])
def test_a_batch_holds_1_to_1000_requests(client: httpx.Client, requests: list[Any]) -> None:
    answer = client.post("/v1/decisions/batch", json={"requests": requests})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "requests"


@pytest.mark.parametrize("loose", [{"dry_run": "yes"}, {"deadline_ms": "50"}, {"exclude": "a"}])
def test_a_value_of_another_type_is_refused_rather_than_guessed_at(
    client: httpx.Client, loose: dict[str, Any]
) -> None:
    assert list(refused(client, customer_id="c1", channel="web", **loose)) == list(loose)


def test_a_batch_explains_as_many_candidates_as_fit_into_an_answer(
    client: httpx.Client, world: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.api.decisions.MAX_EXPLAINED", 2 * len(world.catalogue.actions))
    asked = {"customer_id": "c1", **WEB, "explain": "full"}
    assert client.post("/v1/decisions/batch", json={"requests": [asked] * 2}).status_code == 200
    answer = client.post("/v1/decisions/batch", json={"requests": [asked] * 3})
    assert answer.status_code == 422
    assert "explain" in answer.json()["errors"][0]["message"]


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(client: httpx.Client) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=10) as raw:
        raw.sendall(b"POST /v1/decisions HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n{")
        assert raw.recv(100).startswith(b"HTTP/1.1 413 ")
