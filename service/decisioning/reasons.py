"""Why the model likes an action for a customer: what each feature adds, and the words for it.

Computed only where somebody asks: exact SHAP values cost more than the decision itself.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.scorers import Attributing
from service.decisioning.batch import Batch
from service.decisioning.snapshot import Snapshot
from service.decisioning.wording import Wording

MOST_REASONS = 3
"""How many reasons an action is given: nobody reads more."""


def contributions(
    snapshot: Snapshot, batch: Batch, rows: NDArray[np.intp], actions: NDArray[np.intp]
) -> NDArray[np.float64]:
    """What each column of X adds to the log-odds of a response, for k pairs of a row and an action, k x F.

    NaN for what the action's model does not read, and everywhere where no model speaks: one that can't tell,
    an action that it has never seen, or a request without time for models.
    """
    found = np.full((len(rows), batch.X.shape[1]), np.nan)
    for model in snapshot.models:
        pairs = np.flatnonzero(model.actions[actions] & batch.scored[rows])
        if pairs.size and isinstance(model.scorer, Attributing):
            asked = rows[pairs]
            inputs = model.layout.rows(
                batch.X,
                asked,
                batch.now[asked],
                model.action_codes[actions[pairs]],
                model.channel_codes[batch.channel[asked]],
            )
            columns = model.layout.columns
            found[pairs[:, None], columns] = model.scorer.contributions(inputs)[:, : len(columns)]
    return found


def in_words(
    wordings: Sequence[Wording], values: NDArray[np.float64], added: NDArray[np.float64]
) -> list[str]:
    """The wordings for what speaks for an action, the strongest first.

    `values` are the customer's (F), `added` the contributions (F). What is missing or speaks against the
    action is no reason, and of a text that fits twice one is enough.
    """
    speaking = sorted(
        (wording for wording in wordings if added[wording.column] > 0.0),
        key=lambda wording: -added[wording.column],
    )
    said = (wording.said(float(values[wording.column])) for wording in speaking)
    return list(dict.fromkeys(text for text in said if text is not None))[:MOST_REASONS]


def strongest(columns: Sequence[str], added: NDArray[np.float64], at_most: int) -> dict[str, float]:
    """The columns that add most, for or against, by name; those that add nothing are left out."""
    order = np.argsort(-np.abs(np.nan_to_num(added)), kind="stable")[:at_most]
    return {columns[column]: float(added[column]) for column in order.tolist() if abs(added[column]) > 0.0}
