"""How the models of a snapshot score the candidates of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from feature_store.schema import FeatureSchema, FeatureType
from models.calibration import Calibration
from models.curves import Curve, Curves
from models.forest import Forest
from models.layout import Layout
from models.quickscorer import Panel
from models.scorers import CompiledScorer, Scorer
from models.tables import BoundForest, Told
from service.decisioning.batch import Batch


@dataclass(frozen=True, slots=True)
class BoundModel:
    """A propensity model bound to the live schema and catalogue.

    scorer          gives the margins that `calibration` makes probabilities of
    layout          how the model's rows are made of X
    action_codes    A  the model's code of each action, NaN for one that it has never seen
    channel_codes   C  likewise for channels
    actions         A  True for the actions that this model scores
    """

    name: str
    version: str
    scorer: Scorer
    calibration: Calibration
    layout: Layout
    action_codes: NDArray[np.float64]
    channel_codes: NDArray[np.float64]
    actions: NDArray[np.bool_]

    @property
    def kind(self) -> str:
        """Which of the scorers serves it."""
        return self.scorer.kind

    def margins(self, batch: Batch, rows: NDArray[np.intp], actions: NDArray[np.intp]) -> NDArray[np.float64]:
        """The margins of k pairs of a request and an action, shape (k,)."""
        return self.scorer.margins(self.inputs(batch, rows, actions))

    def inputs(self, batch: Batch, rows: NDArray[np.intp], actions: NDArray[np.intp]) -> NDArray[np.float64]:
        """The rows that the scorer reads for k pairs of a request and an action, k x width."""
        return self.layout.rows(
            batch.X,
            rows,
            batch.now[rows],
            self.action_codes[actions],
            self.channel_codes[batch.channel[rows]],
        )

    def bound(self, forest: Forest) -> BoundForest:
        """The forest of this model with what it reads."""
        scored, action = np.flatnonzero(self.actions), len(self.layout.columns)
        return BoundForest(
            forest,
            places=np.append(self.layout.columns, [0, 0]),
            actions=scored,
            action=Told(action, self.action_codes[scored]),
            channel=Told(action + 1, self.channel_codes),
        )


@dataclass(frozen=True, slots=True)
class Scoring:
    """All models together.

    panel       the models that are scored in one call; None where there is none
    others      the models that are scored one by one, by rows
    modelled    A  True for the actions that any model scores
    curves      A  the calibration of each action's model
    """

    panel: Panel | None
    others: tuple[BoundModel, ...]
    modelled: NDArray[np.bool_]
    curves: Curves

    @classmethod
    def of(cls, models: Sequence[BoundModel], schema: FeatureSchema, actions: int) -> Self:
        """Put models together for a schema and so many actions."""
        forests = [
            model.bound(model.scorer.forest) for model in models if isinstance(model.scorer, CompiledScorer)
        ]
        moments = [schema.slice(f.name).start for f in schema.features if f.type is FeatureType.TIMESTAMP]
        modelled, curves = np.zeros(actions, np.bool_), [Curve()] * actions
        for model in models:
            modelled |= model.actions
            for action in np.flatnonzero(model.actions).tolist():
                curves[action] = model.calibration.curve
        return cls(
            panel=Panel(forests, schema.width, np.array(moments, np.intp)) if forests else None,
            others=tuple(model for model in models if not isinstance(model.scorer, CompiledScorer)),
            modelled=modelled,
            curves=Curves.of(curves),
        )

    def propensities(self, batch: Batch, candidates: NDArray[np.bool_]) -> NDArray[np.float64]:
        """P of the candidates that models score, n x A; NaN elsewhere."""
        margins = np.full(candidates.shape, np.nan)
        if self.panel is not None:
            self.panel.score(batch.X, batch.now, batch.channel, candidates, margins)
        for model in self.others:
            rows, actions = np.nonzero(candidates & model.actions)
            if rows.size:
                margins[rows, actions] = model.margins(batch, rows, actions)
        return self.curves.apply(margins)
