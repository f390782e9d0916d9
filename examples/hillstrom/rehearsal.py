"""One rehearsal of the engine on the trial: learn from one half, then decide for the other half by HTTP."""

import http.client
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from examples.hillstrom.trial import ARMS, Trial
from feature_store.embedded import EmbeddedStore
from loadtests.server import ARBITER, arbiter, free_port

WORKSPACE = Path(__file__).resolve().parent
BATCH = 1_000  # as many as POST /v1/decisions/batch takes


class RehearsalFailed(Exception):
    """A command or the service did not do its part; the message holds what it said."""


def rehearse(learn: Trial, decide: Trial, folder: Path) -> NDArray[np.intp]:
    """What the service serves to each customer of `decide` (n), as an index into `ARMS`.

    Nothing is short-cut: the models come from `arbiter train`, the customers go into an embedded store by
    `arbiter load`, and every decision is one that `arbiter serve` answered over HTTP. What the customers of
    `decide` got and did in the trial is never written anywhere.
    """
    workspace = folder / "workspace"
    shutil.copytree(WORKSPACE, workspace, ignore=shutil.ignore_patterns("models", "*.py", "__pycache__"))
    history = folder / "history"
    history.mkdir()
    learn.write_history(history)
    decide.write_customers(folder / "customers.parquet")
    command("train", str(workspace), "--data", str(history))
    store = EmbeddedStore(folder / "store")
    store.start()
    try:
        command(
            "load", str(workspace), str(folder / "customers.parquet"), "--strict", "--redis-url", store.url
        )
        serve = ("serve", str(workspace), "--redis-url", store.url)
        log = folder / "service.log"
        with arbiter(*serve, data=folder / "data", log=log, port=free_port(), within=60) as server:
            served = ask(server.url, decide.customer_ids())
    finally:
        store.stop()
    return np.array([ARMS.index(action) for action in served], np.intp)


def command(*arguments: str) -> None:
    """Run an `arbiter` command to its end. Raises `RehearsalFailed` with what it said."""
    done = subprocess.run([*ARBITER, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RehearsalFailed(f"arbiter {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")


def ask(url: str, customer_ids: Sequence[str]) -> list[str]:
    """The action that the service serves to each customer, in their order."""
    served: list[str] = []
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        for start in range(0, len(customer_ids), BATCH):
            requests = [
                {"customer_id": customer_id, "channel": "email", "deadline_ms": 10_000}
                for customer_id in customer_ids[start : start + BATCH]
            ]
            body = json.dumps({"requests": requests})
            connection.request("POST", "/v1/decisions/batch", body, {"content-type": "application/json"})
            response = connection.getresponse()
            answer = json.load(response)
            if response.status != 200:
                raise RehearsalFailed(f"the service answered {response.status}: {answer}")
            served += [chosen_action(decision) for decision in answer["decisions"]]
    finally:
        connection.close()
    return served


def chosen_action(decision: dict[str, object]) -> str:
    """What was served in the one placement. Raises `RehearsalFailed` where it was not a full decision."""
    match decision:
        case {"mode": "full", "placements": [{"actions": [{"action": str(action)}]}]}:
            return action
    raise RehearsalFailed(f"not a full decision: {decision}")
