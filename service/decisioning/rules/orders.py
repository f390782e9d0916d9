"""Orders of computed values as linear inequalities over the reals that floating point can't break.

Rounding never turns an order round: where `a + b > c` holds as it is computed, it holds exactly, and so it
does of any one operation on both sides. Where rounding may make two values equal, the bound is one unit in
the last place wider. What can't be written so, such as a product of two columns, is a variable of its own,
the same wherever the same node stands.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from feature_store.feature import FIRST_SECOND, LAST_SECOND
from service.decisioning.rules import nodes
from service.decisioning.rules.linear import Form, Inequality, feasible, number, variable
from service.decisioning.rules.nodes import Value

FIRST_NOW, LAST_NOW = 0.0, 200_000_000_000.0
"""Epoch seconds between which decisions are made: from 1970 to about 8300."""
ROUNDING = Fraction(1, 2**52)
"""More than what rounding changes of a value, relative to it."""


@dataclass(frozen=True, slots=True)
class Order:
    """`left sign right`, of two values that are known; the sign is not `!=`."""

    sign: str
    left: Value
    right: Value


def consistent(orders: Iterable[Order], times: Collection[int], codes: Mapping[int, frozenset[int]]) -> bool:
    """False only if it is proven that the orders can't all hold.

    `times` are the columns of timestamps; `codes` what is known of bits, by column.
    """
    system = _System(times, codes)
    for order in orders:
        system.add(order)
    return feasible(system.inequalities)


def columns_read(value: Value) -> frozenset[int]:
    """The columns that have to be there for a value to be known."""
    match value:
        case nodes.Column(index) | nodes.Size(index):
            return frozenset({index})
        case nodes.Negative(of):
            return columns_read(of)
        case nodes.Arithmetic(left=left, right=right):
            return columns_read(left) | columns_read(right)
    return frozenset()


def may_fail(value: Value) -> bool:
    """Whether a value may be an error although every column that it reads is there."""
    match value:
        case nodes.Negative(of):
            return may_fail(of)
        case nodes.Choice():
            return True
        case nodes.Arithmetic(left=left, right=right, moment=moment):
            outside = moment and not _within(_computed(value, ()))
            return outside or may_fail(left) or may_fail(right)
    return False


Range = tuple[float, float] | None
"""Between what a value lies; None: not known."""


def _within(found: Range) -> bool:
    return found is not None and found[0] >= FIRST_SECOND and found[1] <= LAST_SECOND


def _range(value: Value, times: Collection[int]) -> Range:
    """Between what a value lies that is known."""
    match value:
        case nodes.Constant(constant) if math.isfinite(constant):
            return constant, constant
        case nodes.Now():
            return FIRST_NOW, LAST_NOW
        case nodes.Column(index) if index in times:
            return FIRST_SECOND, LAST_SECOND
        case nodes.Size(start, stop):
            return 0.0, float(stop - start)
        case nodes.Negative(of):
            found = _range(of, times)
            return found and (-found[1], -found[0])
        case nodes.Arithmetic(moment=True):
            return FIRST_SECOND, LAST_SECOND
        case nodes.Arithmetic():
            return _computed(value, times)
    return None


def _computed(value: nodes.Arithmetic, times: Collection[int]) -> Range:
    """Between what an operation's result lies, for operations that keep the order of what goes in."""
    left, right = _range(value.left, times), _range(value.right, times)
    if left is None or right is None or value.operator not in "+-":
        return None
    low, high = (right[0], right[1]) if value.operator == "+" else (-right[1], -right[0])
    return left[0] + low, left[1] + high


