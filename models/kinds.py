"""The kinds of model that a manifest can name: which file holds one, and what scores it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from models.layout import Inputs
from models.onnx import OnnxScorer
from models.scorecard import ScorecardScorer
from models.scorers import LightGBMScorer, Scorer


class Kind(NamedTuple):
    """The name of the file in a version's folder, and how to make a scorer of its content."""

    file: str
    make: Callable[[bytes, Inputs], Scorer]


KINDS: Mapping[str, Kind] = {
    LightGBMScorer.kind: Kind("model.txt", lambda model, inputs: LightGBMScorer(model)),
    OnnxScorer.kind: Kind("model.onnx", OnnxScorer),
    ScorecardScorer.kind: Kind("model.json", ScorecardScorer),
}
