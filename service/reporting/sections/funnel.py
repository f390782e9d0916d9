"""From decisions to what was accepted, and by issue, channel and action."""

from collections.abc import Mapping

from service.reporting import pictures
from service.reporting.elements import Html, bar, element, joined, note, number, of, percent, section, table
from service.reporting.funnel import ACTION, CHANNEL, ISSUE, Counts, Funnel

MOST_NAMES = 50
"""Rows of a table; the page says how many more there are."""
_HEADER = ("offered", "seen", "clicked", "accepted", "accepted of seen", "value")


def funnel_section(found: Funnel) -> Html:
    """The stages, the days, and why placements stayed empty."""
    lead = "How far decisions came: each stage as a share of the one that it is a part of."
    return section("funnel", "Funnel", lead, _stages(found), _days(found), _empty(found))


def parts_section(found: Funnel) -> Html:
    """The same by issue, channel and action."""
    lead = (
        "Seen is what has an impression, and in channels that report none all that was offered. A value is "
        "what came with the outcome, or else what the offer was said to be worth."
    )
    tables = [
        joined([element("h3", f"By {kind}"), _by(kind, found.by[kind])]) for kind in (ISSUE, CHANNEL, ACTION)
    ]
    return section("parts", "By issue, channel and action", lead, *tables)


def _stages(found: Funnel) -> Html:
    counts = found.counts
    stages = (
        ("Decisions", found.decisions, found.decisions, f"for {found.customers:,} customers"),
        ("… with an offer", found.answered, found.decisions, "of the decisions"),
        ("Offers", counts.offered, counts.offered, f"{number(_ratio(found))} a decision"),
        ("Seen", counts.seen, counts.offered, "of the offers"),
        ("Clicked", counts.clicked, counts.seen, "of what was seen"),
        ("Accepted", counts.accepted, counts.seen, "of what was seen"),
    )
    most = max(found.decisions, counts.offered, 1)
    rows = [
        (
            name,
            bar(figure / most),
            f"{figure:,}",
            words if figure is whole else f"{of(figure, whole)} {words}",
        )
        for name, figure, whole, words in stages
    ]
    return table(("stage", "", "how many", ""), rows, texts=2)


def _ratio(found: Funnel) -> float:
    return found.counts.offered / found.decisions if found.decisions else 0.0


def _days(found: Funnel) -> Html:
    days = list(found.days)
    plots = (
        ("Seen by day", [counts.seen for counts in found.days.values()]),
        ("Accepted by day", [counts.accepted for counts in found.days.values()]),
    )
    drawn = [
        element("figure", element("figcaption", title), pictures.daily(days, values, title))
        for title, values in plots
        if any(values)
    ]
    return element("div", *drawn, class_="pair")


def _empty(found: Funnel) -> Html:
    if not found.empty:
        return note("No placement stayed empty.")
    whole = sum(empty.placements for empty in found.empty)
    rows = [
        (empty.reason, empty.meaning, f"{empty.placements:,}", of(empty.placements, whole))
        for empty in found.empty
    ]
    header = ("reason", "meaning", "placements", "of the empty ones")
    return joined([element("h3", "Why placements stayed empty"), table(header, rows, texts=2)])


def _by(kind: str, parts: Mapping[str, Counts]) -> Html:
    if not parts:
        return note("Nothing was offered.")
    rows = [(name, *_figures(counts)) for name, counts in list(parts.items())[:MOST_NAMES]]
    more = len(parts) - len(rows)
    rest = note(f"{more:,} more, less often offered, are left out.") if more else ""
    return joined([table((kind, *_HEADER), rows), rest])


def _figures(counts: Counts) -> tuple[str, ...]:
    whole = (counts.offered, counts.seen, counts.clicked, counts.accepted)
    return (*(f"{count:,}" for count in whole), percent(counts.acceptance), f"{counts.value:,.0f}")
