"""Wordings: how a treatment says that something known of a customer speaks for its action."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Form(Enum):
    """How `{value}` of a wording is written."""

    FIXED = "fixed"
    NUMBER = "number"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Wording:
    """A text for one column of X, said while the column is within `least` and `most` (both included).

    A member of a set and a level of a category are a wording each, with their name in it already.
    """

    column: int
    text: str
    form: Form = Form.FIXED
    least: float = float("-inf")
    most: float = float("inf")

    def said(self, value: float) -> str | None:
        """The text for a value of the column; None where it does not fit, or is missing."""
        if not self.least <= value <= self.most:
            return None
        match self.form:
            case Form.FIXED:
                return self.text
            case Form.NUMBER:
                return self.text.format(value=_number(value))
            case Form.DATE:
                return self.text.format(value=(_EPOCH + timedelta(seconds=value)).date().isoformat())


def _number(value: float) -> str:
    """With two decimals at most: 3, 0.5, 41.99."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
