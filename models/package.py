"""One version of a model as files: writing them, and loading them with every check that there is."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from feature_store.schema import FeatureSchema
from models.calibration import Calibration
from models.choosing import Choice, choose
from models.compatibility import mismatches
from models.errors import ModelRefused
from models.kinds import KINDS, Kind
from models.layout import BUILT_IN, Inputs
from models.manifest import FileRecord, Manifest, content_hash
from models.model import PropensityModel
from models.scorers import InvalidModel, LightGBMScorer, Scorer

MANIFEST, GOLDEN = "manifest.json", "golden.npz"

GOLDEN_TOLERANCE = 1e-6
"""How far a golden row's score may lie from the expected one: exponentials differ in the last digits between
machines, trees don't differ at all."""


class _Refused(Exception):
    """A reason, before it is known whose."""


@dataclass(frozen=True)
class GoldenRows:
    """Rows of shape (m, width) and the probabilities (m,) that the model gave them when it was trained."""

    rows: NDArray[np.float64]
    scores: NDArray[np.float64]

    def dump(self) -> bytes:
        """The content of golden.npz."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, rows=self.rows, scores=self.scores)
        return buffer.getvalue()

    @classmethod
    def parse(cls, content: bytes) -> "GoldenRows":
        """Read golden.npz.

        Raises:
            ValueError: it is something else.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                golden = cls(arrays["rows"], arrays["scores"])
        except (OSError, KeyError, EOFError, BadZipFile) as error:
            raise ValueError(str(error)) from error
        if golden.rows.ndim != 2 or golden.scores.shape != golden.rows.shape[:1] or not len(golden.rows):
            raise ValueError("its arrays don't have the shapes (m, width) and (m,)")
        return golden


@dataclass(frozen=True)
class StagedModel:
    """A trained model that is not in a registry yet. Its manifest has no version and no file records."""

    manifest: Manifest
    model: bytes
    golden: bytes

    @classmethod
    def of(cls, manifest: Manifest, model: bytes, golden: GoldenRows) -> "StagedModel":
        """Stage a model: its manifest gets the records of its files."""
        content = golden.dump()
        records = {KINDS[manifest.kind].file: FileRecord.of(model), GOLDEN: FileRecord.of(content)}
        return cls(manifest.model_copy(update={"files": records}), model, content)


def files(manifest: Manifest, staged: StagedModel) -> Mapping[str, bytes]:
    """The files of a version by name."""
    text = manifest.model_dump_json(indent=2) + "\n"
    return {KINDS[manifest.kind].file: staged.model, GOLDEN: staged.golden, MANIFEST: text.encode()}


def load(
    folder: Path, name: str, version: str, schema: FeatureSchema, choice: Choice = "auto"
) -> PropensityModel:
    """The model in a version's folder, served by the scorer of a choice.

    In this order: the manifest is whole and that of this version, the files are what it says, the features
    that the model reads mean the same in the live schema, its kind of scorer can read it, and the golden rows
    get the scores that they got in training, one by one and together, which also warms the scorer up.

    Raises:
        ModelRefused: any of this is not so.
    """
    try:
        manifest = _manifest(folder, name, version)
        kind = _kind(manifest)
        model = _content(folder / kind.file, manifest.files[kind.file])
        golden = GoldenRows.parse(_content(folder / GOLDEN, manifest.files[GOLDEN]))
        if reasons := mismatches(manifest.schema_read, schema):
            raise _Refused("it does not fit the feature schema: " + "; ".join(reasons) + "; train it afresh")
        scorer = _scorer(kind, manifest, model)
        _check_golden(scorer, manifest.calibration, golden)
        if isinstance(scorer, LightGBMScorer):
            scorer = choose(scorer, model, golden.rows, choice)
    except (_Refused, InvalidModel) as error:
        raise ModelRefused(name, version, str(error)) from error
    except (KeyError, ValueError) as error:
        raise ModelRefused(name, version, f"its files contradict each other: {error}") from error
    return PropensityModel(name, version, manifest, scorer)


def _manifest(folder: Path, name: str, version: str) -> Manifest:
    content = _read(folder / MANIFEST)
    try:
        data: dict[str, Any] = json.loads(content)
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise _Refused(f"{MANIFEST} is not a manifest: {place}: {first['msg']}") from error
    except ValueError as error:
        raise _Refused(f"{MANIFEST} is not JSON: {error}") from error
    if (manifest.name, manifest.version) != (name, version):
        raise _Refused(f"{MANIFEST} is that of model '{manifest.name}' version {manifest.version}")
    if content_hash(data) != version[-8:]:
        raise _Refused(f"{MANIFEST} was changed after training: its content no longer has the version's hash")
    if missing := {_kind(manifest).file, GOLDEN} - manifest.files.keys():
        raise _Refused(f"{MANIFEST} has no record of {', '.join(sorted(missing))}")
    return manifest


def _content(path: Path, record: FileRecord) -> bytes:
    content = _read(path)
    if len(content) != record.size:
        kind = "truncated" if len(content) < record.size else "not the trained file"
        raise _Refused(f"{path.name} is {kind}: {len(content)} bytes instead of {record.size}")
    if FileRecord.of(content) != record:
        raise _Refused(f"{path.name} was changed after training: its SHA-256 is not the manifest's")
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise _Refused(f"{path.name} is missing") from None
    except OSError as error:
        raise _Refused(f"{path.name} can't be read: {error.strerror}") from error


def _kind(manifest: Manifest) -> Kind:
    if manifest.kind not in KINDS:
        raise _Refused(f"no scorer for models of the kind '{manifest.kind}' (there is: {', '.join(KINDS)})")
    return KINDS[manifest.kind]


def _scorer(kind: Kind, manifest: Manifest, model: bytes) -> Scorer:
    inputs = Inputs(manifest.schema_read, manifest.actions, manifest.channels)
    if manifest.inputs != inputs.names:
        raise _Refused(f"{MANIFEST} lists inputs that are not the columns of its features and {BUILT_IN}")
    scorer = kind.make(model, inputs)
    if scorer.width != len(manifest.inputs):
        raise _Refused(
            f"{kind.file} reads {scorer.width} columns, but the manifest lists {len(manifest.inputs)}"
        )
    return scorer


def _check_golden(scorer: Scorer, calibration: Calibration, golden: GoldenRows) -> None:
    if golden.rows.shape[1] != scorer.width:
        raise _Refused(f"{GOLDEN} has rows of {golden.rows.shape[1]} columns, the model reads {scorer.width}")
    one_by_one = np.concatenate([scorer.margins(row[None, :]) for row in golden.rows])
    for margins in (scorer.margins(golden.rows), one_by_one):
        scores = calibration.apply(margins)
        off = ~(np.abs(scores - golden.scores) <= GOLDEN_TOLERANCE)  # so that a NaN is off, too
        if off.any():
            worst = int(np.flatnonzero(off)[0])
            raise _Refused(
                f"{int(off.sum())} of {len(scores)} golden rows get other scores than in training, "
                f"first row {worst}: {scores[worst]:.6f} instead of {golden.scores[worst]:.6f}"
            )
