"""What scoring costs, by scorer.

python docs/decisions/measurements/scoring.py WORKSPACE...

Random customers of a workspace, in its first channel, with 60 % of the actions still in: microseconds of CPU
a decision for the propensities of all candidates by all models. It says whether both scorers agree, too.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from feature_store.columns import columns_from_arrow
from feature_store.schema import Source
from models.choosing import Choice
from service.decisioning.batch import Batch
from service.decisioning.propensity import propensities
from service.decisioning.snapshot import Snapshot
from service.workspace.loading import Workspace, load_workspace

ROUNDS = 7
BATCHES = {1: 60, 16: 15, 64: 6}  # how many of each size
STILL_IN = 0.6


def drawn(workspace: Workspace, snapshot: Snapshot, size: int, count: int) -> list[Batch]:
    table = pq.read_table(workspace.folder / "customers.parquet")
    X, _ = columns_from_arrow(table, workspace.schema, [Source.PROFILE, Source.BEHAVIOUR])
    X = np.where(np.isnan(X), workspace.schema.defaults, X)
    rng = np.random.default_rng(size)
    return [
        Batch(
            X=X[rng.integers(0, len(X), size)],
            now=np.full(size, time.time()),
            channel=np.zeros(size, np.intp),
            limits=np.ones((size, len(snapshot.catalogue.slots)), np.int32),
            scored=np.ones(size, np.bool_),
        )
        for _ in range(count)
    ]


def measure(folder: Path) -> None:
    workspace = load_workspace(folder)
    choices: tuple[Choice, ...] = ("lightgbm", "compiled")
    snapshots = {choice: workspace.snapshot(scorer=choice) for choice in choices}
    actions = len(workspace.catalogue.actions)
    sys.stdout.write(f"{folder}: {actions} actions, {len(snapshots['compiled'].models)} models\n")
    for size, count in BATCHES.items():
        batches = drawn(workspace, snapshots["compiled"], size, count)
        candidates = np.random.default_rng(0).random((size, actions)) < STILL_IN
        best = dict.fromkeys(choices, np.inf)
        for _ in range(ROUNDS):
            for choice, snapshot in snapshots.items():
                started = time.process_time()
                for batch in batches:
                    propensities(snapshot, batch, candidates)
                spent = (time.process_time() - started) / count / size * 1e6
                best[choice] = min(best[choice], spent)
        answers = [propensities(snapshot, batches[0], candidates) for snapshot in snapshots.values()]
        equal = np.array_equal(*answers, equal_nan=True)
        sys.stdout.write(
            f"  batches of {size:2}: "
            + ", ".join(f"{c} {us:.0f} us" for c, us in best.items())
            + f", {equal}\n"
        )


for argument in sys.argv[1:]:
    measure(Path(argument))
