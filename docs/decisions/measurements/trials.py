"""What shadows and challengers cost: CPU microseconds of a batch, the least of several rounds in turns.

`python docs/decisions/measurements/trials.py WORLD`, a folder of `arbiter world` with trained models.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from loadtests.guard.batches import fixed_batches
from service.cli.console import table
from service.decisioning.batch import Batch
from service.decisioning.challengers import Challenger, deciders
from service.decisioning.pipeline import decide
from service.decisioning.shadows import Shadow
from service.decisioning.snapshot import Snapshot
from service.workspace.loading import load_workspace

ROUNDS, BATCHES = 15, 20
SHARES = 0.1, 0.5


def main() -> None:
    world = Path(sys.argv[1])
    snapshot = load_workspace(world).snapshot()
    model = snapshot.models[0]
    shadow = Shadow.of(model, snapshot.schema)
    rows = []
    for size in (1, 16, 64):
        batches = list(islice(fixed_batches(world, snapshot, size), BATCHES))
        decided = [decide(snapshot, batch) for batch in batches]
        ways: dict[str, Callable[[int], object]] = {
            "champions": lambda at, b=batches: decide(snapshot, b[at]),
            "a shadow, on top": lambda at, d=decided: shadow.propensities(d[at].batch, d[at].predicted),
        }
        for share in SHARES:
            own = replace(snapshot)
            one = Challenger(model.name, "another", ((0.0, share),), own)
            ways[f"challenger of {share:.0%}"] = lambda at, b=batches, o=one: apart(snapshot, o, b[at])
        best = dict.fromkeys(ways, np.inf)
        for _ in range(ROUNDS):
            for name, way in ways.items():
                best[name] = min(best[name], cost(way))
        rows.append((f"{size}", *(f"{value:,.0f}" for value in best.values())))
    table("A batch, microseconds", ("requests", *best), rows)


def apart(snapshot: Snapshot, challenger: Challenger, batch: Batch) -> None:
    """Decide for a batch, for a challenger's customers by its snapshot."""
    assert batch.units is not None  # noqa: S101
    found = deciders(batch.units, [challenger])
    for number, decider in enumerate((snapshot, challenger.snapshot)):
        theirs = (found == number).nonzero()[0]
        if theirs.size:
            decide(decider, batch.take(theirs))


def cost(way: Callable[[int], object]) -> float:
    """CPU microseconds of a batch."""
    started = time.process_time()
    for at in range(BATCHES):
        way(at)
    return (time.process_time() - started) / BATCHES * 1e6


if __name__ == "__main__":
    main()
