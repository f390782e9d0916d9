"""Models that are ready to serve."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from feature_store.schema import FeatureSchema
from models.calibration import Calibration
from models.heads import Heads
from models.layout import BUILT_IN, Layout
from models.manifest import CustomerManifest, Manifest
from models.scorers import Scorer


@dataclass(frozen=True)
class PropensityModel:
    """One version of a model, with the scorer that was checked against its golden rows."""

    name: str
    version: str
    manifest: Manifest
    scorer: Scorer

    def bind(self, schema: FeatureSchema) -> Layout:
        """Where in X of that schema the model finds its inputs.

        Raises:
            KeyError: the schema lacks a column that the model reads (`Registry.load` has checked its own).
        """
        return Layout.of(schema, self.manifest.inputs[: -len(BUILT_IN)])

    @property
    def calibration(self) -> Calibration:
        """From the scorer's margins to probabilities."""
        return self.manifest.calibration

    def score(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated probabilities, shape (m,), of rows of shape (m, width); NaN in a row is missing."""
        return self.calibration.apply(self.scorer.margins(rows))

    @cached_property
    def action_codes(self) -> Mapping[str, int]:
        """The code of each action that the model has seen; give an unseen one NaN."""
        return {action: code for code, action in enumerate(self.manifest.actions)}

    @cached_property
    def channel_codes(self) -> Mapping[str, int]:
        """The code of each channel that the model has seen; give an unseen one NaN."""
        return {channel: code for code, channel in enumerate(self.manifest.channels)}


@dataclass(frozen=True)
class CustomerModel:
    """One version of a model that says something about customers, with heads that were checked against its
    golden rows."""

    name: str
    version: str
    manifest: CustomerManifest
    heads: Heads

    def bind(self, schema: FeatureSchema) -> Layout:
        """Where in X of that schema the model finds its inputs.

        Raises:
            KeyError: the schema lacks a column that the model reads (`Registry.load` has checked its own).
        """
        return Layout.of(schema, self.manifest.inputs[: -len(BUILT_IN)])

    def score(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """What it says of rows of shape (m, width), of each head; NaN in a row is missing."""
        return self.manifest.calibration.apply(self.heads.margins(rows))
