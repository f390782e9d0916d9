"""Rules, consent, the emergency exclusion and reloading, over real HTTP."""

import shutil
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from feature_store.schema import FeatureType, Source
from service.workspace.loading import Workspace

Serve = Any  # the fixture that starts a service


@pytest.fixture
def folder(world: Workspace, tmp_path: Path) -> Path:
    """A copy of the world, to change."""
    copy = tmp_path / "world"
    shutil.copytree(world.folder, copy)
    return copy


def policies(folder: Path, **changes: Any) -> None:
    """Write policies.yaml."""
    (folder / "policies.yaml").write_text(yaml.safe_dump(changes))


def explained(client: httpx.Client, customer_id: str = "c1") -> dict[str, dict[str, Any]]:
    """Every candidate of a decision, by its action."""
    asked = {"customer_id": customer_id, "channel": "web", "explain": "full"}
    answer = client.post("/v1/decisions", json=asked)
    assert answer.status_code == 200, answer.text
    return {entry["action"]: entry for entry in answer.json()["explanation"]}


def rules_that_spoke(client: httpx.Client, customer_id: str = "c1") -> set[str]:
    return {entry["rule"] for entry in explained(client, customer_id).values() if entry["rule"]}


def test_a_rule_takes_out_its_actions_and_says_what_it_saw(
    serve: Serve, folder: Path, world: Workspace
) -> None:
    number = next(f for f in world.schema.by_source(Source.PROFILE) if f.type is FeatureType.NUMBER)
    action = world.catalogue.actions[0]
    source = f"customer.{number.name} > 1e9"
    policies(
        folder, eligibility=[{"name": "rich", "when": source, "action": action.name, "description": "Rich"}]
    )
    with serve(workspace=folder) as client:
        client.put("/v1/customers/rule-1", json={"profile": {number.name: 5}})
        poor = explained(client, "rule-1")[action.name]
        assert (poor["stage"], poor["rule"], poor["meaning"]) == ("eligibility", "rich", "Rich")
        assert (poor["source"], poor["observed"]) == (source, {f"customer.{number.name}": 5.0})
        client.put("/v1/customers/rule-1", json={"profile": {number.name: 2e9}})
        assert explained(client, "rule-1")[action.name]["rule"] != "rich"


def test_consent_is_set_obeyed_shown_and_taken_back(serve: Serve, folder: Path) -> None:
    policies(folder, consent={"marketing": {"channels": ["web"], "unknown": "denied"}})
    path = "/v1/customers/consent-1/consents"
    with serve(workspace=folder) as client:
        entry = next(iter(explained(client, "consent-1").values()))
        assert (entry["stage"], entry["rule"]) == ("consent", "marketing")
        assert entry["observed"] == {"consent.marketing.web": "unknown"}
        empty = client.post("/v1/decisions", json={"customer_id": "consent-1", "channel": "web"}).json()
        assert {p["no_action"]["reason"] for p in empty["placements"]} == {"no_consent"}
        granted = {"consents": {"marketing": {"web": "granted"}}}
        assert client.put(path, json=granted).status_code == 204
        assert "marketing" not in rules_that_spoke(client, "consent-1")
        shown = client.get("/v1/customers/consent-1").json()["consents"]
        assert shown["marketing"]["web"]["state"] == "granted"
        assert shown["marketing"]["web"]["at"].endswith("Z")
        client.put(path, json={"consents": {"marketing": {"web": "denied"}}})
        assert "marketing" in rules_that_spoke(client, "consent-1")
        client.put(path, json={"consents": {"marketing": {"web": None}}})
        assert client.get("/v1/customers/consent-1").status_code == 404


def test_a_consent_to_nothing_that_exists_is_refused_with_every_fault(serve: Serve, folder: Path) -> None:
    policies(folder, consent={"marketing": {"channels": ["web"], "unknown": "denied"}})
    with serve(workspace=folder) as client:
        body = {"consents": {"marketting": {"web": "granted"}, "marketing": {"wbe": "granted"}}}
        answer = client.put("/v1/customers/consent-2/consents", json=body)
        assert answer.status_code == 422
        assert [fault["path"] for fault in answer.json()["errors"]] == [
            "consents.marketting",
            "consents.marketing.wbe",
        ]
        assert "did you mean 'marketing'" in answer.text
        body = {"consents": {"marketing": {"web": "yes"}}}
        assert client.put("/v1/customers/consent-2/consents", json=body).status_code == 422
        assert client.get("/v1/customers/consent-2").status_code == 404


def test_the_documented_example_of_a_consent_works_as_it_stands(serve: Serve, folder: Path) -> None:
    policies(folder, consent={"marketing": {"channels": ["web"], "unknown": "granted"}})
    with serve(workspace=folder) as client:
        path = "/v1/customers/{customer_id}/consents"
        operation = client.get("/openapi.json").json()["paths"][path]["put"]
        body = operation["requestBody"]["content"]["application/json"]["example"]
        assert client.put(path.format(customer_id="consent-3"), json=body).status_code == 204


