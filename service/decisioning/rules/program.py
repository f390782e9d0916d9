"""From nodes to numpy: one list of column operations for all expressions, in which equal parts stand once.

A flag is computed as two columns, where it is true and where it is false, and only as far as one of them
is asked for. This is the three-valued logic of CEL's errors without a mask: `a && b` is true where both are
true, and false where one is false; where it is neither, it is an error. A comparison with NaN, the missing
value, is neither by itself.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_store.feature import FIRST_SECOND, LAST_SECOND
from service.decisioning.rules import nodes
from service.decisioning.rules.nodes import Flag, Value

Array = NDArray[Any]
Step = Callable[[list[Array]], Array]

X, NOW = 0, 1
"""Places of what a program is given."""

COMPARE: dict[str, np.ufunc] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


class Program:
    """Column operations in their order. Immutable: what is computed lives in the result of `run`."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = tuple(steps)

    def __len__(self) -> int:
        return len(self._steps)

    def run(self, X: NDArray[np.float64], now: NDArray[np.float64]) -> list[Array]:
        """All columns for a batch, by their places: X has shape (n, features), now (n,), each column (n,)."""
        columns: list[Array] = [X, now]
        with np.errstate(all="ignore"):
            for step in self._steps:
                columns.append(step(columns))
        return columns


