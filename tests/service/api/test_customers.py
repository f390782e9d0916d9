"""`/v1/customers/{id}`, over real HTTP."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from feature_store.schema import Feature, FeatureType, Source
from service.workspace.loading import Workspace


def profile_feature(world: Workspace, kind: FeatureType) -> Feature:
    return next(f for f in world.schema.by_source(Source.PROFILE) if f.type is kind)


def put(client: httpx.Client, customer_id: str, body: Any) -> httpx.Response:
    return client.put(f"/v1/customers/{quote(customer_id, safe='')}", json=body)


def get(client: httpx.Client, customer_id: str) -> dict[str, Any]:
    answer = client.get(f"/v1/customers/{quote(customer_id, safe='')}")
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def test_a_loaded_customer_has_a_profile_behaviour_account_and_history(
    client: httpx.Client, customer_ids: list[str]
) -> None:
    customer = get(client, customer_ids[0])
    assert set(customer) == {
        "customer_id",
        "account_id",
        "profile",
        "behaviour",
        "derived",
        "updated_at",
        "consents",
        "history",
        "offers",
    }
    assert customer["profile"]
    assert customer["behaviour"]
    assert customer["updated_at"].endswith("Z")


@pytest.mark.parametrize("customer_id", ["put-1", "ä{b}c", "a/b", "a b?c#d", "x" * 128, "💡"])
def test_what_is_written_is_read_again_whatever_the_id_looks_like(
    client: httpx.Client, world: Workspace, customer_id: str
) -> None:
    number, flag = profile_feature(world, FeatureType.NUMBER), profile_feature(world, FeatureType.FLAG)
    category, names = profile_feature(world, FeatureType.CATEGORY), profile_feature(world, FeatureType.SET)
    profile = {
        number.name: 0.1,
        flag.name: True,
        category.name: category.levels[-1],
        names.name: [names.members[1], names.members[0]],
        profile_feature(world, FeatureType.TIMESTAMP).name: "2026-01-31T12:00:00Z",
    }
    assert put(client, customer_id, {"profile": profile, "account_id": "a1"}).status_code == 204
    read = get(client, customer_id)
    assert read["customer_id"] == customer_id
    assert read["account_id"] == "a1"
    assert read["profile"] == {**profile, names.name: sorted(names.members[:2], key=names.members.index)}


def test_features_that_are_not_named_stay_and_null_makes_one_missing(
    client: httpx.Client, world: Workspace
) -> None:
    number, flag = profile_feature(world, FeatureType.NUMBER), profile_feature(world, FeatureType.FLAG)
    put(client, "put-2", {"profile": {number.name: 1, flag.name: True}})
    put(client, "put-2", {"profile": {flag.name: False}})
    assert get(client, "put-2")["profile"] == {number.name: 1.0, flag.name: False}
    put(client, "put-2", {"profile": {number.name: None}})
    assert get(client, "put-2")["profile"] == {flag.name: False}


def test_with_one_bad_value_nothing_is_written_and_every_fault_is_told(
    client: httpx.Client, world: Workspace
) -> None:
    number, category = (
        profile_feature(world, FeatureType.NUMBER),
        profile_feature(world, FeatureType.CATEGORY),
    )
    misspelt = number.name + "x"
    answer = put(client, "put-3", {"profile": {number.name: 1, category.name: "no such level", misspelt: 1}})
    assert answer.status_code == 422
    faults = {fault["path"]: fault["message"] for fault in answer.json()["errors"]}
    assert set(faults) == {f"profile.{category.name}", f"profile.{misspelt}"}
    assert f"did you mean '{number.name}'" in faults[f"profile.{misspelt}"]
    assert client.get("/v1/customers/put-3").status_code == 404


def test_behaviour_and_context_cannot_be_written_as_profile(client: httpx.Client, world: Workspace) -> None:
    names = [world.schema.by_source(source)[0].name for source in (Source.BEHAVIOUR, Source.CONTEXT)]
    answer = put(client, "put-4", {"profile": dict.fromkeys(names, 1)})
    assert len(answer.json()["errors"]) == 2


def test_the_next_decision_sees_what_was_written(client: httpx.Client, world: Workspace) -> None:
    asked = {"customer_id": "put-5", "channel": "web"}

    def priorities() -> list[float]:
        placements = client.post("/v1/decisions", json=asked).json()["placements"]
        return [action["priority"] for p in placements for action in p["actions"]]

    before = priorities()
    numbers = [f for f in world.schema.by_source(Source.PROFILE) if f.type is FeatureType.NUMBER]
    put(client, "put-5", {"profile": {feature.name: 1e6 for feature in numbers}})
    assert priorities() != before


def test_an_erased_customer_is_gone_with_all_that_was_known(client: httpx.Client, world: Workspace) -> None:
    flag = profile_feature(world, FeatureType.FLAG)
    put(client, "erase-1", {"profile": {flag.name: True}})
    offered = client.post("/v1/decisions", json={"customer_id": "erase-1", "channel": "web"}).json()
    token = offered["placements"][0]["actions"][0]["token"]
    assert client.post("/v1/outcomes", json={"token": token, "outcome": "click"}).status_code == 202
    assert client.delete("/v1/customers/erase-1").status_code == 204
    assert client.get("/v1/customers/erase-1").status_code == 404
    assert client.delete("/v1/customers/erase-1").status_code == 204


@pytest.mark.parametrize("customer_id", ["x" * 129, "anonymous:v1"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_id_that_cannot_be_a_customers_is_refused(
    client: httpx.Client, method: str, customer_id: str
) -> None:
    answer = client.request(method, f"/v1/customers/{customer_id}", json={})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "customer_id"


def test_null_removes_the_account_and_silence_leaves_it(client: httpx.Client) -> None:
    put(client, "put-6", {"account_id": "a1"})
    put(client, "put-6", {"profile": {}})
    assert get(client, "put-6")["account_id"] == "a1"
    put(client, "put-6", {"account_id": None})
    assert client.get("/v1/customers/put-6").json().get("account_id") is None


def test_many_unknown_features_are_all_told_but_only_the_first_with_a_hint(
    client: httpx.Client, world: Workspace
) -> None:
    misspelt = profile_feature(world, FeatureType.NUMBER).name + "x"
    answer = put(client, "put-7", {"profile": {f"{misspelt}{index}": 1 for index in range(500)}})
    messages = [fault["message"] for fault in answer.json()["errors"]]
    assert len(messages) == 500
    assert sum("did you mean" in message for message in messages) == 10
