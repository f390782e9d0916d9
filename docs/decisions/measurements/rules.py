"""What the engagement policies of examples/telco cost, and whom they leave without an action.

python docs/decisions/measurements/rules.py [CUSTOMERS]
"""

import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from examples.telco import demo
from feature_store.columns import columns_from_arrow
from feature_store.schema import Source
from models.workshop import train_workspace
from service.decisioning.arbitration import Arbitration
from service.decisioning.batch import Batch
from service.decisioning.pipeline import decide
from service.decisioning.rulebook import RuleBook
from service.decisioning.rules import Program
from service.decisioning.snapshot import Snapshot
from service.workspace.loading import load_workspace

TELCO = Path(__file__).resolve().parents[3] / "examples" / "telco"
BATCHES, ROUNDS = 200, 9


def prepared(folder: Path, customers: int) -> tuple[Snapshot, np.ndarray, float]:
    """The telco snapshot with trained models, the customers as rows of X, and the time."""
    shutil.copytree(TELCO, folder, ignore=shutil.ignore_patterns("models"))
    now = time.time()
    demo.write_demo(folder, customers=customers, seed=7, now=now)
    workspace = load_workspace(folder)
    train_workspace(
        workspace.specs, workspace.schema, workspace.action_models, folder, workspace.registry, seed=1
    )
    table = pq.read_table(folder / "customers.parquet")
    X, errors = columns_from_arrow(table, workspace.schema, [Source.PROFILE, Source.BEHAVIOUR])
    assert not errors  # noqa: S101
    defaults = np.broadcast_to(workspace.schema.defaults, X.shape)
    return workspace.snapshot(), np.where(np.isnan(X), defaults, X), now


def batch(snapshot: Snapshot, X: np.ndarray, channel: np.ndarray, now: float) -> Batch:
    """Requests for all placements of a channel each, without stored consents."""
    limits = np.zeros((len(X), len(snapshot.catalogue.slots)), np.int32)
    for row, index in enumerate(channel):
        name = snapshot.catalogue.channels[index].name
        for slot in snapshot.catalogue.channel_slots[name]:
            limits[row, slot] = snapshot.catalogue.slots[slot].placement.limit
    return Batch(X, np.full(len(X), now), channel, limits, np.ones(len(X), np.bool_))


def microseconds(snapshot: Snapshot, batches: list[Batch]) -> float:
    """The best round's mean time of a decision."""
    best = np.inf
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for one in batches:
            decide(snapshot, one)
        best = min(best, time.perf_counter() - started)
    return best / sum(len(one) for one in batches) * 1e6


def main() -> None:
    """Print both tables."""
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as folder:
        full, X, now = prepared(Path(folder) / "telco", customers)
    bare = replace(full, rules=RuleBook(Program()), purposes=(), arbitration=Arbitration())
    rng = np.random.default_rng(1)
    channels = len(full.catalogue.channels)
    sys.stdout.write(f"{len(full.rules.rules)} rules, {len(full.rules.program)} column operations\n")
    for size in (1, 16, 64):
        batches = [
            batch(full, X[rng.integers(0, len(X), size)], rng.integers(0, channels, size), now)
            for _ in range(BATCHES)
        ]
        with_rules, without = microseconds(full, batches), microseconds(bare, batches)
        alone = microseconds(replace(full, models=()), batches) - microseconds(
            replace(bare, models=()), batches
        )
        sys.stdout.write(
            f"batch of {size}: {with_rules:.1f} us a decision with policies, {without:.1f} without: "
            f"{with_rules / without:.2f}; without models the policies add {alone:.1f}\n"
        )
    for index, channel in enumerate(full.catalogue.channels):
        asked = batch(full, X, np.full(len(X), index, np.intp), now)
        got = np.zeros(len(X), np.bool_)
        got[decide(full, asked).slate.row] = True
        sys.stdout.write(f"{channel.name}: {1 - got.mean():.2%} of customers without any action\n")


if __name__ == "__main__":
    main()
