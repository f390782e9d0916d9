"""Certainty: which numbers have a value for everybody, however little is known of them."""

from collections.abc import Iterable

import numpy as np

from feature_store.schema import FeatureSchema
from service.decisioning.rules import nodes
from service.decisioning.rules.nodes import Flag, Value

Columns = frozenset[int]


def never_missing(value: Value, schema: FeatureSchema) -> bool:
    """Whether a number is finite and no error for anybody: it reads nothing but features with a default, and
    others only where `has()` has asked for them. Never True where it may be missing (but for a number too
    large for a double); may be False where only an argument about the numbers themselves would tell."""
    return _certain(value, frozenset(np.flatnonzero(~np.isnan(schema.defaults)).tolist()))


def _certain(value: Value, there: Columns) -> bool:
    """Whether a value is no error where some columns are there."""
    match value:
        case nodes.Now():
            return True
        case nodes.Constant():
            return value.finite
        case nodes.Column(index):
            return index in there
        case nodes.Size(start):
            return start in there
        case nodes.Negative(of):
            return _certain(of, there)
        case nodes.Arithmetic(sign, left, right, moment):
            divides = sign == "/" and not (isinstance(right, nodes.Constant) and right.value)
            return not (divides or moment) and _certain(left, there) and _certain(right, there)
        case nodes.Choice(condition, yes, no):
            return (
                _decided(condition, there)
                and _certain(yes, there | _seen(condition, True))
                and _certain(no, there | _seen(condition, False))
            )
    return False


def _decided(flag: Flag, there: Columns) -> bool:
    """Whether a flag is true or false, and no error, where some columns are there."""
    match flag:
        case nodes.Truth() | nodes.Present():
            return True
        case nodes.Bit(index) | nodes.Level(index):
            return index in there
        case nodes.Comparison(_, left, right):
            return _certain(left, there) and _certain(right, there)
        case nodes.Not(of):
            return _decided(of, there)
        case nodes.All(of):
            # where one of them is false, so is the whole, whatever the others are
            return all(_decided(part, there | _union(of, part, True)) for part in of)
        case nodes.Any(of):
            return all(_decided(part, there | _union(of, part, False)) for part in of)
        case nodes.Same(left, right):
            return _decided(left, there) and _decided(right, there)
        case nodes.Known(index, of):
            return index in there and _decided(of, there)
    return False


def _union(flags: Iterable[Flag], but: Flag, outcome: bool) -> Columns:
    """The columns that are there where all of some flags, but for one, have an outcome; only flags that are
    never errors themselves can tell."""
    others = [flag for flag in flags if flag is not but and _decided(flag, frozenset())]
    return frozenset().union(*(_seen(flag, outcome) for flag in others))


def _seen(flag: Flag, outcome: bool) -> Columns:
    """The columns that are there where a flag has an outcome."""
    match flag:
        case nodes.Present(index) if outcome:
            return frozenset({index})
        case nodes.Not(of):
            return _seen(of, not outcome)
        case nodes.All(of) if outcome:
            return frozenset().union(*(_seen(part, True) for part in of))
        case nodes.Any(of) if not outcome:
            return frozenset().union(*(_seen(part, False) for part in of))
    return frozenset()
