"""From the text of an expression to its syntax tree, by cel-python's parser.

The parser's tree has a dozen levels for each operand; here each construct is one node that knows its place.
"""

import re
from dataclasses import dataclass
from typing import Any

from celpy.celparser import CELParseError, CELParser
from lark import Token, Tree
from lark.exceptions import UnexpectedToken

from service.decisioning.rules.errors import ExpressionError, Place
from service.decisioning.rules.literals import string_literal

MAX_LENGTH = 8_000
"""Characters of one expression."""
MAX_DEPTH = 50
"""Brackets that may be open at once."""
TOO_DEEP = "is nested too deeply; name a part of it under 'conditions'"
_WORD = re.compile(r"\w+|\"[^\"]*\"?|'[^']*'?|&&|\|\||[<>=!]=|.")
_NO_CODE = re.compile(r"""//[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""")
"""Comments and texts."""


@dataclass(frozen=True, slots=True)
class Syntax:
    """A construct at its place."""

    place: Place


@dataclass(frozen=True, slots=True)
class Literal(Syntax):
    """`true`, `1`, `1.5`, `"text"` or `null`."""

    value: bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class ListLiteral(Syntax):
    items: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True)
class Name(Syntax):
    name: str


@dataclass(frozen=True, slots=True)
class Select(Syntax):
    """`owner.name`"""

    owner: Syntax
    name: str


@dataclass(frozen=True, slots=True)
class Call(Syntax):
    """`name(arguments)`, or `owner.name(arguments)`."""

    owner: Syntax | None
    name: str
    arguments: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True)
class Unary(Syntax):
    operator: str
    operand: Syntax


@dataclass(frozen=True, slots=True)
class Binary(Syntax):
    operator: str
    left: Syntax
    right: Syntax


@dataclass(frozen=True, slots=True)
class Logic(Syntax):
    """`&&` or `||` of two operands or more."""

    operator: str
    operands: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True)
class Ternary(Syntax):
    condition: Syntax
    yes: Syntax
    no: Syntax


OPERATORS = {
    "relation_lt": "<",
    "relation_le": "<=",
    "relation_gt": ">",
    "relation_ge": ">=",
    "relation_eq": "==",
    "relation_ne": "!=",
    "relation_in": "in",
    "addition_add": "+",
    "addition_sub": "-",
    "multiplication_mul": "*",
    "multiplication_div": "/",
    "multiplication_mod": "%",
    "unary_not": "!",
    "unary_neg": "-",
}
LOGIC = {"conditionalor": "||", "conditionaland": "&&"}
REFUSED = {
    "member_index": "an index [...] is not supported: a list is asked with 'in', a feature is customer.name",
    "member_object": "messages are not supported",
    "map_lit": "maps are not supported",
    "dot_ident": "a name does not begin with a dot here",
    "dot_ident_arg": "a name does not begin with a dot here",
}
SLIPS = {
    "=": "write == to compare",
    "and": "write && for and",
    "or": "write || for or",
    "not": "write ! for not",
    "&": "write && for and",
    "|": "write || for or",
    "is": "write == to compare",
}


def parse(text: str) -> Syntax:
    """The syntax tree of an expression.

    Raises:
        ExpressionError: it is not CEL, or uses what no rule may.
    """
    if not text.strip():
        raise ExpressionError(Place(), "is empty: write a condition, such as customer.age >= 18")
    if len(text) > MAX_LENGTH:
        raise ExpressionError(Place(), f"has {len(text)} characters; {MAX_LENGTH} are the most")
    if _depth(text) > MAX_DEPTH:
        raise ExpressionError(Place(), TOO_DEEP)
    try:
        return _lower(CELParser().parse(text))
    except CELParseError as error:
        raise _syntax_error(text, error) from None
    except RecursionError:  # of other than brackets
        raise ExpressionError(Place(), TOO_DEEP) from None


