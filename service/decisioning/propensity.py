"""Propensities of the candidates that are still in: one scorer call per model for the whole batch."""

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.snapshot import Snapshot


def propensities(snapshot: Snapshot, batch: Batch, candidates: NDArray[np.bool_]) -> NDArray[np.float64]:
    """P of every candidate, n x A; NaN where `candidates` is False.

    A request without time for models (`batch.scored` False), and an action without a model, get the prior.
    """
    P = np.where(candidates, snapshot.priors, np.nan)
    scored = candidates & batch.scored[:, None]
    for model in snapshot.models:
        rows, actions = np.nonzero(scored & model.actions)
        if rows.size:
            inputs = model.layout.rows(
                batch.X,
                rows,
                batch.now[rows],
                model.action_codes[actions],
                model.channel_codes[batch.channel[rows]],
            )
            P[rows, actions] = model.scorer.score(inputs)
    return P
