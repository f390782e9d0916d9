"""What has to be so for a flag to have an outcome: states of columns and orders of values, joined by and and
or.

A flag is true, false, or an error where it is neither; what errors are made of is missing values.
"""

from dataclasses import dataclass
from enum import Enum

from service.decisioning.rules import nodes
from service.decisioning.rules.nodes import Flag
from service.decisioning.rules.orders import Order, columns_read, may_fail

OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


class Wanted(Enum):
    """What is asked of a flag."""

    TRUE = "true"
    FALSE = "false"
    NOT_TRUE = "not true"
    NOT_FALSE = "not false"

    @property
    def of_operand(self) -> "Wanted":
        """What `!a` asks of `a`."""
        return _OF_OPERAND[self]

    @property
    def with_errors(self) -> bool:
        """Whether an error will do."""
        return self in (Wanted.NOT_TRUE, Wanted.NOT_FALSE)


_OF_OPERAND = {
    Wanted.TRUE: Wanted.FALSE,
    Wanted.FALSE: Wanted.TRUE,
    Wanted.NOT_TRUE: Wanted.NOT_FALSE,
    Wanted.NOT_FALSE: Wanted.NOT_TRUE,
}


@dataclass(frozen=True, slots=True)
class Goal:
    """A flag has to have an outcome."""

    flag: Flag
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class State:
    """A column has one of these codes (None: any), or, where that will do, is missing. A bit has the codes 0
    and 1; a number has one, whatever it is."""

    index: int
    codes: frozenset[int] | None
    missing: bool = False


@dataclass(frozen=True, slots=True)
class All:
    """Every one of these."""

    of: tuple["Need", ...]


@dataclass(frozen=True, slots=True)
class Any:
    """At least one of these."""

    of: tuple["Need", ...]


Need = Goal | State | Order | All | Any
ALWAYS, NEVER = All(()), Any(())


def expanded(goal: Goal) -> Need:
    """What a goal needs, one step down."""
    flag, wanted = goal.flag, goal.wanted
    truth = wanted in (Wanted.TRUE, Wanted.NOT_FALSE)
    match flag:
        case nodes.Truth(value):
            return ALWAYS if value is truth else NEVER
        case nodes.Bit(index):
            return State(index, frozenset({int(truth)}), wanted.with_errors)
        case nodes.Level(index, table):
            codes = frozenset(code for code, marked in enumerate(table) if marked is truth)
            return State(index, codes, wanted.with_errors)
        case nodes.Present(index):
            return State(index, None) if truth else _missing(index)
        case nodes.Not(of):
            return Goal(of, wanted.of_operand)
        case nodes.All(of):
            return (All if truth else Any)(tuple(Goal(operand, wanted) for operand in of))
        case nodes.Any(of):
            return (Any if truth else All)(tuple(Goal(operand, wanted) for operand in of))
        case nodes.Comparison():
            return _comparison(flag, wanted, truth)
    return _chosen(flag, wanted)


def _chosen(flag: Flag, wanted: Wanted) -> Need:
    """The flags that need both sides of another."""
    match flag:
        case nodes.Same(left, right):
            return _choice(left, Goal(right, wanted), Goal(right, wanted.of_operand), wanted)
        case nodes.FlagChoice(condition, yes, no):
            return _choice(condition, Goal(yes, wanted), Goal(no, wanted), wanted)
        case nodes.Known(index, of):
            if wanted.with_errors:
                return Any((_missing(index), Goal(of, wanted)))
            return All((State(index, None), Goal(of, wanted)))
    raise AssertionError(f"no such flag: {flag}")


def _choice(condition: Flag, yes: Need, no: Need, wanted: Wanted) -> Need:
    """`condition ? yes : no`. Where an error will do, the condition may be one."""
    if wanted.with_errors:
        return All(
            (
                Any((Goal(condition, Wanted.NOT_TRUE), yes)),
                Any((Goal(condition, Wanted.NOT_FALSE), no)),
            )
        )
    return Any((All((Goal(condition, Wanted.TRUE), yes)), All((Goal(condition, Wanted.FALSE), no))))


def _missing(index: int) -> State:
    return State(index, frozenset(), missing=True)


def _comparison(flag: nodes.Comparison, wanted: Wanted, truth: bool) -> Need:
    sign, left, right = flag.operator, flag.left, flag.right
    if isinstance(left, nodes.Choice):
        yes, no = (nodes.comparison(sign, value, right) for value in (left.yes, left.no))
        return _choice(left.condition, Goal(yes, wanted), Goal(no, wanted), wanted)
    if isinstance(right, nodes.Choice):
        yes, no = (nodes.comparison(sign, left, value) for value in (right.yes, right.no))
        return _choice(right.condition, Goal(yes, wanted), Goal(no, wanted), wanted)
    read = sorted(columns_read(left) | columns_read(right))
    held = All((*(State(index, None) for index in read), *_orders(flag, truth)))
    if not wanted.with_errors:
        return held
    if may_fail(left) or may_fail(right):
        return ALWAYS
    return Any((held, *map(_missing, read)))


def _orders(flag: nodes.Comparison, truth: bool) -> tuple[Need, ...]:
    """In what order the values are for a comparison to be true, or false."""
    sign = flag.operator if truth else OPPOSITE[flag.operator]
    plain = flag.left.plain and flag.right.plain
    if not plain and truth is (flag.operator == "!="):  # so it is where one of them is a NaN
        return ()
    if sign == "!=":
        return (Any((Order("<", flag.left, flag.right), Order(">", flag.left, flag.right))),)
    return (Order(sign, flag.left, flag.right),)
