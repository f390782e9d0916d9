"""One version of a model as files: writing them, and loading them with every check that there is."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from feature_store.schema import FeatureSchema
from models.choosing import Choice, choose
from models.compatibility import mismatches
from models.errors import ModelRefused
from models.heads import Heads
from models.kinds import KINDS, Kind
from models.layout import BUILT_IN, Inputs
from models.manifest import AnyManifest, CustomerManifest, FileRecord, Manifest, content_hash
from models.model import CustomerModel, PropensityModel
from models.scorers import InvalidModel, LightGBMScorer

MANIFEST, GOLDEN = "manifest.json", "golden.npz"

GOLDEN_TOLERANCE = 1e-6
"""How far a golden row's score may lie from the expected one: exponentials differ in the last digits between
machines, trees don't differ at all."""
ONE_BY_ONE = 16
"""Golden rows, about, that are scored by themselves, too: a call for one takes as long as one for many."""


Form = TypeVar("Form", bound=AnyManifest)


class _Refused(Exception):
    """A reason, before it is known whose."""


@dataclass(frozen=True)
class GoldenRows:
    """Rows of shape (m, width) and the scores that the model gave them when it was trained: (m,), of a model
    with heads (m, heads)."""

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
        if golden.rows.ndim != 2 or golden.scores.shape[:1] != golden.rows.shape[:1] or not len(golden.rows):
            raise ValueError("its arrays don't have the shapes (m, width) and (m,) or (m, heads)")
        return golden


@dataclass(frozen=True)
class StagedModel(Generic[Form]):
    """A trained model that is not in a registry yet. Its manifest has no version and no file records."""

    manifest: Form
    model: bytes
    golden: bytes

    @classmethod
    def of(cls, manifest: Form, model: bytes, golden: GoldenRows) -> "StagedModel[Form]":
        """Stage a model: its manifest gets the records of its files."""
        content = golden.dump()
        records = {_file(manifest): FileRecord.of(model), GOLDEN: FileRecord.of(content)}
        return cls(manifest.model_copy(update={"files": records}), model, content)


def files(manifest: AnyManifest, staged: "StagedModel[Form]") -> Mapping[str, bytes]:
    """The files of a version by name."""
    text = manifest.model_dump_json(indent=2) + "\n"
    return {_file(manifest): staged.model, GOLDEN: staged.golden, MANIFEST: text.encode()}


def load(
    folder: Path, name: str, version: str, schema: FeatureSchema, choice: Choice = "auto"
) -> PropensityModel:
    """The model in a version's folder, served by the scorer of a choice.

    In this order: the manifest is whole and that of this version, the files are what it says, the features
    that the model reads mean the same in the live schema, its kind of scorer can read it, and of the scorer
    that serves it the golden rows get the scores that they got in training, together and some of them by
    themselves, which also warms it up.

    Raises:
        ModelRefused: any of this is not so.
    """
    with _refusing(name, version):
        manifest, model, golden = _opened(folder, name, version, schema, Manifest)
        scorer = _kind(manifest).make(model, _inputs(manifest))
        _check_widths(manifest, scorer.width, golden)
        served = choose(scorer, model, golden.rows, choice) if isinstance(scorer, LightGBMScorer) else scorer
        _check_golden(lambda rows: manifest.calibration.apply(served.margins(rows)), golden)
    return PropensityModel(name, version, manifest, served)


def load_customer_model(
    folder: Path, name: str, version: str, schema: FeatureSchema, choice: Choice = "auto"
) -> CustomerModel:
    """The model of customers in a version's folder, checked like `load`.

    Raises:
        ModelRefused: it must not serve.
    """
    with _refusing(name, version):
        manifest, content, golden = _opened(folder, name, version, schema, CustomerManifest)
        heads = Heads.parse(content)
        if len(heads.scorers) != max(1, len(manifest.target.levels)):
            raise _Refused(f"{Heads.file} has {len(heads.scorers)} heads, which are not those of its levels")
        _check_widths(manifest, heads.width, golden)
        served = heads.chosen(content, golden.rows, choice)
        _check_golden(lambda rows: manifest.calibration.apply(served.margins(rows)), golden)
    return CustomerModel(name, version, manifest, served)


