"""How models do, and which actions say nothing."""

from collections.abc import Sequence

from models.plots import curve, rounded_up
from service.decisioning.catalogue import Action
from service.reporting.elements import (
    NOTHING,
    Html,
    badge,
    element,
    joined,
    note,
    number,
    percent,
    section,
    table,
)
from service.reporting.health import Health, ModelHealth, SilentAction

MOST_ACTIONS = 50
"""Rows of a table; the page says how many more there are."""


def health_section(found: Health) -> Html:
    """The models, and how what they promise compares with what came."""
    lead = (
        "Each model on what was seen of its own choices and can't be answered any more. There is less to "
        "tell apart among these than among all, so an AUC here lies below the one of its training. "
        "Calibration error is the mean distance between promised and observed shares, in points of a percent."
    )
    if not found.models:
        return section("models", "Models", "No action has a model.")
    header = (
        *("model", "versions that decided", "shown", "accepted", "promised", "observed"),
        *("AUC", "AUC at training", "calibration error"),
    )
    curves = [plot for plot in map(_curve, found.models) if plot]
    return section(
        "models",
        "Models",
        lead,
        table(header, [_row(model) for model in found.models], texts=2),
        element("div", *curves, class_="plots")
        if curves
        else note("Too little was shown to draw calibration."),
    )


def silent_section(found: Health) -> Html:
    """Actions that nobody was offered, has seen or has answered."""
    lead = "Live actions of which nothing is known: they cost room in the catalogue, and may hide a mistake."
    return section(
        "silent",
        "Actions that say nothing",
        lead,
        element("h3", "Never offered"),
        _names(found.never_offered, "Every live action was offered."),
        element("h3", "Offered, and never seen"),
        _names(found.never_seen, "All that was offered was seen."),
        element("h3", "Seen, and never clicked or accepted"),
        _silent(found.never_answered),
    )


def _row(model: ModelHealth) -> tuple[object, ...]:
    versions = ", ".join(model.versions)
    observed = model.came / model.shown if model.shown else None
    return (
        model.name,
        versions or NOTHING,
        f"{model.shown:,}",
        f"{model.came:,}",
        percent(model.promised if model.shown else None),
        percent(observed),
        _auc(model.auc),
        _auc(model.at_training),
        NOTHING if model.ece is None else f"{100 * model.ece:.2f}",
    )


def _auc(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _curve(model: ModelHealth) -> Html | None:
    if not model.reliability:
        return None
    most = rounded_up(max(max(point) for point in model.reliability))
    drawn = curve(model.name, "promised", "observed", model.reliability, most=(most, most), dots=True)
    return element("figure", Html(drawn.decode()))


def _names(actions: Sequence[Action], none: str) -> Html:
    if not actions:
        return note(none)
    shown = [element("li", f"{a.issue} / {a.group} / {a.name}") for a in actions[:MOST_ACTIONS]]
    return joined([element("ul", *shown, class_="names"), _more(len(actions))])


def _silent(actions: Sequence[SilentAction]) -> Html:
    if not actions:
        return note("Every action that was seen was clicked or accepted at least once.")
    rows = [
        (
            f"{one.action.issue} / {one.action.group} / {one.action.name}",
            badge("hardly chance", "bad") if one.surprising else badge("may be chance", "open"),
            f"{one.seen:,}",
            number(one.promised),
        )
        for one in actions[:MOST_ACTIONS]
    ]
    header = ("action", "", "seen", "responses that were promised")
    return joined([table(header, rows, texts=2), _more(len(actions))])


def _more(count: int) -> Html:
    return note(f"{count - MOST_ACTIONS:,} more are left out.") if count > MOST_ACTIONS else Html("")
