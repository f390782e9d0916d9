"""Whether a real answer is what a page shows.

Pages are read with figures in them that differ from one training to the next. So: objects have the same keys,
lists the same length, whole numbers, flags and texts are the same; of other numbers only the kind counts, and
of the names and texts of an offer only that the catalogue has them. `...` stands for anything.

Where nothing is learned, a page can be held to its figures: `exact` compares all there is, numbers by three
digits.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

CHOSEN = ("issue", "group", "action", "treatment", "content")
"""Keys whose values depend on what the models have learned."""


def differences(shown: Any, real: Any, path: str = "", *, exact: bool = False) -> Iterator[str]:
    """What is different in `real`, by path."""
    if shown == "...":
        return
    if isinstance(shown, dict) and isinstance(real, dict):
        yield from _of_objects(shown, real, path, exact)
    elif isinstance(shown, list) and isinstance(real, list):
        yield from _of_lists(shown, real, path, exact)
    elif isinstance(shown, str) and isinstance(real, str):
        if not re.fullmatch(".*".join(map(re.escape, shown.split("..."))), real, re.DOTALL):
            yield f"{path}: {real!r}, not {shown!r}"
    elif isinstance(shown, float):
        if isinstance(real, bool) or not isinstance(real, int | float):
            yield f"{path}: {real!r} is not a number"
        elif exact and not math.isclose(shown, real, rel_tol=0.005):
            yield f"{path}: {real!r}, not {shown!r}"
    elif type(shown) is not type(real) or shown != real:
        yield f"{path}: {real!r}, not {shown!r}"


def _of_objects(shown: dict[str, Any], real: dict[str, Any], path: str, exact: bool) -> Iterator[str]:
    missing, more = shown.keys() - real.keys() - {"..."}, real.keys() - shown.keys()
    if missing:
        yield f"{path}: has no {sorted(missing)}"
    if more and "..." not in shown:
        yield f"{path}: also has {sorted(more)}"
    for key in shown.keys() & real.keys():
        if key in CHOSEN and not exact:
            if type(shown[key]) is not type(real[key]):
                yield f"{path}.{key}: {real[key]!r} is of another kind than {shown[key]!r}"
        else:
            yield from differences(shown[key], real[key], f"{path}.{key}", exact=exact)


def _of_lists(shown: list[Any], real: list[Any], path: str, exact: bool) -> Iterator[str]:
    open_end = bool(shown) and shown[-1] == "..."
    wanted = shown[:-1] if open_end else shown
    if len(real) < len(wanted) or (len(real) > len(wanted) and not open_end):
        yield f"{path}: has {len(real)} entries, not {len(wanted)}"
    for index, pair in enumerate(zip(wanted, real, strict=False)):
        yield from differences(*pair, f"{path}[{index}]", exact=exact)


def offers(shown: Any) -> Iterator[dict[str, Any]]:
    """Every offered action in an answer that a page shows."""
    if isinstance(shown, dict):
        if "treatment" in shown and "priority" in shown:
            yield shown
        for value in shown.values():
            yield from offers(value)
    elif isinstance(shown, list):
        for value in shown:
            yield from offers(value)
