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


def corrected(predicted: NDArray[np.float64], batch: Batch) -> NDArray[np.float64]:
    """Predicted propensities (n x A) as the last outcomes have shown them to be, at most 1."""
    if batch.corrections is None:
        return predicted
    P: NDArray[np.float64] = predicted * batch.corrections
    return np.minimum(P, 1.0, out=P)
