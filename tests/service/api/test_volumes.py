"""Volume limits over real HTTP."""

import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.workspace.loading import Workspace

from .conftest import metric
from .test_policies import folder, policies

__all__ = ["folder"]

Serve = Any  # the fixture that starts a service


@pytest.fixture
def name() -> str:
    """A limit that no other test has."""
    return f"t{uuid.uuid4().hex}"


def ask(client: httpx.Client, **more: Any) -> Any:
    hero = {"customer_id": "c1", "channel": "web", "placements": [{"id": "home_hero", "limit": 1}]}
    answer = client.post("/v1/decisions", json={**hero, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def offered(answer: Any) -> int:
    return sum(len(placement["actions"]) for placement in answer["placements"])


def use_up(client: httpx.Client, at_most: int) -> None:
    """Ask until so many actions have been offered: a lease comes a moment after the last one was used."""
    for _ in range(500):
        at_most -= offered(ask(client))
        if not at_most:
            return
        time.sleep(0.01)
    pytest.fail(f"{at_most} more actions may be offered, and are not")


def test_a_limit_that_is_reached_says_so(serve: Serve, folder: Path, world: Workspace, name: str) -> None:
    policies(folder, volume_limits=[{"name": name, "at_most": 3, "per": "day", "channels": ["web"]}])
    with serve(workspace=folder) as client:
        use_up(client, 3)
        for _ in range(5):
            answer = ask(client, explain="full")
            [placement] = answer["placements"]
            assert placement["actions"] == []
            assert placement["no_action"] == {"reason": "volume_limit_reached", "stage": "contact_policy"}
            time.sleep(0.01)
        out = [entry for entry in answer["explanation"] if entry["rule"] == f"volume:{name}"]
        assert out
        assert {entry["meaning"] for entry in out} == {"chosen at most 3 times per day"}
        [cap] = {tuple(entry["cap"].items()) for entry in out}
        shown = dict(cap)
        assert (shown["name"], shown["kind"], shown["count"], shown["at_most"]) == (name, "volume", 3, 3)
        assert shown["next_free"].endswith("T00:00:00Z")
        assert metric(client, "arbiter_volume_suppressed_total", limit=name) >= 5


def test_a_dry_run_counts_under_no_limit(serve: Serve, folder: Path, name: str) -> None:
    policies(folder, volume_limits=[{"name": name, "at_most": 1, "per": "hour"}])
    with serve(workspace=folder) as client:
        assert [offered(ask(client, dry_run=True)) for _ in range(5)] == [1] * 5
        use_up(client, 1)
        assert offered(ask(client, dry_run=True)) == 0


def test_a_limit_goes_on_counting_over_a_restart_and_a_reload(serve: Serve, folder: Path, name: str) -> None:
    limit = {"name": name, "at_most": 2, "per": "day"}
    policies(folder, volume_limits=[limit])
    with serve(workspace=folder) as client:
        use_up(client, 2)
    with serve(workspace=folder) as client:
        assert [offered(ask(client)) for _ in range(3)] == [0, 0, 0]
        policies(folder, volume_limits=[{**limit, "at_most": 3}])
        assert client.post("/v1/admin/reload").status_code == 200
        use_up(client, 1)
        assert offered(ask(client)) == 0