def _depth(text: str) -> int:
    """How many brackets are open at once at most. How deep Python itself can go differs by its version."""
    depth = deepest = 0
    for sign in _NO_CODE.sub("", text):
        depth += (sign in "([{") - (sign in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _syntax_error(text: str, error: CELParseError) -> ExpressionError:
    cause = error.__context__
    if isinstance(cause, UnexpectedToken) and cause.token.type == "$END":
        lines = text.splitlines()
        return ExpressionError(Place(len(lines), len(lines[-1]) + 1), "is not CEL: it ends too early")
    place = Place(error.line or 1, error.column or 1)
    rest = text.splitlines()[place.line - 1][place.column - 1 :]
    found = _WORD.match(rest)
    word = found[0] if found else rest
    hint = SLIPS.get(word.lower())
    return ExpressionError(place, f"is not CEL: {word} is not expected here" + (f"; {hint}" if hint else ""))


def _place(node: Tree[Token] | Token) -> Place:
    meta: Any = node if isinstance(node, Token) else node.meta
    return Place(getattr(meta, "line", 1) or 1, getattr(meta, "column", 1) or 1)


def _lower(node: Any) -> Syntax:
    """One construct for a chain of the parser's single-child levels."""
    while len(node.children) == 1 and node.data != "literal" and node.data not in REFUSED:
        if node.data in ("ident", "ident_arg", "list_lit"):
            break
        node = node.children[0]
    rule, children, place = str(node.data), node.children, _place(node)
    if rule in REFUSED:
        raise ExpressionError(place, REFUSED[rule])
    if rule == "expr":
        condition, yes, no = map(_lower, children)
        return Ternary(place, condition, yes, no)
    if rule in LOGIC:
        return Logic(place, LOGIC[rule], tuple(_operands(node)))
    if rule in ("relation", "addition", "multiplication"):
        operation, right = children
        operator = OPERATORS[str(operation.data)]
        return Binary(place, operator, _lower(operation.children[0]), _lower(right))
    if rule == "unary":
        return Unary(place, OPERATORS[str(children[0].data)], _lower(children[1]))
    return _primary(rule, children, place)


def _operands(node: Any) -> list[Syntax]:
    """The operands of a chain of one operator, from left to right."""
    found: list[Any] = []
    rule = node.data
    while node.data == rule and len(node.children) == 2:
        found.append(node.children[1])
        node = node.children[0]
    return [_lower(operand) for operand in (node, *reversed(found))]


def _primary(rule: str, children: list[Any], place: Place) -> Syntax:
    match rule:
        case "literal":
            return _literal(children[0])
        case "list_lit":
            return ListLiteral(place, _arguments(children))
        case "ident":
            return Name(place, str(children[0]))
        case "ident_arg":
            return Call(place, None, str(children[0]), _arguments(children[1:]))
        case "member_dot":
            return Select(place, _lower(children[0]), str(children[1]))
        case "member_dot_arg":
            return Call(place, _lower(children[0]), str(children[1]), _arguments(children[2:]))
        case "primary":  # `[]` has no children at all
            return ListLiteral(place, ())
    raise ExpressionError(place, f"{rule} is not supported")


def _arguments(children: list[Any]) -> tuple[Syntax, ...]:
    return tuple(_lower(child) for child in children[0].children) if children else ()


def _literal(token: Token) -> Literal:
    place, text = _place(token), str(token)
    match token.type:
        case "BOOL_LIT":
            return Literal(place, text == "true")
        case "INT_LIT":
            return Literal(place, int(text, 0) if "x" in text.lower() else int(text))
        case "FLOAT_LIT":
            return Literal(place, float(text))
        case "NULL_LIT":
            return Literal(place, None)
        case "STRING_LIT" | "MLSTRING_LIT":
            return Literal(place, string_literal(text, place))
    kind = {"UINT_LIT": "an unsigned number", "BYTES_LIT": "bytes"}.get(token.type, token.type)
    raise ExpressionError(place, f"{text} is {kind}, which no feature is: leave out the letter")
