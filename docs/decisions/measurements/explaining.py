"""What an explanation of every candidate costs, on top of the decision that it is of.

python docs/decisions/measurements/explaining.py [ACTIONS]

Milliseconds of CPU a request, in a synthetic world with trained models and a rule for every second action:
decided, explained and encoded as JSON, without HTTP.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import yaml

from feature_store.columns import columns_from_arrow
from feature_store.schema import FeatureType, Source
from models.workshop import train_workspace
from service.api.encoding import encode
from service.decisioning.batch import Batch
from service.decisioning.explain import explain
from service.decisioning.pipeline import decide
from service.decisioning.snapshot import Snapshot
from service.workspace.loading import Workspace, load_workspace
from service.world.synthetic import write_world

CUSTOMERS, ROUNDS = 200, 5


def world(folder: Path, actions: int) -> tuple[Snapshot, np.ndarray]:
    """A snapshot with that many actions, and its customers as rows of X."""
    write_world(folder, actions=actions, customers=2_000, features=64, models=10, decisions=30_000, seed=1)
    ruled = load_workspace(folder)
    (folder / "policies.yaml").write_text(yaml.safe_dump(policies(ruled)))
    workspace = load_workspace(folder)
    train_workspace(
        workspace.specs, workspace.schema, workspace.action_models, folder, workspace.registry, seed=1
    )
    table = pq.read_table(folder / "customers.parquet").slice(0, CUSTOMERS)
    X, errors = columns_from_arrow(table, workspace.schema, [Source.PROFILE, Source.BEHAVIOUR])
    assert not errors  # noqa: S101
    return workspace.snapshot(), np.where(np.isnan(X), workspace.schema.defaults, X)


def policies(workspace: Workspace) -> dict[str, object]:
    """A rule over a number of its own for every second action; about half of the customers pass each."""
    numbers = [
        feature.name
        for feature in workspace.schema.features
        if feature.type is FeatureType.NUMBER and feature.source is not Source.CONTEXT
    ]
    return {
        "eligibility": [
            {
                "name": f"rule_{index}",
                "action": action.name,
                "when": f"customer.{numbers[index % len(numbers)]} > {index % 7 / 10}",
            }
            for index, action in enumerate(workspace.catalogue.actions)
            if index % 2
        ]
    }


def one(snapshot: Snapshot, x: np.ndarray) -> Batch:
    """A request for all placements of the site."""
    limits = np.zeros((1, len(snapshot.catalogue.slots)), np.int32)
    for slot in snapshot.catalogue.channel_slots["web"]:
        limits[0, slot] = snapshot.catalogue.slots[slot].placement.limit
    channel = np.array([snapshot.catalogue.channel_index["web"]], np.intp)
    return Batch(x[None], np.array([1.8e9]), channel, limits, np.ones(1, np.bool_))


def milliseconds(work: Callable[[np.ndarray], object], X: np.ndarray) -> tuple[float, float]:
    """The median and the 99th percentile over customers and rounds."""
    times = []
    for x in [*X[:5], *np.tile(X, (ROUNDS, 1))]:
        started = time.process_time()
        work(x)
        times.append(time.process_time() - started)
    return float(np.median(times[5:])) * 1e3, float(np.quantile(times[5:], 0.99)) * 1e3


def main(actions: int) -> None:
    """Print a line for each way to ask."""
    with tempfile.TemporaryDirectory() as folder:
        snapshot, X = world(Path(folder) / "world", actions)

    def decided(x: np.ndarray) -> None:
        decide(snapshot, one(snapshot, x))

    def explained(x: np.ndarray, everything: bool) -> bytes:
        decisions = decide(snapshot, one(snapshot, x))
        return encode(explain(snapshot, decisions, 0, everything=everything))

    print(f"{actions:,} actions; the full explanation has {len(explained(X[0], True)):,} bytes")  # noqa: T201
    for name, work in (
        ("decided", decided),
        ("explain=factors", lambda x: explained(x, False)),
        ("explain=full", lambda x: explained(x, True)),
    ):
        median, late = milliseconds(work, X)
        print(f"{name:16} {median:6.2f} ms, p99 {late:6.2f} ms")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