def read_manifest(folder: Path, name: str, version: str) -> Manifest | CustomerManifest:
    """The manifest in a version's folder, of whichever kind of model.

    Raises:
        ModelRefused: it is damaged.
    """
    with _refusing(name, version):
        if f'"kind": "{Heads.kind}"'.encode() in _read(folder / MANIFEST):
            return _manifest(folder, name, version, CustomerManifest)
        return _manifest(folder, name, version, Manifest)


@contextmanager
def _refusing(name: str, version: str) -> Iterator[None]:
    """Whose reasons these are."""
    try:
        yield
    except (_Refused, InvalidModel) as error:
        raise ModelRefused(name, version, str(error)) from error
    except (KeyError, ValueError) as error:
        raise ModelRefused(name, version, f"its files contradict each other: {error}") from error


def _opened(
    folder: Path, name: str, version: str, schema: FeatureSchema, form: type[Form]
) -> tuple[Form, bytes, GoldenRows]:
    """The manifest, the model and the golden rows of a version, of which the files are what they must be, and
    whose features mean the same now."""
    manifest = _manifest(folder, name, version, form)
    file = _file(manifest)
    model = _content(folder / file, manifest.files[file])
    golden = GoldenRows.parse(_content(folder / GOLDEN, manifest.files[GOLDEN]))
    if reasons := mismatches(manifest.schema_read, schema):
        raise _Refused("it does not fit the feature schema: " + "; ".join(reasons) + "; train it afresh")
    if manifest.inputs != _inputs(manifest).names:
        raise _Refused(f"{MANIFEST} lists inputs that are not the columns of its features and {BUILT_IN}")
    return manifest, model, golden


def _manifest(folder: Path, name: str, version: str, form: type[Form]) -> Form:
    content = _read(folder / MANIFEST)
    try:
        data: dict[str, Any] = json.loads(content)
        manifest = form.model_validate_json(content)
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
    if missing := {_file(manifest), GOLDEN} - manifest.files.keys():
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


def _file(manifest: AnyManifest) -> str:
    """The name of the file with the model."""
    return Heads.file if manifest.kind == Heads.kind else _kind(manifest).file


def _kind(manifest: AnyManifest) -> Kind:
    if manifest.kind not in KINDS:
        raise _Refused(f"no scorer for models of the kind '{manifest.kind}' (there is: {', '.join(KINDS)})")
    return KINDS[manifest.kind]


def _inputs(manifest: AnyManifest) -> Inputs:
    return Inputs(manifest.schema_read, manifest.actions, manifest.channels)


def _check_widths(manifest: AnyManifest, width: int, golden: GoldenRows) -> None:
    listed = len(manifest.inputs)
    if width != listed:
        raise _Refused(f"{_file(manifest)} reads {width} columns, but the manifest lists {listed}")
    if golden.rows.shape[1] != listed:
        raise _Refused(f"{GOLDEN} has rows of {golden.rows.shape[1]} columns, the model reads {listed}")


def _check_golden(score: Callable[[NDArray[np.float64]], NDArray[np.float64]], golden: GoldenRows) -> None:
    together = score(golden.rows)
    by_itself = together.copy()
    for place in range(0, len(by_itself), max(1, len(by_itself) // ONE_BY_ONE)):
        by_itself[place : place + 1] = score(golden.rows[place : place + 1])
    for scores in (together, by_itself):
        if scores.shape != golden.scores.shape:
            raise _Refused(f"{GOLDEN} has scores of the shape {golden.scores.shape}, not {scores.shape}")
        near = np.abs(scores - golden.scores) <= GOLDEN_TOLERANCE * np.maximum(1.0, np.abs(golden.scores))
        off = ~near.reshape(len(scores), -1).all(axis=1)  # so that a NaN is off, too
        if off.any():
            worst = int(np.flatnonzero(off)[0])
            found, expected = (np.atleast_1d(some[worst])[0] for some in (scores, golden.scores))
            raise _Refused(
                f"{int(off.sum())} of {len(scores)} golden rows get other scores than in training, "
                f"first row {worst}: {found:.6f} instead of {expected:.6f}"
            )
