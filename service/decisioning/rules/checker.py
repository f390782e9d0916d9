"""Types: from a syntax tree to nodes, or to the reason why an expression can't be used."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from feature_store.documents import did_you_mean
from service.decisioning.rules import literals, membership, nodes
from service.decisioning.rules.errors import ExpressionError
from service.decisioning.rules.scope import Scope
from service.decisioning.rules.syntax import (
    Binary,
    Call,
    ListLiteral,
    Literal,
    Logic,
    Name,
    Select,
    Syntax,
    Ternary,
    Unary,
)
from service.decisioning.rules.typed import (
    Category,
    Measured,
    Members,
    Moment,
    Number,
    Several,
    Span,
    Text,
    Truth,
    Typed,
    named,
)

EXACT = 2**53
"""Up to here every whole number is a double of its own."""

MACROS = ("exists", "all")
TEXT_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": lambda text, part: part in text,
}
FUNCTIONS = ("size", "has", "timestamp", "duration", "double")
ORDERED = ("<", "<=", ">", ">=")


@dataclass(frozen=True)
class Checker:
    """Checks one expression, whose names are those of a scope."""

    scope: Scope

    def flag(self, node: Syntax) -> nodes.Flag:
        """The expression as a truth value."""
        checked = self.check(node)
        if not isinstance(checked, Truth):
            raise ExpressionError(node.place, f"must be true or false, and this is {named(checked)}")
        return checked.flag

    def number(self, node: Syntax) -> nodes.Value:
        """The expression as a number."""
        checked = self.check(node)
        if not isinstance(checked, Number):
            raise ExpressionError(node.place, f"must be a number, and this is {named(checked)}")
        return checked.value

    def check(self, node: Syntax) -> Typed:
        """The type of any part, and what computes it."""
        match node:
            case Literal(value=value):
                return self._literal(node, value)
            case Name(name=name):
                return self.scope.named(node.place, name)
            case Select(owner=owner, name=name):
                return self.scope.selected(node.place, owner, name)
            case Logic(operator=operator, operands=operands):
                join = nodes.conjunction if operator == "&&" else nodes.disjunction
                return Truth(join([self.flag(operand) for operand in operands]))
            case Unary():
                return self._unary(node)
            case Binary():
                return self._binary(node)
            case Ternary():
                return self._ternary(node)
            case ListLiteral(items=items):
                return Several(tuple(self._item(item) for item in items))
            case Call():
                return self._call(node)
        raise AssertionError(f"no such syntax: {node}")

    # --- names ------------------------------------------------------------------------------------------

    def _literal(self, node: Syntax, value: bool | int | float | str | None) -> Typed:
        if isinstance(value, bool):
            return Truth(nodes.Truth(value))
        if isinstance(value, int):
            if abs(value) > EXACT:
                message = f"{value} has more than 53 bits: write {value}.0 if that will do"
                raise ExpressionError(node.place, message)
            return Number(nodes.Constant(float(value)), (value, value))
        if isinstance(value, float):
            if value in (float("inf"), float("-inf")):
                raise ExpressionError(node.place, "is too large for a number")
            return Number(nodes.Constant(value))
        if isinstance(value, str):
            return Text(value)
        raise ExpressionError(node.place, "null is no value of a feature: ask has(...) whether one is there")

    # --- operators --------------------------------------------------------------------------------------

    def _unary(self, node: Unary) -> Typed:
        if node.operator == "!":
            return Truth(nodes.negation(self.flag(node.operand)))
        operand = self.check(node.operand)
        if not isinstance(operand, Number):
            raise ExpressionError(node.place, f"- needs a number, and this is {named(operand)}")
        whole = operand.whole and (-operand.whole[1], -operand.whole[0])
        return Number(nodes.negative(operand.value), whole)

    def _binary(self, node: Binary) -> Typed:
        if node.operator == "in":
            return self._in(node)
        return self._comparison(node) if node.operator in nodes.COMPARE else self._arithmetic(node)

    def _comparison(self, node: Binary) -> Typed:
        left, right, sign = self.check(node.left), self.check(node.right), node.operator
        if (values := _of_one_kind(left, right)) is not None:
            return Truth(nodes.comparison(sign, *values))
        if sign in ORDERED:
            both = f"{named(left)} and {named(right)}"
            raise ExpressionError(
                node.place, f"{sign} orders two numbers, timestamps or durations, not {both}"
            )
        match left, right:
            case Truth(), Truth():
                equal = nodes.same(left.flag, right.flag)
            case (Category() | Text(), Category() | Text()):
                equal = self._equal_texts(node, left, right)
            case _:
                raise ExpressionError(node.place, _cannot_equal(sign, left, right))
        return Truth(equal if sign == "==" else nodes.negation(equal))

    def _equal_texts(self, node: Binary, left: Category | Text, right: Category | Text) -> nodes.Flag:
        if isinstance(left, Text):
            if isinstance(right, Text):
                membership.check_comparable(node.right.place, left, right)
                return nodes.Truth(left.text == right.text)
            return membership.level_in(node.left.place, right, [left])
        if isinstance(right, Category):
            raise ExpressionError(node.place, "a category is compared with a text, not with another category")
        return membership.level_in(node.right.place, left, [right])

    def _in(self, node: Binary) -> Typed:
        left, right = self.check(node.left), self.check(node.right)
        if isinstance(left, Text) and isinstance(right, Members):
            return Truth(membership.member(node.left.place, left, right))
        if not isinstance(right, Members | Several):
            message = f"'in' needs a set or a list [...] on its right, not {named(right)}"
            raise ExpressionError(node.right.place, message)
        if isinstance(right, Several):
            if not right.items:
                raise ExpressionError(node.right.place, "the list is empty: nothing is ever in it")
            texts = [item for item in right.items if isinstance(item, Text)]
            numbers = [item for item in right.items if isinstance(item, Number)]
            if isinstance(left, Category) and not numbers:
                return Truth(membership.level_in(node.right.place, left, texts))
            if isinstance(left, Number) and not texts:
                equal = [nodes.comparison("==", left.value, number.value) for number in numbers]
                return Truth(nodes.disjunction(equal))
            if isinstance(left, Text) and not numbers:
                for text in texts:
                    membership.check_comparable(node.right.place, left, text)
                return Truth(nodes.Truth(any(left.text == text.text for text in texts)))
        message = f"'in' can't look for {named(left)} in this {named(right).split()[-1]}"
        raise ExpressionError(node.place, message)

    def _arithmetic(self, node: Binary) -> Typed:
        left, right, sign = self.check(node.left), self.check(node.right), node.operator
        match left, sign, right:
            case Number(), "+" | "-" | "*" | "/", Number():
                return _calculated(node, left, right)
            case Number(), "%", Number():
                raise ExpressionError(
                    node.place, "% is for integers in CEL, and all numbers here are doubles"
                )
            case Moment(), "-", Moment():
                return Span(nodes.arithmetic("-", left.value, right.value))
            case Moment(), "+" | "-", Span():
                return Moment(nodes.arithmetic(sign, left.value, right.value, moment=True))
            case Span(), "+", Moment():
                return Moment(nodes.arithmetic(sign, left.value, right.value, moment=True))
            case Span(), "+" | "-", Span():
                return Span(nodes.arithmetic(sign, left.value, right.value))
        raise ExpressionError(node.place, f"{sign} can't take {named(left)} and {named(right)}")

    def _ternary(self, node: Ternary) -> Typed:
        condition = self.flag(node.condition)
        yes, no = self.check(node.yes), self.check(node.no)
        match yes, no:
            case Truth(), Truth():
                return Truth(nodes.flag_choice(condition, yes.flag, no.flag))
            case Number(), Number():
                whole = None
                if yes.whole and no.whole:
                    whole = min(yes.whole[0], no.whole[0]), max(yes.whole[1], no.whole[1])
                return Number(nodes.choice(condition, yes.value, no.value), whole)
            case Moment(), Moment():
                return Moment(nodes.choice(condition, yes.value, no.value))
            case Span(), Span():
                return Span(nodes.choice(condition, yes.value, no.value))
        both = f"{named(yes)} or {named(no)}"
        raise ExpressionError(
            node.place, f"? : chooses between two numbers, flags, timestamps or durations, not {both}"
        )

    def _item(self, node: Syntax) -> Number | Text:
        item = self.check(node)
        if isinstance(item, Text) or (isinstance(item, Number) and isinstance(item.value, nodes.Constant)):
            return item
        raise ExpressionError(node.place, "a list holds literals: texts in quotes, or numbers")

    # --- calls ------------------------------------------------------------------------------------------

    def _call(self, node: Call) -> Typed:
        if node.owner is not None:
            return self._method(node, node.owner)
        if node.name not in FUNCTIONS:
            raise ExpressionError(
                node.place, f"there is no function '{node.name}' here{did_you_mean(node.name, FUNCTIONS)}"
            )
        if len(node.arguments) != 1:
            raise ExpressionError(node.place, f"{node.name}() takes one argument, not {len(node.arguments)}")
        (argument,) = node.arguments
        return self._has(argument) if node.name == "has" else self._function(node.name, argument)

    def _function(self, name: str, argument: Syntax) -> Typed:
        checked = self.check(argument)
        match name, checked:
            case "size", Members() | Several():
                return _size(checked)
            case "double", Number():
                return Number(checked.value)
            case "timestamp", Moment():
                return checked
            case "timestamp", Text():
                return Moment(nodes.Constant(literals.timestamp(checked.text, argument.place)))
            case "duration", Span():
                return checked
            case "duration", Text():
                return Span(nodes.Constant(literals.duration(checked.text, argument.place)))
        raise ExpressionError(argument.place, f"{name}() can't take {named(checked)}")

    def _has(self, argument: Syntax) -> Typed:
        if not isinstance(argument, Select) or not isinstance(argument.owner, Name):
            raise ExpressionError(argument.place, "has() asks for a feature, such as has(customer.name)")
        self.scope.selected(argument.place, argument.owner, argument.name)
        return Truth(self.scope.present(argument.name))

    def _method(self, node: Call, owner: Syntax) -> Typed:
        if node.name in MACROS:
            return self._macro(node, owner)
        checked = self.check(owner)
        if node.name == "size" and isinstance(checked, Members | Several) and not node.arguments:
            return _size(checked)
        if node.name in TEXT_TESTS and isinstance(checked, Category | Text):
            return self._text_test(node, checked)
        known = [*MACROS, "size", *TEXT_TESTS]
        message = f".{node.name}() is not supported for {named(checked)}{did_you_mean(node.name, known)}"
        raise ExpressionError(node.place, message)

    def _text_test(self, node: Call, subject: Category | Text) -> Typed:
        arguments = [self.check(argument) for argument in node.arguments]
        if len(arguments) != 1 or not isinstance(arguments[0], Text):
            raise ExpressionError(node.place, f".{node.name}() takes one text in quotes")
        test, part = TEXT_TESTS[node.name], arguments[0].text
        if isinstance(subject, Text):
            return Truth(nodes.Truth(test(subject.text, part)))
        return Truth(nodes.level(subject.index, [test(level, part) for level in subject.feature.levels]))

    def _macro(self, node: Call, owner: Syntax) -> Typed:
        """`exists` and `all`, unrolled over the members that a set may have, or over a list of literals."""
        over = self.check(owner)
        if not isinstance(over, Members | Several):
            raise ExpressionError(owner.place, f".{node.name}() goes over a set or a list, not {named(over)}")
        if len(node.arguments) != 2 or not isinstance(node.arguments[0], Name):
            raise ExpressionError(
                node.place, f'write .{node.name}(x, ... x ...), such as .exists(x, x == "a")'
            )
        variable, body = node.arguments[0], node.arguments[1]
        items = over.items if isinstance(over, Several) else membership.texts(over)
        bodies = [self._with(variable, item, body) for item in items]
        if isinstance(over, Members):
            return Truth(membership.quantified(node.name, over, bodies))
        return Truth((nodes.disjunction if node.name == "exists" else nodes.conjunction)(bodies))

    def _with(self, variable: Name, item: Number | Text, body: Syntax) -> nodes.Flag:
        with self.scope.variable(variable.place, variable.name, item):
            return self.flag(body)


def _of_one_kind(left: Typed, right: Typed) -> tuple[nodes.Value, nodes.Value] | None:
    """The values of two numbers, two timestamps or two durations."""
    if isinstance(left, Measured) and isinstance(right, Measured) and type(left) is type(right):
        return left.value, right.value
    return None


def _size(checked: Members | Several) -> Number:
    if isinstance(checked, Several):
        count = len(checked.items)
        return Number(nodes.Constant(float(count)), (count, count))
    return Number(nodes.Size(checked.start, checked.stop), (0, checked.feature.width))


def _calculated(node: Binary, left: Number, right: Number) -> Number:
    """Two numbers put together. Where CEL has integers on both sides, the result is the same or refused."""
    value = nodes.arithmetic(node.operator, left.value, right.value)
    if left.whole is None or right.whole is None:
        return Number(value)
    if node.operator == "/":
        message = "CEL divides whole numbers without a remainder: write 5.0 / 2.0, or double(size(...)) / 2.0"
        raise ExpressionError(node.place, message)
    (a, b), (c, d) = left.whole, right.whole
    ends = {"+": (a + c, b + d), "-": (a - d, b - c)}.get(node.operator) or (
        min(a * c, a * d, b * c, b * d),
        max(a * c, a * d, b * c, b * d),
    )
    if max(map(abs, ends)) > EXACT:
        raise ExpressionError(
            node.place, "may have more than 53 bits: write the numbers as 1.0 if that will do"
        )
    return Number(value, ends)


def _cannot_equal(sign: str, left: Typed, right: Typed) -> str:
    if isinstance(left, Members) or isinstance(right, Members):
        return f'a set is not compared by {sign}: ask "x" in it, or size() == 0'
    return f"{sign} compares values of one type, not {named(left)} with {named(right)}"
