"""What is wrong with an expression, and where in it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the text of an expression; line and column count from 1."""

    line: int = 1
    column: int = 1


class ExpressionError(ValueError):
    """An expression that can't be used; the message says what would be right."""

    def __init__(self, place: Place, message: str) -> None:
        self.place, self.message = place, message
        super().__init__(f"{place.line}:{place.column}: {message}")
