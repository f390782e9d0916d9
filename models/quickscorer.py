"""Forests scored by machine code: all candidates of all requests by all their models."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.forest import Forest
from models.kernel import score
from models.tables import BoundForest, Tables

MOST_TREES = 1_024
"""Of forests that are asked together: so many that their nodes stay in the processor's cache."""

_NO_COLUMNS = np.empty(0, np.int64)


class Panel:
    """Some forests over the same requests.

    Threads may share one; the GIL is free meanwhile.

    Args:
        forests: no action is scored by two of them.
        columns: how many there are of a request.
        moments: those that hold a timestamp, which forests read as seconds from now.
    """

    def __init__(
        self, forests: Sequence[BoundForest], columns: int, moments: NDArray[np.int64] = _NO_COLUMNS
    ) -> None:
        self._moments = moments
        self._tables = [Tables.of(some, columns) for some in _in_parts(forests)]

    def score(
        self,
        X: NDArray[np.float64],
        now: NDArray[np.float64],
        channel: NDArray[np.int64],
        candidates: NDArray[np.bool_],
        margins: NDArray[np.float64],
    ) -> None:
        """Write the raw scores (log-odds) of the candidates of the forests' actions into `margins`.

        Args:
            X: what is known of each request, shape (n, columns); NaN is missing.
            now: epoch seconds of each request, shape (n,).
            channel: which of the channels each request is in, shape (n,).
            candidates: shape (n, A).
            margins: C-contiguous, of the same shape; what is not scored stays as it is.
        """
        X, candidates = np.ascontiguousarray(X), np.ascontiguousarray(candidates)
        for tables in self._tables:
            score(X, now, channel, candidates, margins, self._moments, *tables)


def _in_parts(forests: Sequence[BoundForest]) -> list[list[BoundForest]]:
    parts: list[list[BoundForest]] = []
    trees = MOST_TREES
    for one in forests:
        if trees + one.forest.trees > MOST_TREES:
            parts.append([])
            trees = 0
        parts[-1].append(one)
        trees += one.forest.trees
    return parts


class QuickScorer:
    """A forest as a scorer of rows."""

    def __init__(self, forest: Forest) -> None:
        self.forest = forest
        self.width = forest.width
        alone = BoundForest(forest, np.arange(forest.width), np.zeros(1, np.intp))
        self._panel = Panel([alone], forest.width)

    def margins(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The raw scores (log-odds) of rows of shape (m, width); shape (m,).

        Raises:
            ValueError: rows of another shape.
        """
        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise ValueError(f"rows must have the shape (m, {self.width}), not {rows.shape}")
        margins = np.empty((len(rows), 1))
        everybody = np.ones((len(rows), 1), np.bool_)
        nothing = np.zeros(len(rows))
        self._panel.score(rows, nothing, nothing.astype(np.intp), everybody, margins)
        return margins[:, 0]
