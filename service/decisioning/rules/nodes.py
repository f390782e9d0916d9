"""What an expression computes: immutable nodes, equal when they compute the same.

Numbers, timestamps and durations are `Value`s, truth values are `Flag`s. A node is built by the functions
below, which fold constants, so that `exists` over the members of a set becomes the few columns that matter.
"""

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from feature_store.feature import FIRST_SECOND, LAST_SECOND


@dataclass(frozen=True, slots=True)
class Value:
    """A column of doubles."""

    @property
    def plain(self) -> bool:
        """Whether NaN always means an error, so that no second column has to tell."""
        return True

    @property
    def finite(self) -> bool:
        """Whether what is no error is always finite."""
        return True


@dataclass(frozen=True, slots=True)
class Constant(Value):
    value: float

    @property
    def finite(self) -> bool:
        return math.isfinite(self.value)

    @property
    def plain(self) -> bool:
        return not math.isnan(self.value)


@dataclass(frozen=True, slots=True)
class Column(Value):
    """A column of X: a number, or a timestamp."""

    index: int


@dataclass(frozen=True, slots=True)
class Now(Value):
    """The time of the decision."""


@dataclass(frozen=True, slots=True)
class Size(Value):
    """How many of the columns of a set are 1."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Negative(Value):
    of: Value

    @property
    def plain(self) -> bool:
        return self.of.plain

    @property
    def finite(self) -> bool:
        return self.of.finite


@dataclass(frozen=True, slots=True)
class Arithmetic(Value):
    """`left operator right`; a `moment` is a timestamp, which is an error outside the years 1 to 9999."""

    operator: str
    left: Value
    right: Value
    moment: bool = False

    @property
    def plain(self) -> bool:
        known = self.left.plain and self.right.plain
        if self.moment:  # beyond the calendar it is NaN, and an error
            return known
        return known and self.operator != "/" and self.left.finite and self.right.finite

    @property
    def finite(self) -> bool:
        return self.moment


@dataclass(frozen=True, slots=True)
class Choice(Value):
    """`condition ? yes : no`"""

    condition: "Flag"
    yes: Value
    no: Value

    @property
    def plain(self) -> bool:
        return self.yes.plain and self.no.plain

    @property
    def finite(self) -> bool:
        return self.yes.finite and self.no.finite


@dataclass(frozen=True, slots=True)
class Flag:
    """Two columns of truth: where it is true, and where it is false. Where it is neither, it is an error."""


@dataclass(frozen=True, slots=True)
class Truth(Flag):
    value: bool


@dataclass(frozen=True, slots=True)
class Bit(Flag):
    """A column of X that is 0 or 1: a flag, or a member of a set."""

    index: int


@dataclass(frozen=True, slots=True)
class Level(Flag):
    """Whether the level of a category, in a column of X, is one of those that the table marks."""

    index: int
    table: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Present(Flag):
    """Whether a column of X is there; never an error."""

    index: int


@dataclass(frozen=True, slots=True)
class Comparison(Flag):
    operator: str
    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class Not(Flag):
    of: Flag


@dataclass(frozen=True, slots=True)
class All(Flag):
    """True where all are, false where one is."""

    of: tuple[Flag, ...]


@dataclass(frozen=True, slots=True)
class Any(Flag):
    """True where one is, false where all are."""

    of: tuple[Flag, ...]


@dataclass(frozen=True, slots=True)
class Same(Flag):
    """`left == right` of two flags."""

    left: Flag
    right: Flag


@dataclass(frozen=True, slots=True)
class FlagChoice(Flag):
    condition: Flag
    yes: Flag
    no: Flag


@dataclass(frozen=True, slots=True)
class Known(Flag):
    """`of`, but an error where a column of X is missing."""

    index: int
    of: Flag


TRUE, FALSE = Truth(True), Truth(False)
COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def arithmetic(sign: str, left: Value, right: Value, *, moment: bool = False) -> Value:
    """`left sign right`, computed now where both are constant."""
    if isinstance(left, Constant) and isinstance(right, Constant):
        with np.errstate(all="ignore"):
            value = float(NUMPY_ARITHMETIC[sign](np.float64(left.value), np.float64(right.value)))
        if not moment or FIRST_SECOND <= value <= LAST_SECOND:
            return Constant(value)
    return Arithmetic(sign, left, right, moment)


NUMPY_ARITHMETIC = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}


def negative(of: Value) -> Value:
    """`-of`"""
    return Constant(-of.value) if isinstance(of, Constant) else Negative(of)


def comparison(sign: str, left: Value, right: Value) -> Flag:
    """`left sign right`, with a constant on the right."""
    if isinstance(left, Constant):
        if isinstance(right, Constant):
            return Truth(COMPARE[sign](left.value, right.value))
        left, right, sign = right, left, MIRRORED[sign]
    return Comparison(sign, left, right)


def choice(condition: Flag, yes: Value, no: Value) -> Value:
    """`condition ? yes : no` of values."""
    if isinstance(condition, Truth):
        return yes if condition.value else no
    return Choice(condition, yes, no)


def flag_choice(condition: Flag, yes: Flag, no: Flag) -> Flag:
    """`condition ? yes : no` of flags."""
    if isinstance(condition, Truth):
        return yes if condition.value else no
    return FlagChoice(condition, yes, no)


def negation(of: Flag) -> Flag:
    """`!of`"""
    match of:
        case Truth(value):
            return Truth(not value)
        case Not(inner):
            return inner
    return Not(of)


def conjunction(flags: Iterable[Flag]) -> Flag:
    """`a && b && ...`: false as soon as one is, whatever errors the others are."""
    found = _operands(flags, All)
    if FALSE in found:
        return FALSE
    rest = tuple(flag for flag in found if flag != TRUE)
    return rest[0] if len(rest) == 1 else All(rest) if rest else TRUE


def disjunction(flags: Iterable[Flag]) -> Flag:
    """`a || b || ...`: true as soon as one is, whatever errors the others are."""
    found = _operands(flags, Any)
    if TRUE in found:
        return TRUE
    rest = tuple(flag for flag in found if flag != FALSE)
    return rest[0] if len(rest) == 1 else Any(rest) if rest else FALSE


def _operands(flags: Iterable[Flag], kind: type[All] | type[Any]) -> tuple[Flag, ...]:
    """The operands, each once, those of inner nodes of the same kind among them."""
    found: dict[Flag, None] = {}
    for flag in flags:
        found |= dict.fromkeys(flag.of if isinstance(flag, kind) else (flag,))
    return tuple(found)


def same(left: Flag, right: Flag) -> Flag:
    """`left == right` of flags."""
    if isinstance(left, Truth):
        left, right = right, left
    if isinstance(right, Truth):
        return left if right.value else negation(left)
    return Same(left, right)


def level(index: int, table: Iterable[bool]) -> Flag:
    """Whether a category has one of the marked levels."""
    return Level(index, tuple(table))
