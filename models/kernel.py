"""The loops that score forests: QuickScorer.

Lucchese et al., QuickScorer: A Fast Algorithm to Rank Documents with Additive Ensembles of Regression Trees
(2015). A word of each tree has a bit for each leaf that can still be reached. The nodes that a request goes
right at take the leaves on their left out of it, in any order; the first that is left is the answer. Nodes
that compare one column lie together, by their thresholds: a value goes right at those before its place.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from models.forest import ALL_LEAVES
from numerics.compiling import compiled, part

LANES = 32
"""How many requests are scored together: their words of all trees stay in the processor's cache."""
ENOUGH = 12
"""From so many on, all look at a node side by side, as `LANES` of them; fewer look each at those alone that
they go right at."""
ABREAST = 4
"""How many candidates add up their leaves side by side, because each has to wait for its own last sum."""

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Indices = NDArray[np.uint32]
Trees = NDArray[np.uint16] | NDArray[np.uint32]
Words = NDArray[np.uint32] | NDArray[np.uint64]

_ONE = np.uint64(1)


def _lowest(typing: Any, word: Any) -> Any:
    """How Numba says the number of the lowest bit that is set in a word, which is one instruction."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bit = builder.cttz(arguments[0], context.get_constant(types.boolean, True))
        return context.cast(builder, bit, word, types.uint64)

    return types.uint64(word), build


_first_bit = cast(Callable[[np.uint32 | np.uint64], np.uint64], intrinsic(_lowest))


def _abreast(typing: Any, words: Any, values: Any, threshold: Any, kept: Any) -> Any:
    """How Numba says that of `LANES` words those keep what is kept whose value is greater than a threshold.
    Of a loop it would make vectors, too, but others for what is left over, and ask at each node which it
    needs."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def at(place: int) -> Any:
            """Where the numbers of an array begin, as those of one vector."""
            kind, array = signature.args[place], arguments[place]
            numbers = context.make_array(kind)(context, builder, array).data
            return builder.bitcast(numbers, _lanes(context, kind.dtype).as_pointer())

        def all_over(place: int) -> Any:
            """A number in all places of a vector."""
            kind = _lanes(context, signature.args[place])
            one = builder.insert_element(ir.Constant(kind, ir.Undefined), arguments[place], _FIRST)
            return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_INDEX, LANES), None))

        row, keeps = at(0), all_over(3)
        right = builder.fcmp_ordered(">", builder.load(at(1), align=8), all_over(2))
        left = builder.load(row, align=4)
        builder.store(builder.select(right, builder.and_(left, keeps), left), row, align=4)
        return context.get_dummy_value()

    return types.void(words, values, threshold, kept), build


def _lanes(context: Any, number: Any) -> Any:
    return ir.VectorType(context.get_data_type(number), LANES)


_INDEX = ir.IntType(32)
_FIRST = ir.Constant(_INDEX, 0)
_take_out_abreast = cast(Callable[[Words, Floats, float, np.uint32 | np.uint64], None], intrinsic(_abreast))


@part
def _read(x: Floats, X: Floats, now: Floats, channel: Whole, moments: Whole, start: int, lanes: int) -> None:
    """Turn requests into columns; the channel is the last."""
    last = X.shape[1]
    for lane in range(lanes):
        for column in range(last):
            x[column, lane] = X[start + lane, column]
        for column in moments:
            x[column, lane] -= now[start + lane]
        x[last, lane] = channel[start + lane]


@part
def _below(thresholds: Floats, first: int, stop: int, value: float) -> np.int64:
    """The place of a value among thresholds: after those that it is greater than, without a branch that
    could be foretold wrongly."""
    place, count = np.uint64(first), np.uint64(stop - first)
    while count > 0:
        half = (count + _ONE) >> _ONE
        place += half * np.uint64(thresholds[place + half - _ONE] < value)
        count -= half
    return np.int64(place)


@part
def _take_out(reach: Words, lane: int, trees: Trees, keeps: Words, first: int, stop: int | np.int64) -> None:
    """Take out of a request's words what nodes rule out that it goes right at."""
    for node in range(np.uint64(first), np.uint64(stop)):
        reach[trees[node], lane] &= keeps[node]


@part
def _compare(
    reach: Words, x: Floats, thresholds: Floats, trees: Trees, keeps: Words, first: int, stop: int
) -> None:
    """Ask nodes in the order of their thresholds for `LANES` requests, until nobody goes right any more."""
    most = -np.inf
    for lane in range(len(x)):
        if x[lane] > most:
            most = x[lane]
    for node in range(np.uint64(first), np.uint64(_below(thresholds, first, stop, most))):
        _take_out_abreast(reach[trees[node]], x, thresholds[node], keeps[node])


@part
def _by_numbers(
    reach: Words, x: Floats, lanes: int, asked: Whole, thresholds: Floats, trees: Trees, keeps: Words
) -> None:
    for k in range(len(asked)):
        values, first, stop = x[asked[k, 0]], asked[k, 1], asked[k, 2]
        if lanes >= ENOUGH:
            _compare(reach, values, thresholds, trees, keeps, first, stop)
        for lane in range(lanes):
            value = values[lane]
            if np.isnan(value):
                _take_out(reach, lane, trees, keeps, asked[k, 3], asked[k, 4])
            elif lanes < ENOUGH:
                _take_out(reach, lane, trees, keeps, first, _below(thresholds, first, stop, value))


