"""Versions of a model change again and again while others ask: no request is lost, and none is mixed."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from models.registry import Registry
from service.workspace.loading import Workspace

from .trials import constant_versions

Serve = Any  # the fixture that starts a service
MODEL = "model_1"
CLIENTS, CHANGES = 4, 3
CUSTOMERS = 50


class Asked(NamedTuple):
    """What was answered to one client: by the version that each answer names, all propensities in it."""

    answers: list[tuple[str, frozenset[float]]]
    failures: list[str]


@pytest.fixture
def modelled(world: Workspace) -> frozenset[str]:
    """The actions whose propensities come from the model."""
    return frozenset(name for name, model in world.action_models.items() if model == MODEL)


def ask(url: httpx.URL, done: threading.Event, modelled: frozenset[str]) -> Asked:
    """Ask over one connection until it is done, and never again if something fails."""
    asked = Asked([], [])
    with httpx.Client(base_url=url, timeout=30) as client:
        for number in count():
            if done.is_set():
                return asked
            question = {"customer_id": f"c{number % CUSTOMERS}", "channel": "web"}
            try:
                response = client.post("/v1/decisions", json=question)
            except httpx.TransportError as error:
                asked.failures.append(repr(error))
                continue
            answer = response.json()
            if response.status_code != 200 or answer["mode"] != "full":
                asked.failures.append(response.text)
                continue
            offered = [action for placement in answer["placements"] for action in placement["actions"]]
            found = frozenset(a["propensity"] for a in offered if a["action"] in modelled)
            asked.answers.append((answer["versions"]["models"][MODEL], found))
    return asked


def test_no_request_is_lost_and_none_is_mixed_while_versions_change(
    serve: Serve, world: Workspace, tmp_path: Path, modelled: frozenset[str]
) -> None:
    versions = constant_versions(world, tmp_path / "world", MODEL)
    first, second, third = versions
    changes = (
        ("promote", {"version": second}),
        ("challenge", {"version": third, "share": "50%"}),
        ("rollback", None),
        ("withdraw", None),
    )
    done = threading.Event()
    with serve(workspace=tmp_path / "world") as one, serve(workspace=tmp_path / "world") as other:
        urls = [client.base_url for client in (one, other) for _ in range(CLIENTS // 2)]
        with ThreadPoolExecutor(CLIENTS) as pool:
            going = [pool.submit(ask, url, done, modelled) for url in urls]
            try:
                for _ in range(CHANGES):
                    for path, body in changes:
                        assert one.post(f"/v1/admin/models/{MODEL}/{path}", json=body).status_code == 200
                        assert other.post("/v1/admin/reload").status_code == 200
            finally:
                done.set()
            asked = [task.result() for task in going]
    assert [failure for client in asked for failure in client.failures] == []
    for client in asked:
        named = {version for version, _ in client.answers}
        assert named == {first, second, third}, "each client has seen all versions"
        mixed = [(v, found) for v, found in client.answers if not found <= {versions[v]}]
        assert mixed == []
        assert any(found for _, found in client.answers)
    assert Registry(tmp_path / "world" / "models").champion(MODEL) == first
