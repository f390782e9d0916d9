"""The manifest: what a model is, what it reads, what it was made of and how good it was."""

import hashlib
import json
from typing import Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from feature_store.schema import FeatureSchema
from models.calibration import Calibration
from models.metrics import Metrics, UpliftMetrics


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
    """

    sha256: str
    rows: int
    positives: int
    positives_by_action: dict[str, int] = {}
    customers: int
    training_rows: int
    validation_rows: int
    test_rows: int
    first_decision: AwareDatetime
    last_decision: AwareDatetime


class Manifest(_Record):
    """Everything about one version of one model except its trees.

    `inputs` names the columns of a row in order. `features` is the definition of the part of the schema that
    the model reads. `metrics` are measured on customers that neither training nor calibration has seen,
    `uncalibrated` on the same ones before calibration. A model of uplift has its `control` action and what
    was found of its `uplift`; its `metrics` say how it ranks responses, their base rate is the mean uplift.
    """

    format: Literal[1] = 1
    name: str
    version: str
    created_at: AwareDatetime
    kind: str
    positive: tuple[str, ...]
    inputs: tuple[str, ...]
    features: tuple[dict[str, Any], ...]
    fingerprint: str
    actions: tuple[str, ...]
    channels: tuple[str, ...]
    calibration: Calibration
    data: TrainingData
    metrics: Metrics
    uncalibrated: Metrics
    trees: int
    parameters: dict[str, bool | int | float | str]
    libraries: dict[str, str]
    files: dict[str, FileRecord]
    control: str | None = None
    uplift: UpliftMetrics | None = None

    @property
    def schema_read(self) -> FeatureSchema:
        """The part of the feature schema that the model was trained on."""
        return FeatureSchema.from_definition(self.features)

    def stamped(self) -> Self:
        """The same manifest with the version that its time and its content give it."""
        digest = content_hash(self.model_dump(mode="json"))
        return self.model_copy(update={"version": f"{self.created_at:%Y%m%dT%H%M%SZ}-{digest}"})


def content_hash(manifest: dict[str, Any]) -> str:
    """8 hex digits over all that a manifest says but its version, and so over the files it records."""
    content = {key: value for key, value in manifest.items() if key != "version"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
