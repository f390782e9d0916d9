"""A LightGBM model's trees as arrays: what they compare, and which leaf of each is then the answer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

MOST_LEAVES = 64
"""Of one tree: a leaf is a bit of a machine word."""

ALL_LEAVES = ~np.uint64(0)
_EVERY_BIT = int(ALL_LEAVES)

_ZERO = float(np.float32(1e-35))
"""Numbers that are not further than this from zero are zero, to LightGBM."""

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_IS_ZERO, _MISSING_IS_NAN = 1, 2


class UnsupportedForest(Exception):
    """A model whose trees can't be read as a `Forest`, and why. LightGBM may well read it."""


@dataclass(frozen=True)
class Forest:
    """Trees for scoring by QuickScorer: Lucchese et al., QuickScorer: A Fast Algorithm to Rank Documents with
    Additive Ensembles of Regression Trees (2015).

    The leaves of a tree are numbered from left to right. A row that goes right at a node can't reach the
    leaves on its left; what is left over once all nodes have been asked, in any order, begins with the
    leaf that the row reaches.

    width        how many columns a row has
    leaf_values  the leaves of all trees, one after the other
    first_leaf   T: where those of each tree begin
    column       k: what each of the nodes of all trees compares
    tree         k: the tree that it belongs to
    keeps        k: the leaves that a row can still reach which goes right at it, a bit for each
    threshold    k: who is greater goes right; NaN for a node that asks for categories
    nan_right    k: whether a missing value goes right
    categories   k: those that go left; empty for a node with a threshold
    """

    width: int
    leaf_values: NDArray[np.float64]
    first_leaf: NDArray[np.intp]
    column: NDArray[np.intp]
    tree: NDArray[np.intp]
    keeps: NDArray[np.uint64]
    threshold: NDArray[np.float64]
    nan_right: NDArray[np.bool_]
    categories: tuple[NDArray[np.intp], ...]

    @classmethod
    def parse(cls, model: bytes) -> Self:
        """Read a model as LightGBM writes it.

        Raises:
            UnsupportedForest: it has more than one output, or trees of a kind that is not known here.
        """
        try:
            return cls._parsed(model.decode())
        except (KeyError, ValueError, IndexError) as error:
            raise UnsupportedForest(f"it does not read like LightGBM's trees: {error!r}") from error

    @classmethod
    def _parsed(cls, text: str) -> Self:
        head, *blocks = text.partition("\nend of trees")[0].split("\nTree=")
        width = int(_fields(head)["max_feature_idx"]) + 1
        if int(_fields(head)["num_class"]) != 1 or "average_output" in head.splitlines():
            raise UnsupportedForest("it has more than one output, or averages its trees")
        trees = [_Tree.of(_fields(block)) for block in blocks]
        nodes = [node for tree in trees for node in tree.nodes]
        columns, keeps, thresholds, nan_right, categories = zip(*nodes, strict=True) if nodes else ((),) * 5
        return cls(
            width=width,
            leaf_values=np.array([value for tree in trees for value in tree.leaf_values], np.float64),
            first_leaf=np.cumsum([0, *(len(tree.leaf_values) for tree in trees)], dtype=np.intp)[:-1],
            column=np.array(columns, np.intp),
            tree=np.repeat(np.arange(len(trees)), [len(tree.nodes) for tree in trees]),
            keeps=np.array(keeps, np.uint64),
            threshold=np.array(thresholds, np.float64),
            nan_right=np.array(nan_right, np.bool_),
            categories=categories,
        )

    @classmethod
    def joined(cls, forests: Sequence[Self], columns: Sequence[NDArray[np.intp]]) -> Self:
        """The trees of all, at least one, each with other numbers for its columns."""
        trees = np.cumsum([0, *(forest.trees for forest in forests)])
        leaves = np.cumsum([0, *(len(forest.leaf_values) for forest in forests)])
        return cls(
            width=max(int(places.max(initial=-1)) + 1 for places in columns),
            leaf_values=np.concatenate([forest.leaf_values for forest in forests]),
            first_leaf=np.concatenate([f.first_leaf + n for f, n in zip(forests, leaves, strict=False)]),
            column=np.concatenate([c[f.column] for f, c in zip(forests, columns, strict=True)]),
            tree=np.concatenate([f.tree + n for f, n in zip(forests, trees, strict=False)]),
            keeps=np.concatenate([forest.keeps for forest in forests]),
            threshold=np.concatenate([forest.threshold for forest in forests]),
            nan_right=np.concatenate([forest.nan_right for forest in forests]),
            categories=tuple(codes for forest in forests for codes in forest.categories),
        )

    @property
    def trees(self) -> int:
        """How many there are."""
        return len(self.first_leaf)

    def goes_right(self, node: int, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each value goes right at a node."""
        if len(self.categories[node]):
            left = self.categories[node]
            is_left = np.zeros(int(left.max()) + 3, np.bool_)  # the last two: a higher code, and none at all
            is_left[left] = True
            codes = np.minimum(np.trunc(values), len(is_left) - 2)
            right = ~is_left[np.where(codes >= 0.0, codes, -1.0).astype(np.intp)]
        else:
            right = np.where(np.isnan(values), self.nan_right[node], values > self.threshold[node])
        return right.astype(np.bool_)


_Node = tuple[int, int, float, bool, NDArray[np.intp]]
"""Column, keeps, threshold, nan_right and categories, as in `Forest`."""

_NO_CATEGORIES = np.empty(0, np.intp)


class _Tree(NamedTuple):
    """The values of its leaves from left to right, and its nodes."""

    leaf_values: list[float]
    nodes: list[_Node]

    @classmethod
    def of(cls, fields: dict[str, str]) -> Self:
        if int(fields["num_leaves"]) > MOST_LEAVES:
            raise UnsupportedForest(f"a tree has more than {MOST_LEAVES} leaves")
        if fields["is_linear"] != "0":
            raise UnsupportedForest("its trees are linear")
        values = [float(value) for value in fields["leaf_value"].split()]
        if len(values) == 1:
            return cls(values, [])
        left, right = _integers(fields["left_child"]), _integers(fields["right_child"])
        columns, kinds = _integers(fields["split_feature"]), _integers(fields["decision_type"])
        thresholds = [float(value) for value in fields["threshold"].split()]
        sets = _sets(fields)
        ordered: list[float] = []
        nodes: list[_Node] = []

        def walk(place: int) -> None:
            if place < 0:
                ordered.append(values[~place])
                return
            first = len(ordered)
            walk(left[place])
            keeps = _EVERY_BIT ^ (1 << len(ordered)) - (1 << first)
            kind, threshold = kinds[place], thresholds[place]
            if kind & _CATEGORICAL:
                nodes.append((columns[place], keeps, math.nan, True, sets[int(threshold)]))
            else:
                right_if_missing = _nan_right(kind, threshold)
                beside = _beside_zero(threshold)
                nodes.append((columns[place], keeps, beside, right_if_missing, _NO_CATEGORIES))
            walk(right[place])

        walk(0)
        return cls(ordered, nodes)


def _beside_zero(threshold: float) -> float:
    """The threshold, moved out of the numbers that count as zero, so that all of them are on its one side."""
    if -_ZERO <= threshold < 0.0:
        return math.nextafter(-_ZERO, -math.inf)
    return _ZERO if 0.0 <= threshold < _ZERO else threshold


def _nan_right(kind: int, threshold: float) -> bool:
    """Whether a missing value goes right at a node with a threshold."""
    missing = kind >> 2 & 3
    if missing == _MISSING_IS_ZERO:
        raise UnsupportedForest("its trees take zero for a missing value")
    if missing == _MISSING_IS_NAN:
        return not kind & _DEFAULT_LEFT
    return not threshold >= 0.0  # where training met none missing, LightGBM takes zero in place of one


def _sets(fields: dict[str, str]) -> list[NDArray[np.intp]]:
    """The sets of categories of a tree, which its nodes name by their number."""
    if not int(fields["num_cat"]):
        return []
    bounds, words = _integers(fields["cat_boundaries"]), _integers(fields["cat_threshold"])
    bits = np.unpackbits(np.array(words, "<u4").view(np.uint8), bitorder="little")
    return [bits[32 * low : 32 * high].nonzero()[0] for low, high in pairwise(bounds)]


def _fields(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _integers(text: str) -> list[int]:
    return [int(word) for word in text.split()]
