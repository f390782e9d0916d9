"""The manifest: what a model is, what it reads, what it was made of and how good it was."""

import hashlib
import json
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from feature_store.schema import FeatureSchema
from models.calibration import Calibration, HeadCalibration
from models.metrics import CellMetrics, LevelMetrics, Metrics, NumberMetrics, UpliftMetrics
from models.reference import Reference
from models.spec import Direction, Target


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileRecord(_Record):
    """What a file of the model must be, byte for byte."""

    sha256: str
    size: int

    @classmethod
    def of(cls, content: bytes) -> Self:
        """The record of a file with that content."""
        return cls(sha256=hashlib.sha256(content).hexdigest(), size=len(content))


class TrainingData(_Record):
    """What the model was made of: `sha256` is over the rows and labels, in their order.

    `positives_by_action` has the actions with positives; it is empty in manifests of before it was counted.
    Of the training rows chance chose `explored_rows`; all, weighted by the inverse of their chances, say as
    much as `effective_rows` of equal weight. `seen_until` is the newest decision that trained or calibrated;
    manifests without it are of models for which customers were split instead.
    """

    sha256: str
    rows: int
    positives: int
    positives_by_action: dict[str, int] = {}
    customers: int
    training_rows: int
    validation_rows: int
    test_rows: int
    explored_rows: int = 0
    effective_rows: float | None = None
    first_decision: AwareDatetime
    seen_until: AwareDatetime | None = None
    last_decision: AwareDatetime


class LabelledData(_Record):
    """What a model of customers was made of: `sha256` is over the rows and labels, in their order."""

    sha256: str
    rows: int
    customers: int
    training_rows: int
    validation_rows: int
    test_rows: int


class AnyManifest(_Record):
    """What the manifests of all models say.

    `inputs` names the columns of a row in order. `features` is the definition of the part of the schema that
    the model reads.
    """

    format: Literal[1] = 1
    name: str
    version: str
    created_at: AwareDatetime
    kind: str
    inputs: tuple[str, ...]
    features: tuple[dict[str, Any], ...]
    fingerprint: str
    actions: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    trees: int
    parameters: dict[str, bool | int | float | str]
    libraries: dict[str, str]
    files: dict[str, FileRecord]
    control: str | None = None
    uplift: UpliftMetrics | None = None

    @cached_property
    def schema_read(self) -> FeatureSchema:
        """The part of the feature schema that the model was trained on."""
        return FeatureSchema.from_definition(self.features)

    def stamped(self) -> Self:
        """The same manifest with the version that its time and its content give it."""
        digest = content_hash(self.model_dump(mode="json"))
        return self.model_copy(update={"version": f"{self.created_at:%Y%m%dT%H%M%SZ}-{digest}"})


class Manifest(AnyManifest):
    """Everything about one version of a model of responses except its trees.

    `metrics` are measured on the newest decisions, which neither trained nor calibrated, `uncalibrated` on
    the same ones before calibration, and `cells` on those of an action in a channel. `calibration_losses` is
    the log loss of each form of calibration that was tried, by which one was chosen. `reference` is of what
    did not train; manifests of before it was kept have none.
    """

    positive: tuple[str, ...]
    monotone: dict[str, Direction] = {}
    calibration: Calibration
    calibration_losses: dict[str, float] = {}
    data: TrainingData
    metrics: Metrics
    cells: tuple[CellMetrics, ...] = ()
    uncalibrated: Metrics
    reference: Reference | None = None


class CustomerManifest(AnyManifest):
    """Everything about one version of a model of customers except its trees; `metrics` are measured on
    customers that neither training nor calibration has seen.

    It has a head for each level of a category, else one. `calibrations` are those of the heads; a number has
    none. `percentiles` are the scores of those whom it was made of, from the least (0 %) to the greatest
    (100 %); a category has none.
    """

    target: Target
    calibrations: tuple[Calibration, ...]
    percentiles: tuple[float, ...]
    data: LabelledData
    metrics: Metrics | NumberMetrics | LevelMetrics

    @property
    def calibration(self) -> HeadCalibration:
        """From the margins of the heads to what they mean."""
        return HeadCalibration.of(self.calibrations)


def content_hash(manifest: dict[str, Any]) -> str:
    """8 hex digits over all that a manifest says but its version, and so over the files it records."""
    content = {key: value for key, value in manifest.items() if key != "version"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
