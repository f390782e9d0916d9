"""The column operations that rules are made of: every one computes many columns of its kind at once.

Columns are rows of two tables, doubles and truth values, n wide for n requests. What rules ask alike, such as
whether a number exceeds a limit, is one numpy call for all of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feature_store.feature import FIRST_SECOND, LAST_SECOND
from service.decisioning.rules.nodes import NUMPY_ARITHMETIC

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Instruction:
    """How one column is made: of the columns of other instructions, by their numbers, and of literals."""

    kind: str
    of: tuple[int, ...] = ()
    literals: tuple[float, ...] = ()


class Tables(NamedTuple):
    """What a program works on for n requests.

    columns  F x n  the features
    now      n      the time of each decision
    values   v x n  doubles
    flags    f x n  truth values
    """

    columns: NDArray[np.float64]
    now: NDArray[np.float64]
    values: NDArray[np.float64]
    flags: NDArray[np.bool_]


class Group(NamedTuple):
    """Instructions of one kind that are done together, into rows that stand together.

    of        a x k  the rows that each of the k takes, by argument
    literals  k      of each
    out              the rows that they fill
    """

    of: NDArray[np.intp]
    literals: Sequence[tuple[float, ...]]
    out: slice


Operation = Callable[[Tables], object]


def columns(group: Group) -> Operation:
    """Columns of X, by the index."""
    indexes, out = np.array(group.literals, np.intp)[:, 0], group.out
    return lambda t: t.columns.take(indexes, axis=0, out=t.values[out], mode="clip")


def times(group: Group) -> Operation:
    """The time of the decision."""
    return lambda t: np.copyto(t.values[group.out], t.now)


def constants(group: Group) -> Operation:
    """Numbers."""
    numbers = np.array(group.literals)
    return lambda t: np.copyto(t.values[group.out], numbers)


def truths(group: Group) -> Operation:
    """Truth values."""
    held = np.array(group.literals) != 0.0
    return lambda t: np.copyto(t.flags[group.out], held)


def binary(compute: np.ufunc, *, flags: bool = False) -> Callable[[Group], Operation]:
    """A function of two doubles, of which the second may be a literal."""

    def make(group: Group) -> Operation:
        left, out = group.of[0], group.out
        if len(group.of) == 1:
            numbers = np.array(group.literals)
            return lambda t: compute(t.values.take(left, axis=0), numbers, out=_table(t, flags)[out])
        right = group.of[1]
        return lambda t: compute(
            t.values.take(left, axis=0), t.values.take(right, axis=0), out=_table(t, flags)[out]
        )

    return make


def unary(compute: np.ufunc, *, flags: bool = False) -> Callable[[Group], Operation]:
    """A function of one double."""

    def make(group: Group) -> Operation:
        of, out = group.of[0], group.out
        return lambda t: compute(t.values.take(of, axis=0), out=_table(t, flags)[out])

    return make


def reduced(compute: np.ufunc, *, flags: bool) -> Callable[[Group], Operation]:
    """A function of any number of columns of a table, into the same table."""

    def make(group: Group) -> Operation:
        of, out = group.of, group.out

        def operation(t: Tables) -> object:
            table = _table(t, flags)
            return compute.reduce(table.take(of, axis=0), axis=0, out=table[out])

        return operation

    return make


def present(group: Group) -> Operation:
    """Where a double is not NaN."""
    of, out = group.of[0], group.out

    def operation(t: Tables) -> object:
        found = t.values.take(of, axis=0)
        return np.equal(found, found, out=t.flags[out])

    return operation


def opposites(group: Group) -> Operation:
    """Where a truth value is not."""
    of, out = group.of[0], group.out
    return lambda t: np.logical_not(t.flags.take(of, axis=0), out=t.flags[out])


def moments(group: Group) -> Operation:
    """Doubles that are times; NaN beyond the calendar."""
    of, out = group.of[0], group.out

    def operation(t: Tables) -> None:
        seconds = t.values.take(of, axis=0)
        known = (seconds >= FIRST_SECOND) & (seconds <= LAST_SECOND)
        t.values[out] = np.where(known, seconds, np.nan)

    return operation


def choices(group: Group) -> Operation:
    """Of two doubles the one that two truth values choose; NaN where neither holds."""
    (if_true, if_false, yes, no), out = group.of, group.out

    def operation(t: Tables) -> None:
        otherwise = np.where(t.flags.take(if_false, axis=0), t.values.take(no, axis=0), np.nan)
        t.values[out] = np.where(t.flags.take(if_true, axis=0), t.values.take(yes, axis=0), otherwise)

    return operation


def levels(group: Group) -> Operation:
    """Whether a level is marked; the literals are the marks of the levels, and the last that of a missing
    one."""
    of, out = group.of[0], group.out
    sizes = [len(marks) for marks in group.literals]
    marked = np.concatenate([np.array(marks) for marks in group.literals]) != 0.0
    missing = np.array(sizes, np.float64)[:, None] - 1.0
    first = (np.cumsum(sizes) - sizes)[:, None]

    def operation(t: Tables) -> object:
        codes = t.values.take(of, axis=0)
        codes = np.where(codes == codes, codes, missing)
        return marked.take(codes.astype(np.intp) + first, out=t.flags[out], mode="clip")

    return operation


def _table(t: Tables, flags: bool) -> Array:
    return t.flags if flags else t.values


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of instruction: whether it makes truth values, and how a group of it is done."""

    flags: bool
    make: Callable[[Group], Operation]


COMPARE: Mapping[str, np.ufunc] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}

KINDS: Mapping[str, Kind] = {
    "column": Kind(False, columns),
    "now": Kind(False, times),
    "constant": Kind(False, constants),
    "truth": Kind(True, truths),
    "negative": Kind(False, unary(np.negative)),
    "sum": Kind(False, reduced(np.add, flags=False)),
    "moment": Kind(False, moments),
    "choice": Kind(False, choices),
    "present": Kind(True, present),
    "missing": Kind(True, unary(np.isnan, flags=True)),
    "level": Kind(True, levels),
    "not": Kind(True, opposites),
    "all": Kind(True, reduced(np.logical_and, flags=True)),
    "any": Kind(True, reduced(np.logical_or, flags=True)),
    **{sign: Kind(False, binary(compute)) for sign, compute in NUMPY_ARITHMETIC.items()},
    **{sign: Kind(True, binary(compute, flags=True)) for sign, compute in COMPARE.items()},
}
"""By the names that instructions have."""
