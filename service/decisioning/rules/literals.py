"""Texts that mean something else: escapes in strings, timestamps and durations."""

import re

from feature_store.feature import FIRST_SECOND, LAST_SECOND, epoch_seconds
from service.decisioning.rules.errors import ExpressionError, Place

LONGEST_DURATION = 315_576_000_000.0
"""Seconds: 10,000 years, the range of CEL's durations."""

_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))", re.DOTALL
)
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|ns|m|s)")


def string_literal(text: str, place: Place) -> str:
    """The value of a string literal with its quotes, raw (`r"..."`) or not."""
    raw = text[0] in "rR"
    quoted = text[1:] if raw else text
    width = 3 if quoted[:3] in ('"""', "'''") and len(quoted) >= 6 else 1
    inner = quoted[width:-width]
    if raw:
        return inner

    def unescape(match: re.Match[str]) -> str:
        two, four, eight, octal, single = match.groups()
        if octal:
            return chr(int(octal, 8))
        if single is None:
            code = int(two or four or eight, 16)
            if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                raise ExpressionError(place, f"{match[0]} is no character")
            return chr(code)
        if single not in "\\\"'`?" and single not in _ESCAPES:
            raise ExpressionError(place, f"\\{single} is not an escape of CEL; a backslash itself is \\\\")
        return _ESCAPES.get(single, single)

    return _ESCAPE.sub(unescape, inner)


def timestamp(text: str, place: Place) -> float:
    """Epoch seconds of an RFC 3339 timestamp.

    Raises:
        ExpressionError: it is none.
    """
    try:
        if not _TIMESTAMP.fullmatch(text):
            raise ValueError
        seconds = epoch_seconds(text.upper())
    except (ValueError, OverflowError):
        message = f"'{text}' is not a time such as 2026-01-31T12:00:00Z, with seconds and an offset"
        raise ExpressionError(place, message) from None
    if not FIRST_SECOND <= seconds <= LAST_SECOND:
        raise ExpressionError(place, f"'{text}' is not in the years 1 to 9999")
    return seconds


def duration(text: str, place: Place) -> float:
    """The seconds of a duration such as `1h30m`.

    Raises:
        ExpressionError: it is none.
    """
    sign = -1.0 if text.startswith("-") else 1.0
    rest = text[1:] if text[:1] in ("+", "-") else text
    days = re.fullmatch(r"(\d+)d", rest)
    if days:
        message = f"CEL has no days: write {int(days[1]) * 24}h for '{text}'"
        raise ExpressionError(place, message)
    parts = _PART.findall(rest)
    if rest != "0" and (not parts or "".join(number + unit for number, unit in parts) != rest):
        message = f"'{text}' is not a duration such as 720h, 90m, 1h30m or 0.5s"
        raise ExpressionError(place, message)
    seconds = sign * sum(float(number) * _UNITS[unit] for number, unit in parts)
    if abs(seconds) > LONGEST_DURATION:
        raise ExpressionError(place, f"'{text}' is longer than 10,000 years")
    return seconds