@part
def _by_codes(
    reach: Words, x: Floats, lanes: int, asked: Whole, codes: Whole, trees: Trees, keeps: Words
) -> None:
    """Take out what a code rules out; the last of a column's codes is for who has none of those known."""
    for k in range(len(asked)):
        column, known, first = asked[k, 0], asked[k, 1], asked[k, 2]
        for lane in range(lanes):
            value = x[column, lane]
            code = first + (np.int64(value) if -1.0 < value < known else known)
            _take_out(reach, lane, trees, keeps, codes[code], codes[code + 1])


@part
def _note(
    noted: Whole, candidates: NDArray[np.bool_], actions: Whole, request: int, first: int, stop: int
) -> int:
    """List a request's candidates among a forest's actions, count them, and put spare ones after them."""
    count = 0
    for action in range(first, stop):
        noted[count] = action
        count += candidates[request, actions[action, 0]]
    for spare in range(count, count + ABREAST):
        noted[spare] = first
    return count


@part
def _add_up(
    reach: Words,
    lane: int,
    rows: tuple[int, int, int, int],
    action_keeps: Words,
    first_leaf: Indices,
    leaf_values: Floats,
    first: int,
    stop: int,
) -> tuple[float, float, float, float]:
    """The margins of ABREAST candidates by the trees of a forest."""
    row_a, row_b, row_c, row_d = (
        np.uint64(rows[0]),
        np.uint64(rows[1]),
        np.uint64(rows[2]),
        np.uint64(rows[3]),
    )
    sum_a = sum_b = sum_c = sum_d = 0.0
    for tree in range(np.uint64(first), np.uint64(stop)):
        left, leaf = reach[tree, lane], np.uint64(first_leaf[tree])
        sum_a += leaf_values[leaf + _first_bit(left & action_keeps[row_a + tree])]
        sum_b += leaf_values[leaf + _first_bit(left & action_keeps[row_b + tree])]
        sum_c += leaf_values[leaf + _first_bit(left & action_keeps[row_c + tree])]
        sum_d += leaf_values[leaf + _first_bit(left & action_keeps[row_d + tree])]
    return sum_a, sum_b, sum_c, sum_d


def _signature(tree: str, word: str) -> str:
    """That of `score`, for the types in which a tree is numbered and a word is held."""
    return (
        "void(f8[:, ::1], f8[::1], i8[::1], b1[:, ::1], f8[:, ::1], i8[::1], i8[:, ::1], f8[::1], i8[:, ::1],"
        f"i8[::1], {tree}[::1], {word}[::1], i8[:, ::1], i8[:, ::1], {word}[::1], u4[::1], f8[::1])"
    )


@compiled(_signature("u2", "u4"), _signature("u4", "u8"))
def score(
    X: Floats,
    now: Floats,
    channel: Whole,
    candidates: NDArray[np.bool_],
    margins: Floats,
    moments: Whole,
    thresholds_of: Whole,
    thresholds: Floats,
    codes_of: Whole,
    codes: Whole,
    trees: Trees,
    keeps: Words,
    forests: Whole,
    actions: Whole,
    action_keeps: Words,
    first_leaf: Indices,
    leaf_values: Floats,
) -> None:
    """Write the margins of the candidates of the forests' actions; see `quickscorer.Panel.score` for what is
    asked, and `tables.Tables` for what the forests are made of.

    The sums are LightGBM's, in its order, so they are equal to the last bit.
    """
    room = LANES if len(X) >= ENOUGH else len(X)
    x, reach = np.full((X.shape[1] + 1, room), np.nan), np.empty((len(first_leaf), room), keeps.dtype)
    noted = np.empty(len(actions) + ABREAST, np.int64)
    for start in range(0, len(X), LANES):
        lanes = min(LANES, len(X) - start)
        _read(x, X, now, channel, moments, start, lanes)
        reach[:] = ALL_LEAVES
        _by_numbers(reach, x, lanes, thresholds_of, thresholds, trees, keeps)
        _by_codes(reach, x, lanes, codes_of, codes, trees, keeps)
        for number in range(len(forests) - 1):
            first, stop = forests[number, 0], forests[number + 1, 0]
            for lane in range(lanes):
                request = start + lane
                count = _note(noted, candidates, actions, request, forests[number, 1], forests[number + 1, 1])
                for some in range(0, count, ABREAST):
                    a, b, c, d = noted[some], noted[some + 1], noted[some + 2], noted[some + 3]
                    rows = actions[a, 1], actions[b, 1], actions[c, 1], actions[d, 1]
                    sums = _add_up(reach, lane, rows, action_keeps, first_leaf, leaf_values, first, stop)
                    for place in range(min(ABREAST, count - some)):
                        margins[request, actions[noted[some + place], 0]] = sums[place]
