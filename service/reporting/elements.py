"""What the page is made of: elements of HTML, in which every text is escaped, and numbers for people."""

from collections.abc import Sequence
from html import escape

from models.evaluation.bootstrap import Interval

NOTHING = "-"
"""Where there is no number."""


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def html(part: object) -> Html:
    """A part of a page: HTML stays as it is, all else is escaped, and no line ends before a `%`."""
    return part if isinstance(part, Html) else Html(escape(str(part)).replace(" %", "&nbsp;%"))


def element(tag: str, *parts: object, **attributes: object) -> Html:
    """An element around some parts; `class_` stands for the attribute `class`."""
    written = "".join(
        f' {name.rstrip("_")}="{escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{written}>{''.join(map(html, parts))}</{tag}>")


def joined(parts: Sequence[object]) -> Html:
    """One part after the other."""
    return Html("".join(map(html, parts)))


def section(name: str, title: str, lead: str, *parts: object) -> Html:
    """A section of the page with what it is about."""
    return element("section", element("h2", title), element("p", lead, class_="lead"), *parts, id=name)


def note(*parts: object) -> Html:
    """Something small to be known."""
    return element("p", *parts, class_="note")


def warning(*parts: object) -> Html:
    """Something to beware of."""
    return element("p", element("strong", "Beware: "), *parts, class_="beware")


def badge(text: str, kind: str) -> Html:
    """A word that is seen at once; the kind is `good`, `bad` or `open`."""
    return element("span", text, class_=f"badge {kind}")


def table(header: Sequence[str], rows: Sequence[Sequence[object]], texts: int = 1) -> Html:
    """A table whose first columns are `texts`, and all others numbers."""

    def cells(tag: str, row: Sequence[object]) -> Html:
        return joined(
            [element(tag, cell, class_=None if place < texts else "number") for place, cell in enumerate(row)]
        )

    return element(
        "div",
        element(
            "table",
            element("thead", element("tr", cells("th", header))),
            element("tbody", *(element("tr", cells("td", row)) for row in rows)),
        ),
        class_="scroll",
    )


def bar(share: float, kind: str = "") -> Html:
    """A bar as long as its share of the whole, from 0 to 1."""
    width = 100.0 * min(1.0, max(0.0, share))
    return element("div", element("i", style=f"width:{width:.2f}%"), class_=f"bar {kind}".strip())


def number(value: float | None, sign: str = "") -> str:
    """A number with as many digits as tell something."""
    if value is None:
        return NOTHING
    if 0 < abs(value) < 1:
        return f"{value:{sign}.3g}"
    return f"{value:{sign},.{0 if abs(value) >= 100 or value == int(value) else 2}f}"


def percent(share: float | None, sign: str = "") -> str:
    """A share in percent."""
    if share is None:
        return NOTHING
    digits = 0 if abs(share) >= 1 else 1 if abs(share) >= 0.1 else 2
    return f"{100 * share:{sign}.{digits}f} %"


def of(part: float, whole: float) -> str:
    """A part of a whole in percent."""
    return percent(part / whole if whole else None)


def between(interval: Interval | None, write: str = "number", sign: str = "+") -> str:
    """A value, and between what it lies; `write` is `number` or `percent`."""
    if interval is None:
        return NOTHING
    said = percent if write == "percent" else number
    value, low, high = (said(figure, sign) for figure in (interval.value, interval.low, interval.high))
    return f"{value} ({low} to {high})"
