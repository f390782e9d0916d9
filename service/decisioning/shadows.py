"""Shadows: versions of models that score what others decide, and decide nothing."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from feature_store.schema import FeatureSchema
from service.decisioning.batch import Batch
from service.decisioning.scoring import BoundModel, Scoring


@dataclass(frozen=True, eq=False)
class Shadow:
    """A version of a model that is no champion, and how it scores."""

    model: BoundModel
    scoring: Scoring

    @classmethod
    def of(cls, model: BoundModel, schema: FeatureSchema) -> Self:
        """A shadow over the actions of a bound model."""
        return cls(model, Scoring.of([model], schema, len(model.actions)))

    def propensities(self, batch: Batch, propensity: NDArray[np.float64]) -> NDArray[np.float64]:
        """P of the candidates of its actions, n x A; NaN elsewhere, and where there was no time for models.

        `batch` and `propensity` (n x A, NaN for who is no candidate) are those of the decisions.
        """
        candidates = ~np.isnan(propensity) & self.model.actions
        if not batch.scored.all():
            candidates &= batch.scored[:, None]
        return self.scoring.propensities(batch, candidates)
