"""Forests scored by machine code: all candidates of all requests by all their models, in one call."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.forest import ALL_LEAVES, Forest, UnsupportedForest
from models.kernel import ABREAST, FIELDS, LANES, kernel

NOWHERE = np.empty(0, np.intp)


class Told(NamedTuple):
    """A column of a forest whose value is known ahead: its value for each of a few things."""

    column: int
    values: NDArray[np.float64]


@dataclass(frozen=True)
class BoundForest:
    """A forest with the places where it finds what it reads.

    places   for each column of the forest, which column of the requests it is; those of `action` and
             `channel` don't count
    actions  the columns of the candidates that it scores
    action   what tells the actions apart, a value for each of `actions`; None: nothing
    channel  what tells the channels apart, a value for each; None: nothing
    """

    forest: Forest
    places: NDArray[np.intp]
    actions: NDArray[np.intp]
    action: Told | None = None
    channel: Told | None = None


class Panel:
    """Some forests over the same requests.

    Threads may share one; the GIL is free meanwhile.

    Args:
        forests: no action is scored by two of them.
        columns: how many there are of a request.
        moments: those that hold a timestamp, which forests read as seconds from now.

    Raises:
        KernelMissing: there is no machine code for this machine.
        UnsupportedForest: a forest takes one column for a number here and a category there.
    """

    def __init__(
        self, forests: Sequence[BoundForest], columns: int, moments: NDArray[np.intp] = NOWHERE
    ) -> None:
        self._kernel = kernel()
        self._columns, self._moments = columns, moments
        tables = [_tables(bound, columns) for bound in forests]
        self._kept = tables  # the kernel reads their memory
        self._forests = np.array(
            [[_number(table[name]) for name in FIELDS] for table in tables], np.int64
        ).reshape(len(tables), len(FIELDS))
        self._trees = max((bound.forest.trees for bound in forests), default=0)
        self._room = max((len(bound.actions) for bound in forests), default=0) + ABREAST

    def score(
        self,
        X: NDArray[np.float64],
        now: NDArray[np.float64],
        channel: NDArray[np.intp],
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
        requests, room = len(X), -(-len(X) // LANES) * LANES
        columns = _aligned(self._columns + 1, room).view(np.float64)
        columns[:-1, :requests] = X.T
        columns[self._moments, :requests] -= now
        columns[-1, :requests] = channel
        candidates = np.ascontiguousarray(candidates)
        reach = _aligned(self._trees, LANES)
        noted = np.empty((LANES, self._room), np.int32)
        self._kernel.score(
            requests,
            room,
            columns.ctypes.data,
            candidates.shape[1],
            candidates.ctypes.data,
            margins.ctypes.data,
            len(self._forests),
            self._forests.ctypes.data,
            reach.ctypes.data,
            noted.ctypes.data,
            self._room,
        )


class QuickScorer:
    """A forest as a scorer of rows.

    Raises:
        KernelMissing, UnsupportedForest: it can't be one.
    """

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


def _aligned(rows: int, columns: int) -> NDArray[np.uint64]:
    """Room for rows that begin where a line of the processor's cache does."""
    space = np.empty(rows * columns + LANES, np.uint64)
    skipped = -space.ctypes.data // space.itemsize % LANES
    return space[skipped : skipped + rows * columns].reshape(rows, columns)


def _number(entry: "int | NDArray[np.generic]") -> int:
    return entry if isinstance(entry, int) else entry.ctypes.data


def _tables(bound: BoundForest, columns: int) -> dict[str, "int | NDArray[np.generic]"]:
    """What the kernel reads of a forest, by `kernel.FIELDS`."""
    forest = bound.forest
    told = {entry.column for entry in (bound.action, bound.channel) if entry is not None}
    categorical = np.array([len(categories) > 0 for categories in forest.categories], np.bool_)
    asked = ~np.isin(forest.column, list(told))
    numbers = np.flatnonzero(asked & ~categorical)
    # nodes of one column together, and then of many trees in turn: none has to wait for the one before
    numbers = numbers[
        np.lexsort((forest.threshold[numbers], forest.column[numbers], forest.nan_right[numbers]))
    ]
    lookups = [
        _categories(forest, column, bound.places[column])
        for column in np.unique(forest.column[asked & categorical]).tolist()
    ]
    if bound.channel is not None:
        lookups.append(_Lookup.of(forest, bound.channel, columns))
    return {
        "trees": forest.trees,
        "first_leaf": forest.first_leaf.astype(np.int32),
        "leaf_values": forest.leaf_values,
        "nan_left": int((~forest.nan_right[numbers]).sum()),
        "nodes": len(numbers),
        "thresholds": forest.threshold[numbers],
        "columns": bound.places[forest.column[numbers]].astype(np.int32),
        "node_trees": forest.tree[numbers].astype(np.int32),
        "keeps": forest.keeps[numbers],
        "lookups": len(lookups),
        "lookup_columns": np.array([lookup.place for lookup in lookups], np.int32),
        "lookup_sizes": np.array([len(lookup.keeps) - 1 for lookup in lookups], np.int32),
        "lookup_first": np.cumsum([0, *(len(lookup.trees) for lookup in lookups)], dtype=np.int32),
        "lookup_trees": _joined([lookup.trees for lookup in lookups], np.int32),
        "lookup_tables": np.cumsum([0, *(lookup.keeps.size for lookup in lookups)], dtype=np.int64),
        "lookup_keeps": _joined([lookup.keeps.ravel() for lookup in lookups], np.uint64),
        "actions": len(bound.actions),
        "action_columns": bound.actions.astype(np.int32),
        "action_keeps": _of_actions(bound),
    }


def _joined(arrays: list[NDArray[np.generic]], kind: type[np.generic]) -> NDArray[np.generic]:
    return np.concatenate([np.empty(0, kind), *arrays]).astype(kind)


class _Lookup(NamedTuple):
    """What each value of a column rules out.

    place   the column of the requests that holds the number of the value
    trees   k: those that ask for it
    keeps   values + 1 x k: the leaves that can still be reached; the last row is for a value not known
    """

    place: int
    trees: NDArray[np.intp]
    keeps: NDArray[np.uint64]

    @classmethod
    def of(cls, forest: Forest, told: Told, place: int) -> "_Lookup":
        nodes = np.flatnonzero(forest.column == told.column)
        trees, positions = np.unique(forest.tree[nodes], return_inverse=True)
        keeps = np.full((len(told.values) + 1, len(trees)), ALL_LEAVES)
        values = np.append(told.values, np.nan)
        for node, position in zip(nodes.tolist(), positions.tolist(), strict=True):
            keeps[forest.goes_right(node, values), position] &= forest.keeps[node]
        return cls(place, trees, keeps)


def _categories(forest: Forest, column: int, place: int) -> _Lookup:
    """The lookup of a categorical column, by the codes that are in it."""
    nodes = np.flatnonzero(forest.column == column).tolist()
    if not all(len(forest.categories[node]) for node in nodes):
        raise UnsupportedForest(f"column {column} is a number in one node and a category in another")
    most = max(int(forest.categories[node].max()) for node in nodes)
    return _Lookup.of(forest, Told(column, np.arange(most + 1.0)), place)


def _of_actions(bound: BoundForest) -> NDArray[np.uint64]:
    """actions x trees: the leaves that each action leaves within reach."""
    keeps = np.full((len(bound.actions), bound.forest.trees), ALL_LEAVES)
    if bound.action is not None:
        lookup = _Lookup.of(bound.forest, bound.action, 0)
        keeps[:, lookup.trees] = lookup.keeps[:-1]
    return keeps
