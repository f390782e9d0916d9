"""Why the model likes an action for a customer: what each feature adds, and the words for it.

Computed only where somebody asks: exact SHAP values cost more than the decision itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feature_store.schema import FeatureSchema
from models.scorers import Attributing
from service.decisioning.batch import Batch
from service.decisioning.scoring import BoundModel
from service.decisioning.snapshot import Snapshot
from service.decisioning.wording import Wording

MOST_REASONS = 3
"""How many reasons an action is given: nobody reads more."""
SHORT = 1e-9
"""A way in log-odds along which nothing can be told."""
CERTAIN = 1.0 - 2.0**-53
"""The greatest probability whose log-odds are finite."""


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
            inputs, columns = model.inputs(batch, rows[pairs], actions[pairs]), model.layout.columns
            added = _calibrated(model, inputs, model.scorer.contributions(inputs))
            found[pairs[:, None], columns] = added[:, : len(columns)]
    return found


def _calibrated(
    model: BoundModel, inputs: NDArray[np.float64], added: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What was added to margins, k x width, scaled so that it adds up to calibrated log-odds: by how much
    calibration stretches the way from where nothing is known to the margin."""
    margins = model.scorer.margins(inputs)
    way = added.sum(axis=1)
    calibrated = _log_odds(model.calibration.apply(margins))
    stretched = calibrated - _log_odds(model.calibration.apply(margins - way))
    factors = np.divide(stretched, way, out=np.ones_like(way), where=np.abs(way) > SHORT)
    scaled: NDArray[np.float64] = added * factors[:, None]
    return scaled


def _log_odds(p: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.log(p) - np.log1p(-np.minimum(p, CERTAIN))
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


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one feature, or one member of a set, added to the log-odds of a response; its value for this
    customer, None where it is missing."""

    feature: str
    value: object
    added: float


def strongest(
    schema: FeatureSchema, values: NDArray[np.float64], added: NDArray[np.float64], at_most: int
) -> list[Contribution]:
    """What adds most, for or against, first; what adds nothing is left out."""
    order = np.argsort(-np.abs(np.nan_to_num(added)), kind="stable")[:at_most]
    return [
        Contribution(schema.columns[column], _value(schema, column, values), float(added[column]))
        for column in order.tolist()
        if abs(added[column]) > 0.0
    ]


def _value(schema: FeatureSchema, column: int, values: NDArray[np.float64]) -> object:
    """Of a member of a set, whether the customer has it."""
    name, _, member = schema.columns[column].partition("=")
    value = float(values[column])
    if member:
        return None if np.isnan(value) else value > 0.0
    return schema.feature(name).decode([value])
