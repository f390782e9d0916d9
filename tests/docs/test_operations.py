"""The guide to operation: what it tells to type works as it stands."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from models.registry import Registry

from .markdown import Block, blocks

LATER = "20991231T235959Z-00000000"


@pytest.fixture
def registry(telco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A checkout's registry with two versions of the model `sales`, of which the later one serves."""
    models = tmp_path / "examples" / "telco" / "models"
    shutil.copytree(telco, models.parent)
    shutil.copytree(models / "sales" / Registry(models).champion("sales"), models / "sales" / LATER)
    Registry(models).promote("sales", LATER)
    monkeypatch.chdir(tmp_path)
    return Registry(models)


def only(root: Path, language: str, word: str) -> Block:
    """The block of the guide that has a word in it."""
    (block,) = (one for one in blocks(root / "docs" / "operations.md", language) if word in one.text)
    return block


def test_a_model_is_rolled_back_in_the_shell(root: Path, registry: Registry) -> None:
    tools = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = only(root, "sh", "arbiter rollback").text
    subprocess.run(["sh", "-euc", command], check=True, capture_output=True, env=os.environ | tools)
    assert registry.champion("sales") == registry.versions("sales")[0] != LATER


def test_a_model_is_rolled_back_from_python(root: Path, registry: Registry) -> None:
    exec(only(root, "python", "Registry").text, {})
    assert registry.champion("sales") == registry.versions("sales")[0] != LATER


def test_the_log_of_decisions_is_read_as_it_says(
    root: Path, client: httpx.Client, embedded_store_url: str
) -> None:
    guide: dict[str, Any] = {}
    exec(only(root, "python", "DecisionEntry").text, guide)
    decision = client.post("/v1/decisions", json={"customer_id": "c3", "channel": "web"}).json()
    shown = [
        (decision["customer_id"], offer["action"], offer["selection_probability"])
        for placement in decision["placements"]
        for offer in placement["actions"]
    ]
    assert shown
    server = redis.Redis.from_url(embedded_store_url)
    for _ in range(3000):
        stream: Any = server.xrange("arb:decisions")
        for _, fields in stream:
            if decision["decision_id"].encode() in fields[b"decisions"]:
                assert guide["offers"](fields[b"decisions"]) == shown
                return
        time.sleep(0.01)
    pytest.fail("the decision was not logged")
