"""Spans of time as workspaces write them: a number and a unit."""

import re

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}

_SPAN = re.compile(r"([1-9][0-9]*)([smhd])")


def seconds(span: object) -> float | None:
    """The seconds of `90s`, `15m`, `12h` or `30d`; None for anything else."""
    match = _SPAN.fullmatch(str(span))
    return float(int(match[1]) * UNITS[match[2]]) if match else None
