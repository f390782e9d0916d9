"""A LightGBM model's trees as arrays: what they compare, and which leaf of each is then the answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

MOST_LEAVES = 64
"""Of one tree: a leaf is a bit of a machine word."""

ALL_LEAVES = ~np.uint64(0)

_ZERO = float(np.float32(1e-35))
"""Numbers that are not further than this from zero are zero, to LightGBM."""

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_IS_ZERO, _MISSING_IS_NAN = 1, 2
_WORD = 32
"""Bits of a word of a set."""
_BEYOND_SETS = 2.0**31
"""A code that no set has a bit for."""

_Fields = dict[str, str]
"""What LightGBM writes of a tree, by its name."""
_Indices = NDArray[np.intp]
_Numbers = TypeVar("_Numbers", _Indices, NDArray[np.float64])


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
    first_word   k: where in `words` the set of the categories begins that go left
    set_words    k: of how many words it is; 0 for a node with a threshold
    words        all sets, a bit for each category
    """

    width: int
    leaf_values: NDArray[np.float64]
    first_leaf: NDArray[np.intp]
    column: NDArray[np.intp]
    tree: NDArray[np.intp]
    keeps: NDArray[np.uint64]
    threshold: NDArray[np.float64]
    nan_right: NDArray[np.bool_]
    first_word: NDArray[np.intp]
    set_words: NDArray[np.intp]
    words: NDArray[np.uint32]

    @classmethod
    def parse(cls, model: bytes) -> Self:
        """Read a model as LightGBM writes it.

        Raises:
            UnsupportedForest: it has more than one output, or trees of a kind that is not known here.
        """
        try:
            return cls._parsed(model.decode())
        except (KeyError, ValueError, IndexError, OverflowError) as error:
            raise UnsupportedForest(f"it does not read like LightGBM's trees: {error!r}") from error

    @classmethod
    def _parsed(cls, text: str) -> Self:
        head, *blocks = text.partition("\nend of trees")[0].split("\nTree=")
        width = int(_fields(head)["max_feature_idx"]) + 1
        if int(_fields(head)["num_class"]) != 1 or "average_output" in head.splitlines():
            raise UnsupportedForest("it has more than one output, or averages its trees")
        trees = [_fields(block) for block in blocks]
        _check_kind(trees)
        shape, sets = _Shape.of(trees), _Sets.of(trees)
        grown, nodes = shape.grown, len(shape.tree)
        kinds, thresholds = _integers(grown, "decision_type", nodes), _floats(grown, "threshold", nodes)
        by_set = (kinds & _CATEGORICAL).astype(np.bool_)
        first_word, set_words = sets.of_nodes(shape.tree, thresholds, by_set)
        leaf_values = np.empty(len(shape.place))
        leaf_values[shape.place] = _floats(trees, "leaf_value", len(leaf_values))
        return cls(
            width=width,
            leaf_values=leaf_values,
            first_leaf=shape.first_leaf,
            column=_integers(grown, "split_feature", nodes),
            tree=shape.tree,
            keeps=shape.keeps,
            threshold=np.where(by_set, np.nan, _beside_zero(thresholds)),
            nan_right=_nan_right(kinds, thresholds, by_set),
            first_word=first_word,
            set_words=set_words,
            words=sets.words,
        )

    @classmethod
    def joined(cls, forests: Sequence[Self], columns: Sequence[NDArray[np.intp]]) -> Self:
        """The trees of all, at least one, each with other numbers for its columns."""
        trees = np.cumsum([0, *(forest.trees for forest in forests)])
        leaves = np.cumsum([0, *(len(forest.leaf_values) for forest in forests)])
        words = np.cumsum([0, *(len(forest.words) for forest in forests)])
        return cls(
            width=max(int(places.max(initial=-1)) + 1 for places in columns),
            leaf_values=np.concatenate([forest.leaf_values for forest in forests]),
            first_leaf=np.concatenate([f.first_leaf + n for f, n in zip(forests, leaves, strict=False)]),
            column=np.concatenate([c[f.column] for f, c in zip(forests, columns, strict=True)]),
            tree=np.concatenate([f.tree + n for f, n in zip(forests, trees, strict=False)]),
            keeps=np.concatenate([forest.keeps for forest in forests]),
            threshold=np.concatenate([forest.threshold for forest in forests]),
            nan_right=np.concatenate([forest.nan_right for forest in forests]),
            first_word=np.concatenate([f.first_word + n for f, n in zip(forests, words, strict=False)]),
            set_words=np.concatenate([forest.set_words for forest in forests]),
            words=np.concatenate([forest.words for forest in forests]),
        )

    @property
    def trees(self) -> int:
        """How many there are."""
        return len(self.first_leaf)

    @property
    def most_leaves(self) -> int:
        """Of one tree."""
        return int(np.diff(self.first_leaf, append=len(self.leaf_values)).max(initial=0))

    def greatest_codes(self, nodes: _Indices) -> _Indices:
        """The greatest code in the set of each of some nodes that have one."""
        last = self.words[self.first_word[nodes] + self.set_words[nodes] - 1]
        greatest: _Indices = np.frexp(last.astype(np.float64))[1] - 1 + _WORD * (self.set_words[nodes] - 1)
        return greatest

    def goes_right(self, nodes: _Indices, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether values go right at nodes: of the shape that both have together."""
        nodes, values = np.broadcast_arrays(nodes, values)
        above = np.where(np.isnan(values), self.nan_right[nodes], values > self.threshold[nodes])
        codes = np.where(values > -1.0, np.minimum(values, _BEYOND_SETS), _BEYOND_SETS).astype(np.intp)
        listed = codes // _WORD < self.set_words[nodes]
        words = self.words[(self.first_word[nodes] + codes // _WORD)[listed]]
        left = np.zeros(values.shape, np.bool_)
        left[listed] = words >> (codes % _WORD)[listed] & 1
        return np.where(np.isnan(self.threshold[nodes]), ~left, above).astype(np.bool_)


class _Shape(NamedTuple):
    """How the trees of a model branch.

    grown       those that do
    first_leaf  T: where the leaves of each tree begin among those of all
    place       for each leaf as LightGBM numbers them, where it is among all from left to right
    tree        k: the tree of each node
    keeps       k: see `Forest`
    """

    grown: list[_Fields]
    first_leaf: _Indices
    place: _Indices
    tree: _Indices
    keeps: NDArray[np.uint64]

    @classmethod
    def of(cls, trees: list[_Fields]) -> Self:
        leaves = np.array([int(tree["num_leaves"]) for tree in trees], np.intp)
        first_leaf, nodes = np.cumsum(leaves) - leaves, leaves - 1
        first_node, tree = np.cumsum(nodes) - nodes, np.repeat(np.arange(len(trees)), nodes)
        grown = [fields for fields in trees if fields["num_leaves"] != "1"]
        left, right = (
            np.where(child < 0, len(tree) + first_leaf[tree] + ~child, first_node[tree] + child)
            for child in (_integers(grown, side, len(tree)) for side in ("left_child", "right_child"))
        )
        before, leaves_of = _walked(left, right, first_node[nodes > 0], int(leaves.sum()))
        first = before[: len(tree)].astype(np.uint64)
        one = np.uint64(1)
        return cls(
            grown=grown,
            first_leaf=first_leaf,
            place=np.repeat(first_leaf, leaves) + before[len(tree) :],
            tree=tree,
            keeps=~((one << first + leaves_of[left].astype(np.uint64)) - (one << first)),
        )


def _walked(left: _Indices, right: _Indices, roots: _Indices, leaves: int) -> tuple[_Indices, _Indices]:
    """For each node, and after all nodes for each leaf: how many leaves of its tree are left of it, and how
    many it has.

    Args:
        left, right: the child of each node on that side, a node or a leaf.
        roots: the nodes with which trees begin.
    """
    nodes, levels, seen = len(left), [], 0
    level = roots
    while len(level):
        seen += len(level)
        if seen > nodes:
            raise ValueError("a node is the child of two")
        levels.append(level)
        below = np.concatenate([left[level], right[level]])
        level = below[below < nodes]
    have = np.ones(nodes + leaves, np.intp)
    for level in reversed(levels):
        have[level] = have[left[level]] + have[right[level]]
    before = np.zeros(nodes + leaves, np.intp)
    for level in levels:
        before[left[level]] = before[level]
        before[right[level]] = before[level] + have[left[level]]
    return before, have


class _Sets(NamedTuple):
    """The sets of categories of all trees.

    bounds  where in `words` each set of a tree begins, and then where the last ends; tree after tree
    first   T: where the bounds of each tree begin
    words   see `Forest`
    """

    bounds: _Indices
    first: _Indices
    words: NDArray[np.uint32]

    @classmethod
    def of(cls, trees: list[_Fields]) -> Self:
        bounds: list[int] = []
        first: list[int] = []
        words: list[int] = []
        for tree in trees:
            first.append(len(bounds))
            if tree["num_cat"] != "0":
                bounds += [len(words) + int(bound) for bound in tree["cat_boundaries"].split()]
                words += map(int, tree["cat_threshold"].split())
        return cls(np.array(bounds, np.intp), np.array(first, np.intp), np.array(words, np.uint32))

    def of_nodes(
        self, trees: _Indices, numbers: NDArray[np.float64], by_set: NDArray[np.bool_]
    ) -> tuple[_Indices, _Indices]:
        """Where the set of each node begins, and of how many words it is: of those that ask `by_set` the one
        with its number in its tree, of the others none."""
        first, count = np.zeros((2, len(trees)), np.intp)
        at = self.first[trees[by_set]] + numbers[by_set].astype(np.intp)
        first[by_set] = self.bounds[at]
        count[by_set] = self.bounds[at + 1] - self.bounds[at]
        return first, count


def _check_kind(trees: list[_Fields]) -> None:
    for tree in trees:
        if int(tree["num_leaves"]) > MOST_LEAVES:
            raise UnsupportedForest(f"a tree has more than {MOST_LEAVES} leaves")
        if tree["is_linear"] != "0":
            raise UnsupportedForest("its trees are linear")


def _beside_zero(thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thresholds, moved out of the numbers that count as zero, so that all of them are on the one side."""
    moved = np.where((thresholds >= 0.0) & (thresholds < _ZERO), _ZERO, thresholds)
    moved[(thresholds >= -_ZERO) & (thresholds < 0.0)] = np.nextafter(-_ZERO, -np.inf)
    return moved


def _nan_right(
    kinds: _Indices, thresholds: NDArray[np.float64], by_set: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Whether a missing value goes right at each node."""
    missing = kinds >> 2 & 3
    if (missing[~by_set] == _MISSING_IS_ZERO).any():
        raise UnsupportedForest("its trees take zero for a missing value")
    as_zero = ~(thresholds >= 0.0)  # where training met none missing, LightGBM takes zero in place of one
    told = kinds & _DEFAULT_LEFT == 0
    return by_set | np.where(missing == _MISSING_IS_NAN, told, as_zero)


def _fields(block: str) -> _Fields:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _integers(trees: list[_Fields], name: str, count: int) -> _Indices:
    """The so many numbers that trees list under a name, one after the other."""
    return _counted(np.fromstring(" ".join(tree[name] for tree in trees), np.intp, sep=" "), count)


def _floats(trees: list[_Fields], name: str, count: int) -> NDArray[np.float64]:
    """The same of numbers that are not whole."""
    return _counted(np.fromstring(" ".join(tree[name] for tree in trees), sep=" "), count)


def _counted(numbers: _Numbers, count: int) -> _Numbers:
    if len(numbers) != count:
        raise ValueError(f"{len(numbers)} numbers in place of {count}")
    return numbers
