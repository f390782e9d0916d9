"""Propensities of the candidates that are still in, by all models for the whole batch."""

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.snapshot import Snapshot


def propensities(snapshot: Snapshot, batch: Batch, candidates: NDArray[np.bool_]) -> NDArray[np.float64]:
    """P of every candidate, n x A; NaN where `candidates` is False.

    A request without time for models (`batch.scored` False), and an action without a model, get the prior.
    """
    P = np.where(candidates, snapshot.priors, np.nan)
    if snapshot.models:
        scored = candidates & snapshot.scoring.modelled
        if not batch.scored.all():
            scored &= batch.scored[:, None]
        np.copyto(P, snapshot.scoring.propensities(batch, scored), where=scored)
    return P
