"""Forests as the kernel reads them: the nodes of all together, by what they ask for."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from models.forest import ALL_LEAVES, Forest

Nodes = NDArray[np.intp]
"""Numbers of nodes of a forest."""
Trees = NDArray[np.uint16] | NDArray[np.uint32]
"""Numbers of trees."""
Words = NDArray[np.uint32] | NDArray[np.uint64]
"""Leaves within reach of a tree, a bit for each."""

_OF_ACTIONS = -1
"""What nodes ask for, in place of a column of the requests, that is told of the action."""


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

    def asked(self, columns: int) -> NDArray[np.intp]:
        """For each column of the forest, which it is of requests whose channel follows so many columns."""
        asked = self.places.astype(np.intp)
        if self.action is not None:
            asked[self.action.column] = _OF_ACTIONS
        if self.channel is not None:
            asked[self.channel.column] = columns
        return asked


class Tables(NamedTuple):
    """Forests in memory, in the order in which `kernel.score` takes them. The columns of requests end with
    the number of the channel. A node that a request goes right at has something to take out of a tree.

    thresholds_of  K x 5: a column, from where to where its thresholds are, and from where to where the nodes
                   are at which a missing value goes right
    thresholds     of each column, ascending
    codes_of       C x 3: a column, how many codes are known, and where they begin in `codes`
    codes          where the nodes begin at which who has the code goes right, and, at the next, where they
                   end. The last code of a column is for whoever has none that is known
    trees          of each node; the first ones are those with `thresholds`
    keeps          of each node: the leaves within reach for who goes right
    forests        F + 1 x 2: the first tree and the first action of each
    actions        A x 2: the column of the candidates, and where its row of `action_keeps` begins
    action_keeps   for each action, of each tree of its forest: the leaves within its reach
    first_leaf     of each tree
    leaf_values    of all trees, one after the other
    """

    thresholds_of: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    codes_of: NDArray[np.int64]
    codes: NDArray[np.int64]
    trees: Trees
    keeps: Words
    forests: NDArray[np.int64]
    actions: NDArray[np.int64]
    action_keeps: Words
    first_leaf: NDArray[np.uint32]
    leaf_values: NDArray[np.float64]

    @classmethod
    def of(cls, bound: Sequence[BoundForest], columns: int) -> Self:
        """Put forests together, at least one, for requests of so many columns."""
        forest = Forest.joined([one.forest for one in bound], [one.asked(columns) for one in bound])
        by_number = _by_threshold(forest, columns)
        missing = [nodes[forest.nan_right[nodes]] for nodes in by_number]
        by_code = _by_code(forest, bound, columns)
        order = [*by_number, *missing, *itertools.chain.from_iterable(by_code.values())]
        nodes = np.concatenate([np.empty(0, np.intp), *order])
        ends = np.cumsum([0, *map(len, order)])
        first, known = ends[: len(by_number) + 1], ends[len(by_number) : 2 * len(by_number) + 1]
        first_code = np.cumsum([0, *(len(codes) for codes in by_code.values())])
        tree_type, word_type = _narrowest(forest)
        trees = np.cumsum([0, *(one.forest.trees for one in bound)])
        action_keeps = _action_keeps(forest, bound)
        first_trees = np.repeat(trees[:-1], [len(one.actions) for one in bound])
        rows = np.array([keeps.shape[1] for keeps in action_keeps for _ in keeps], np.int64)
        return cls(
            thresholds_of=np.column_stack(
                (
                    [forest.column[nodes[0]] for nodes in by_number],
                    first[:-1],
                    first[1:],
                    known[:-1],
                    known[1:],
                )
            ).astype(np.int64),
            thresholds=forest.threshold[nodes[: first[-1]]],
            codes_of=np.column_stack((list(by_code), np.diff(first_code) - 1, first_code[:-1])).astype(
                np.int64
            ),
            codes=ends[2 * len(by_number) :],
            trees=forest.tree[nodes].astype(tree_type),
            keeps=forest.keeps[nodes].astype(word_type),
            forests=np.cumsum(
                [(0, 0), *((one.forest.trees, len(one.actions)) for one in bound)], axis=0, dtype=np.int64
            ),
            actions=np.column_stack(
                (np.concatenate([one.actions for one in bound]), np.cumsum(rows) - rows - first_trees)
            ).astype(np.int64),
            action_keeps=np.concatenate([keeps.ravel().astype(word_type) for keeps in action_keeps]),
            first_leaf=forest.first_leaf.astype(np.uint32),
            leaf_values=forest.leaf_values,
        )


def _narrowest(forest: Forest) -> tuple[type[np.uint16] | type[np.uint32], type[np.uint32] | type[np.uint64]]:
    """The types of trees' numbers and of words. Half as wide where that is enough: what the processor's cache
    does not have to hold of forests stays in it of everything else."""
    if forest.most_leaves <= np.iinfo(np.uint32).bits and forest.trees <= np.iinfo(np.uint16).max:
        return np.uint16, np.uint32
    return np.uint32, np.uint64


def _by_threshold(forest: Forest, columns: int) -> list[Nodes]:
    """The nodes that compare each number of the requests, by their thresholds."""
    asked = ~np.isnan(forest.threshold) & (forest.column >= 0) & (forest.column < columns)
    nodes = np.flatnonzero(asked)
    nodes = nodes[np.lexsort((forest.threshold[nodes], forest.column[nodes]))]
    runs = np.split(nodes, np.flatnonzero(np.diff(forest.column[nodes])) + 1)
    return [run for run in runs if len(run)]


def _by_code(forest: Forest, bound: Sequence[BoundForest], columns: int) -> dict[int, list[Nodes]]:
    """For each column with codes, the channel the last: the nodes at which each code goes right, and at last
    those at which one goes right that is not known."""
    categories = np.isnan(forest.threshold) & (forest.column >= 0) & (forest.column < columns)
    asked: dict[int, list[Nodes]] = {}
    for column in np.unique(forest.column[categories]).tolist():
        nodes = np.flatnonzero(categories & (forest.column == column))
        codes = np.arange(1.0 + forest.greatest_codes(nodes).max())
        asked[column] = _sent_right(forest, nodes, np.append(codes, np.nan)[:, None])
    nodes = np.flatnonzero(forest.column == columns)
    if len(nodes):
        told = [np.append(one.channel.values if one.channel else [], np.nan) for one in bound]
        owner = np.repeat(np.arange(len(bound)), [one.forest.trees for one in bound])
        values = [told[k] for k in owner[forest.tree[nodes]].tolist()]
        asked[columns] = _sent_right(forest, nodes, np.column_stack(values))
    return asked


def _sent_right(forest: Forest, nodes: Nodes, values: NDArray[np.float64]) -> list[Nodes]:
    """For each row of values, those of some nodes at which they go right, a column for each node."""
    return [nodes[right] for right in forest.goes_right(nodes, values)]


def _action_keeps(forest: Forest, bound: Sequence[BoundForest]) -> list[NDArray[np.uint64]]:
    """For each forest, actions x trees: the leaves that each action leaves within reach."""
    keeps, nodes = forest.keeps, np.flatnonzero(forest.column == _OF_ACTIONS)
    firsts = np.cumsum([0, *(one.forest.trees for one in bound)])
    rows = []
    for one, first in zip(bound, firsts.tolist(), strict=False):
        told = np.empty(0) if one.action is None else one.action.values
        row = np.full((len(one.actions), one.forest.trees), ALL_LEAVES)
        trees = forest.tree[nodes] - first
        mine = (trees >= 0) & (trees < one.forest.trees)
        right = forest.goes_right(nodes[mine], told[:, None])
        for place, (node, tree) in enumerate(zip(nodes[mine].tolist(), trees[mine].tolist(), strict=True)):
            row[right[:, place], tree] &= keeps[node]
        rows.append(row)
    return rows