class ProgramBuilder:
    """Collects the columns that are wanted; each is computed once, whoever asks for it."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._places: dict[object, int] = {}

    def build(self) -> Program:
        """The program for all that was asked for so far."""
        return Program(self._steps)

    def true(self, flag: Flag) -> int:
        """The place of the column (bool) that tells where a flag is true."""
        return self._once(("true", flag), lambda: self._truth(flag, True))

    def false(self, flag: Flag) -> int:
        """The place of the column (bool) that tells where a flag is false."""
        return self._once(("false", flag), lambda: self._truth(flag, False))

    def value(self, value: Value) -> int:
        """The place of a column of doubles: NaN where it is an error. (A NaN may also have been computed.)"""
        return self._once(("value", value), lambda: self._value(value))

    def known(self, value: Value) -> int:
        """The place of the column (bool) that tells where a value is no error."""
        return self._once(("known", value), lambda: self._known(value))

    def _once(self, key: object, place: Callable[[], "Step | int"]) -> int:
        if key not in self._places:
            found = place()
            if not isinstance(found, int):
                self._steps.append(found)
                found = len(self._steps) + NOW
            self._places[key] = found
        return self._places[key]

    # --- values -----------------------------------------------------------------------------------------

    def _value(self, value: Value) -> Step | int:
        match value:
            case nodes.Now():
                return NOW
            case nodes.Constant(number):
                return lambda c: np.full(len(c[X]), number)
            case nodes.Column(index):
                return lambda c: c[X][:, index]
            case nodes.Size(start, stop):
                return lambda c: c[X][:, start:stop].sum(axis=1)
            case nodes.Negative(of):
                operand = self.value(of)
                return lambda c: -c[operand]
            case nodes.Arithmetic():
                return self._arithmetic(value)
            case nodes.Choice(condition, yes, no):
                if_true, if_false = self.true(condition), self.false(condition)
                a, b = self.value(yes), self.value(no)
                return lambda c: np.where(c[if_true], c[a], np.where(c[if_false], c[b], np.nan))
        raise AssertionError(f"no such value: {value}")

    def _arithmetic(self, value: nodes.Arithmetic) -> Step:
        compute = nodes.NUMPY_ARITHMETIC[value.operator]
        a, b = self._operand(value.left), self._operand(value.right)
        if not value.moment:
            return lambda c: compute(a(c), b(c))

        def moment(c: list[Array]) -> Array:
            seconds = compute(a(c), b(c))
            return np.where((seconds >= FIRST_SECOND) & (seconds <= LAST_SECOND), seconds, np.nan)

        return moment

    def _operand(self, value: Value) -> Callable[[list[Array]], Any]:
        """A column, or a constant as it is: numpy spreads it."""
        if isinstance(value, nodes.Constant):
            number = value.value
            return lambda c: number
        place = self.value(value)
        return lambda c: c[place]

    def _known(self, value: Value) -> Step | int:
        if value.plain:
            place = self.value(value)
            return lambda c: ~np.isnan(c[place])
        match value:
            case nodes.Constant():
                return lambda c: np.ones(len(c[X]), dtype=np.bool_)
            case nodes.Negative(of):
                return self.known(of)
            case nodes.Arithmetic(left=left, right=right):
                a, b = self.known(left), self.known(right)
                return lambda c: c[a] & c[b]
            case nodes.Choice(condition, yes, no):
                if_true, if_false = self.true(condition), self.false(condition)
                a, b = self.known(yes), self.known(no)
                return lambda c: (c[if_true] & c[a]) | (c[if_false] & c[b])
        raise AssertionError(f"no such value: {value}")

    # --- flags ------------------------------------------------------------------------------------------

    def _side(self, flag: Flag, wanted: bool) -> int:
        return self.true(flag) if wanted else self.false(flag)

    def _truth(self, flag: Flag, wanted: bool) -> Step | int:
        """Where a flag is `wanted`."""
        match flag:
            case nodes.Truth(value):
                held = value is wanted
                return lambda c: np.full(len(c[X]), held)
            case nodes.Bit(index):
                bit = float(wanted)
                return lambda c: c[X][:, index] == bit
            case nodes.Present(index):
                return (
                    (lambda c: ~np.isnan(c[X][:, index])) if wanted else (lambda c: np.isnan(c[X][:, index]))
                )
            case nodes.Level(index, table):
                return self._level(index, table, wanted)
            case nodes.Comparison():
                return self._comparison(flag, wanted)
            case nodes.Not(of):
                return self._side(of, not wanted)
            case nodes.All(of):
                return self._joined(of, wanted, every=wanted)
            case nodes.Any(of):
                return self._joined(of, wanted, every=not wanted)
        return self._two(flag, wanted)

    def _two(self, flag: Flag, wanted: bool) -> Step | int:
        """The flags that need both sides of another."""
        match flag:
            case nodes.Same(left, right):
                a, b = self._side(left, True), self._side(right, wanted)
                d, e = self._side(left, False), self._side(right, not wanted)
                return lambda c: (c[a] & c[b]) | (c[d] & c[e])
            case nodes.FlagChoice(condition, yes, no):
                a, b = self.true(condition), self._side(yes, wanted)
                d, e = self.false(condition), self._side(no, wanted)
                return lambda c: (c[a] & c[b]) | (c[d] & c[e])
            case nodes.Known(index, of):
                there, inner = self.true(nodes.Present(index)), self._side(of, wanted)
                return lambda c: c[there] & c[inner]
        raise AssertionError(f"no such flag: {flag}")

    def _level(self, index: int, table: tuple[bool, ...], wanted: bool) -> Step:
        codes = [code for code, marked in enumerate(table) if marked is wanted]
        if len(codes) == 1:
            code = float(codes[0])
            return lambda c: c[X][:, index] == code
        missing = len(table)
        place = self._once(
            ("codes", index, missing),
            lambda: lambda c: np.where(np.isnan(c[X][:, index]), missing, c[X][:, index]).astype(np.intp),
        )
        marks = np.array([marked is wanted for marked in (*table, not wanted)], dtype=np.bool_)
        marks[missing] = False
        return lambda c: marks[c[place]]

    def _comparison(self, flag: nodes.Comparison, wanted: bool) -> Step:
        a, b = self._operand(flag.left), self._operand(flag.right)
        if not (flag.left.plain and flag.right.plain):
            return self._masked(flag, wanted)
        sign = flag.operator if wanted else OPPOSITE[flag.operator]
        if sign == "!=":  # NaN is not equal to itself, and here it is an error
            return lambda c: (a(c) < b(c)) | (a(c) > b(c))
        compare = COMPARE[sign]
        return lambda c: compare(a(c), b(c))

    def _masked(self, flag: nodes.Comparison, wanted: bool) -> Step:
        """A comparison of values that may be NaN without being errors: `0.0 / 0.0 < 1.0` is false."""
        a, b, compare = self.value(flag.left), self.value(flag.right), COMPARE[flag.operator]
        known, also_known = self.known(flag.left), self.known(flag.right)
        return lambda c: c[known] & c[also_known] & (compare(c[a], c[b]) == wanted)

    def _joined(self, flags: tuple[Flag, ...], wanted: bool, *, every: bool) -> Step | int:
        """Where every one of some flags is `wanted`, or at least one is. Bits of X are read all at once."""
        bits: dict[bool, list[int]] = {True: [], False: []}
        places: list[int] = []
        for flag in flags:
            match flag:
                case nodes.Bit(index):
                    bits[wanted].append(index)
                case nodes.Not(nodes.Bit(index)):
                    bits[not wanted].append(index)
                case _:
                    places.append(self._side(flag, wanted))
        for bit, indexes in bits.items():
            if len(indexes) > 2:
                places.append(self._bits(tuple(indexes), bit, every))
            else:
                places += [self._side(nodes.Bit(index), bit) for index in indexes]
        if len(places) == 1:
            return places[0]
        join = np.logical_and if every else np.logical_or
        first, *others = places
        return lambda c: reduce(lambda found, place: join(found, c[place]), others, c[first])

    def _bits(self, indexes: tuple[int, ...], bit: bool, every: bool) -> int:
        chosen, value = np.array(indexes), float(bit)
        join = np.all if every else np.any
        return self._once(
            ("bits", indexes, bit, every), lambda: lambda c: join(c[X][:, chosen] == value, axis=1)
        )
