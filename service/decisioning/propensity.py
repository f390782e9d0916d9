"""Propensities of the candidates that are still in: one scorer call per model for the whole batch."""

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.snapshot import BoundModel, Snapshot


def propensities(
    snapshot: Snapshot, batch: Batch, candidates: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """P of every candidate, n x A; NaN where `candidates` is False.

    A request without time for models (`batch.scored` False), and an action without a model, get the prior.
    """
    P = np.where(candidates, snapshot.priors, np.nan)
    scored = candidates & batch.scored[:, None]
    for model in snapshot.models:
        rows, actions = np.nonzero(scored & model.actions)
        if rows.size:
            P[rows, actions] = model.scorer.score(_inputs(model, batch, rows, actions))
    return P


def _inputs(
    model: BoundModel, batch: Batch, rows: NDArray[np.intp], actions: NDArray[np.intp]
) -> NDArray[np.float64]:
    """The model's rows, one per candidate: its features, then the codes of the action and of the channel."""
    width = len(model.columns)
    inputs = np.empty((rows.size, width + 2), dtype=np.float64)
    inputs[:, :width] = batch.X[:, model.columns][rows]
    inputs[:, width] = model.action_codes[actions]
    inputs[:, width + 1] = model.channel_codes[batch.channel[rows]]
    return inputs
