"""Models of customers as scorers: a forest for each thing that they say, side by side."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.choosing import Choice, choose
from models.scorers import InvalidModel, LightGBMScorer, Scorer


@dataclass(frozen=True)
class Heads:
    """LightGBM models over the same rows. A category has one for each level, against the others: so each is
    stopped, calibrated and scored as a model of two classes is."""

    kind: ClassVar[str] = "heads"
    file: ClassVar[str] = "models.json"

    scorers: tuple[Scorer, ...]

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """The heads in a version's file.

        Raises:
            InvalidModel: it is something else.
        """
        return cls(tuple(LightGBMScorer(text) for text in _texts(content)))

    @staticmethod
    def dump(texts: Sequence[bytes]) -> bytes:
        """The content of a version's file, from models as LightGBM writes them."""
        return json.dumps([text.decode() for text in texts]).encode()

    @property
    def width(self) -> int:
        """How many columns the rows have."""
        return self.scorers[0].width

    def margins(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The margins of rows of shape (m, width); shape (m, heads)."""
        return np.stack([scorer.margins(rows) for scorer in self.scorers], axis=1)

    def chosen(self, content: bytes, rows: NDArray[np.float64], choice: Choice) -> Self:
        """The same heads, each served by the scorer of a choice."""
        pairs = zip(self.scorers, _texts(content), strict=True)
        return type(self)(
            tuple(
                choose(scorer, text, rows, choice) if isinstance(scorer, LightGBMScorer) else scorer
                for scorer, text in pairs
            )
        )


def _texts(content: bytes) -> list[bytes]:
    try:
        texts = json.loads(content)
        if not texts:
            raise ValueError("it has no models")
        return [text.encode() for text in texts]
    except (ValueError, AttributeError, TypeError) as error:
        raise InvalidModel(f"{Heads.file} is no list of models: {error}") from error
