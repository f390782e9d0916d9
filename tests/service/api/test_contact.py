"""Contact policies over real HTTP: what one channel has shown counts in all, and is said with its end."""

import shutil
import socket
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from service.workspace.loading import Workspace

from .conftest import metric

Serve = Any  # the fixture that starts a service


@pytest.fixture
def folder(world: Workspace, tmp_path: Path) -> Path:
    """A copy of the world, to change."""
    copy = tmp_path / "world"
    shutil.copytree(world.folder, copy)
    return copy


@pytest.fixture
def customer() -> str:
    """An id that no other test has."""
    return uuid.uuid4().hex


def policies(folder: Path, **contact: Any) -> None:
    (folder / "policies.yaml").write_text(yaml.safe_dump({"contact_policies": contact}))


def cap(name: str, at_most: int, within: str, per: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "at_most": at_most,
        "of": ["impression"],
        "within": within,
        "per": per,
        "without_history": "allow",
        **more,
    }


def ask(client: httpx.Client, customer_id: str, **more: Any) -> dict[str, Any]:
    answer = client.post("/v1/decisions", json={"customer_id": customer_id, "channel": "web", **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def offered(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [action for placement in answer["placements"] for action in placement["actions"]]


def names(answer: dict[str, Any]) -> set[str]:
    return {action["action"] for action in offered(answer)}


def report(client: httpx.Client, actions: list[dict[str, Any]], outcome: str, **more: Any) -> None:
    body = [{"token": action["token"], "outcome": outcome, **more} for action in actions]
    answer = client.post("/v1/outcomes", json=body)
    assert (answer.status_code, answer.json()["accepted"]) == (202, len(body)), answer.text


def explained(client: httpx.Client, customer_id: str) -> dict[str, dict[str, Any]]:
    answer = ask(client, customer_id, explain="full", dry_run=True)
    return {entry["action"]: entry for entry in answer["explanation"]}


def test_what_was_shown_is_not_shown_again_until_its_time(serve: Serve, folder: Path, customer: str) -> None:
    policies(folder, caps=[cap("once_a_day", 1, "1d", "action")])
    with serve(workspace=folder) as client:
        seen = offered(ask(client, customer))[:1]
        shown_at = datetime.now(UTC)
        report(client, seen, "impression", occurred_at=shown_at.isoformat())
        name = seen[0]["action"]
        assert name not in names(ask(client, customer))
        entry = explained(client, customer)[name]
        assert (entry["stage"], entry["rule"]) == ("contact_policy", "once_a_day")
        free = datetime.fromisoformat(entry["cap"].pop("next_free"))
        assert abs(free - shown_at - timedelta(days=1)) < timedelta(milliseconds=1)
        assert entry["cap"] == {
            "name": "once_a_day",
            "kind": "cap",
            "count": 1,
            "at_most": 1,
            "within": "1d",
        }
        report(client, seen, "impression", occurred_at=shown_at.isoformat(), outcome_id="again")
        assert explained(client, customer)[name]["cap"]["count"] == 2


def test_a_no_pauses_the_group_and_an_old_one_does_not(serve: Serve, folder: Path, customer: str) -> None:
    policies(
        folder,
        pauses=[
            {
                "name": "said_no",
                "after": 1,
                "of": ["reject"],
                "pause": "90d",
                "per": "group",
                "without_history": "allow",
            }
        ],
    )
    with serve(workspace=folder) as client:
        first = offered(ask(client, customer))[0]
        report(client, [first], "reject")
        entries = explained(client, customer)
        paused = {name for name, entry in entries.items() if entry["rule"] == "said_no"}
        group = {name for name, entry in entries.items() if entry["group"] == first["group"]}
        assert first["action"] in paused
        assert paused == group


def test_caps_of_an_account_count_what_any_of_its_customers_saw(
    serve: Serve, folder: Path, customer: str
) -> None:
    policies(folder, caps=[cap("household", 1, "7d", "action", unit="account")])
    account, other, stranger = f"home-{customer}", customer + "2", customer + "3"
    with serve(workspace=folder) as client:
        for member in (customer, other):
            client.put(f"/v1/customers/{member}", json={"account_id": account, "profile": {}})
        seen = offered(ask(client, customer))[:1]
        report(client, seen, "impression")
        name = seen[0]["action"]
        assert name not in names(ask(client, other))
        assert name in names(ask(client, stranger))
        assert name not in names(ask(client, stranger, account_id=account))
        alone = offered(ask(client, stranger))[:1]
        report(client, alone, "impression")
        assert alone[0]["action"] not in names(ask(client, stranger))


def test_a_history_that_can_not_be_read_does_what_each_policy_declares(
    serve: Serve, folder: Path, customer: str, world: Workspace
) -> None:
    actions = world.catalogue.actions
    policies(
        folder,
        caps=[
            cap("strict", 1, "1d", "action", action=actions[0].name, without_history="suppress"),
            cap("lax", 1, "1d", "action", action=actions[1].name, without_history="allow"),
        ],
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        away = f"redis://127.0.0.1:{taken.getsockname()[1]}"
    with serve(workspace=folder, redis_url=away) as client:
        before = metric(client, "arbiter_contact_history_unknown_total", why="unreadable")
        answer = ask(client, customer, explain="full")
        entries = {entry["action"]: entry for entry in answer["explanation"]}
        assert "features:unavailable" in answer["degraded"]
        assert entries[actions[0].name]["rule"] == "strict"
        assert entries[actions[0].name]["cap"]["count"] is None
        assert entries[actions[0].name]["cap"]["next_free"] is None
        assert entries[actions[1].name]["rule"] != "lax"
        assert metric(client, "arbiter_contact_history_unknown_total", why="unreadable") == before + 1


def test_at_quiet_hours_nothing_is_said_and_their_end_is_told(
    serve: Serve, folder: Path, customer: str
) -> None:
    now = datetime.now(UTC)
    if now.hour >= 22:
        start, end = "20:00", "01:00"
    else:
        start, end = f"{max(now.hour - 1, 0):02}:00", f"{now.hour + 2:02}:00"
    quiet = {"name": "rest", "from": start, "to": end, "channels": ["web"], "timezone": "UTC"}
    policies(folder, quiet_hours=[quiet])
    with serve(workspace=folder) as client:
        answer = ask(client, customer)
        assert not offered(answer)
        assert {p["no_action"]["reason"] for p in answer["placements"]} == {"contact_limit_reached"}
        cap_view = next(entry["cap"] for entry in explained(client, customer).values() if entry["cap"])
        assert (cap_view["name"], cap_view["kind"], cap_view["count"]) == ("rest", "quiet_hours", None)
        assert datetime.fromisoformat(cap_view["next_free"]).strftime("%H:%M") == end