def test_an_emergency_exclusion_is_live_on_every_worker_within_a_second_of_the_reload(
    serve: Serve, folder: Path, world: Workspace
) -> None:
    action = world.catalogue.actions[0].name
    with serve(workspace=folder) as one, serve(workspace=folder) as other:
        assert explained(one)[action]["rule"] != "emergency_exclusion"
        policies(folder, emergency_exclusion=[action])
        assert explained(other)[action]["rule"] != "emergency_exclusion"
        answer = one.post("/v1/admin/reload")
        assert (answer.status_code, answer.json()["announced"]) == (200, True)
        stopped = explained(one)[action]
        assert (stopped["stage"], stopped["rule"]) == ("availability", "emergency_exclusion")
        patience = time.monotonic() + 10
        while explained(other)[action]["rule"] != "emergency_exclusion":
            assert time.monotonic() < patience
        versions = [client.get("/health/ready").json()["versions"] for client in (one, other)]
        assert versions == [answer.json()["versions"]] * 2


def test_a_workspace_that_can_not_be_used_changes_nothing_and_every_problem_is_told(
    serve: Serve, folder: Path
) -> None:
    with serve(workspace=folder) as client:
        before = client.get("/health/ready").json()["versions"]
        policies(
            folder,
            eligibility=[{"name": "a", "when": "customer.nobody > 1"}],
            emergency_exclusion=["no_such_action"],
        )
        answer = client.post("/v1/admin/reload")
        assert answer.status_code == 422
        problem = answer.json()
        assert problem["type"] == "urn:arbiter:problem:invalid-workspace"
        assert [fault["path"].split(":")[0] for fault in problem["errors"]] == ["policies.yaml"] * 2
        assert "there is no feature 'customer.nobody'" in problem["errors"][0]["message"]
        assert client.get("/health/ready").json()["versions"] == before
        assert explained(client)
        policies(folder)
        assert client.post("/v1/admin/reload").status_code == 200


def test_a_damaged_model_changes_nothing_and_is_told(serve: Serve, folder: Path) -> None:
    with serve(workspace=folder) as client:
        for path in (folder / "models").glob("*/champion"):
            path.write_text("20200101T000000Z-00000000")
        answer = client.post("/v1/admin/reload")
        assert answer.status_code == 422
        assert {fault["path"] for fault in answer.json()["errors"]} == {"models/model_1", "models/model_2"}
        assert explained(client)


def test_a_feature_that_comes_with_a_reload_is_known_at_once(serve: Serve, folder: Path) -> None:
    with serve(workspace=folder) as client:
        path = folder / "features.yaml"
        features = yaml.safe_load(path.read_text())
        features["features"]["shoe_size"] = {"type": "number", "source": "profile", "description": "EU size"}
        path.write_text(yaml.safe_dump(features, sort_keys=False))
        policies(folder, eligibility=[{"name": "big_feet", "when": "customer.shoe_size > 45.0"}])
        before = client.get("/v1/customers/c1").json()["profile"]
        assert client.post("/v1/admin/reload").status_code == 200
        assert client.put("/v1/customers/c1", json={"profile": {"shoe_size": 47}}).status_code == 204
        assert client.get("/v1/customers/c1").json()["profile"] == {**before, "shoe_size": 47.0}
        assert "big_feet" not in rules_that_spoke(client, "c1")
        assert "big_feet" in rules_that_spoke(client, "c2")


def test_no_answer_is_lost_or_mixed_while_configurations_are_swapped(serve: Serve, folder: Path) -> None:
    """Each version stops one action: an answer shows the stop of the version that it is stamped with."""
    with serve(workspace=folder) as client:
        names = [action["action"] for action in client.get("/v1/catalogue").json()["actions"]][:2]
        stopped: dict[str, str] = {}
        for name in names:
            policies(folder, emergency_exclusion=[name])
            stopped[client.post("/v1/admin/reload").json()["versions"]["catalogue"]] = name
        assert len(stopped) == 2
        answers: list[dict[str, Any]] = []
        done = threading.Event()

        def ask() -> None:
            with httpx.Client(base_url=client.base_url, timeout=30) as own:
                while not done.is_set():
                    asked = {"customer_id": "c1", "channel": "web", "explain": "full"}
                    answer = own.post("/v1/decisions", json=asked)
                    answers.append({"status": answer.status_code, **answer.json()})

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for turn in range(8):
            policies(folder, emergency_exclusion=[names[turn % 2]])
            assert client.post("/v1/admin/reload").status_code == 200
        done.set()
        for thread in threads:
            thread.join()
    assert {answer["status"] for answer in answers} == {200}
    for answer in answers:
        out = {e["action"] for e in answer["explanation"] if e["rule"] == "emergency_exclusion"}
        assert out == {stopped[answer["versions"]["catalogue"]]}
    assert {answer["versions"]["catalogue"] for answer in answers} == set(stopped)