class _System:
    """Inequalities over the values that are compared. A variable is the node of its value."""

    def __init__(self, times: Collection[int], codes: Mapping[int, frozenset[int]]) -> None:
        self.inequalities: list[Inequality] = []
        self._times, self._codes = times, codes
        self._known: set[Value] = set()

    def add(self, order: Order) -> None:
        """What follows from an order."""
        left, right = self._form(order.left), self._form(order.right)
        if left is None or right is None:
            return
        self._order(order.sign, left, right)
        self._whole(order)
        exact_left, exact_right = self._exact(order.left), self._exact(order.right)
        if (exact_left, exact_right) == (left, right):
            return
        if order.sign in ("<", ">"):
            self._order(order.sign, exact_left, exact_right)
        elif isinstance(order.right, nodes.Constant):
            self._nearly(order.sign, exact_left, order.right.value)

    def _order(self, sign: str, left: Form, right: Form) -> None:
        if sign in (">", ">=", "=="):
            self.inequalities.append(Inequality(left - right, strict=sign == ">"))
        if sign in ("<", "<=", "=="):
            self.inequalities.append(Inequality(right - left, strict=sign == "<"))

    def _nearly(self, sign: str, exact: Form, bound: float) -> None:
        """An order of something rounded with a bound that it may have been rounded to."""
        above, below = math.nextafter(bound, math.inf), math.nextafter(bound, -math.inf)
        if sign in ("<=", "==") and math.isfinite(above):
            self._order("<", exact, number(above))
        if sign in (">=", "==") and math.isfinite(below):
            self._order(">", exact, number(below))

    def _whole(self, order: Order) -> None:
        """A count that is more than 1 is at least 2."""
        match order:
            case Order(sign, nodes.Size() as size, nodes.Constant(bound)) if math.isfinite(bound):
                if sign == ">":
                    self._order(">=", variable(size), number(math.floor(bound) + 1))
                elif sign == "<":
                    self._order("<=", variable(size), number(math.ceil(bound) - 1))
                elif sign == "==" and not bound.is_integer():
                    self._order("<", number(0), number(0))  # never

    def _form(self, value: Value) -> Form | None:
        """A value as it is computed; None for a constant that is no number."""
        match value:
            case nodes.Constant(constant):
                return number(constant) if math.isfinite(constant) else None
            case nodes.Negative(of):
                form = self._form(of)
                return form and form * Fraction(-1)
        if value not in self._known:
            self._known.add(value)
            self._learn(value)
        return variable(value)

    def _learn(self, value: Value) -> None:
        """What is known of a variable by itself: between what it lies, and what it is made of."""
        found = _range(value, self._times)
        if isinstance(value, nodes.Size):
            bits = [self._codes.get(index) for index in range(value.start, value.stop)]
            found = float(bits.count(frozenset({1}))), float(len(bits) - bits.count(frozenset({0})))
        if found is None:
            return
        self._order(">=", variable(value), number(found[0]))
        self._order("<=", variable(value), number(found[1]))
        if isinstance(value, nodes.Arithmetic):
            slack = number(0) + Form({}, Fraction(max(map(abs, found))) * ROUNDING)
            exact = self._exact(value)
            self._order("<=", exact, variable(value) + slack)
            self._order(">=", exact + slack, variable(value))

    def _exact(self, value: Value) -> Form:
        """A value as it would be if its last operation did not round; else as it is computed."""
        match value:
            case nodes.Negative(of):
                return self._exact(of) * Fraction(-1)
            case nodes.Arithmetic(operator, left, right):
                exact = self._operation(operator, left, right)
                if exact is not None:
                    return exact
        return self._form(value) or number(0)

    def _operation(self, sign: str, left: Value, right: Value) -> Form | None:
        if not (self._finite(left) and self._finite(right)):
            return None
        a, b = self._form(left), self._form(right)
        if a is None or b is None:
            return None
        if sign in "+-":
            return a + b if sign == "+" else a - b
        if sign == "/":
            return a * (1 / b.constant) if not b.terms and b.constant else None
        if not b.terms:
            return a * b.constant
        return b * a.constant if not a.terms else None

    def _finite(self, value: Value) -> bool:
        return value.finite or _range(value, self._times) is not None
