"""What the turns of a batch are drawn with: every request explores as its arm does, by its own seed."""

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.experiments import Assigned
from service.decisioning.snapshot import Snapshot
from service.decisioning.turns import Chance


def chance(snapshot: Snapshot, batch: Batch, assigned: Assigned, propensity: NDArray[np.float64]) -> Chance:
    """By the conducts that experiments have assigned; `propensity` is n x A."""
    if batch.seeds is None:
        return no_chance(snapshot, propensity)
    return Chance(
        ways=snapshot.ways if batch.known is None else snapshot.ways_knowing(batch.known[0]),
        way=snapshot.way_of_conduct.take(assigned.conduct),
        seeds=np.array(batch.seeds),
        explores=np.ones(len(batch), np.bool_) if batch.explores is None else np.array(batch.explores),
        propensity=np.ascontiguousarray(propensity),
    )


def no_chance(snapshot: Snapshot, propensity: NDArray[np.float64]) -> Chance:
    """Everybody takes the best."""
    n = len(propensity)
    return Chance(
        ways=snapshot.ways,
        way=np.zeros(n, np.intp),
        seeds=np.zeros(n, np.uint64),
        explores=np.zeros(n, np.bool_),
        propensity=propensity,
    )
