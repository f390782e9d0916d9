"""What is to be reached, and whether it will be."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from service.reporting import pictures
from service.reporting.elements import Html, badge, bar, element, note, number, percent, section
from service.reporting.objectives import LEAST_ACCEPTED, LEAST_DAYS, Outlook, Progress
from service.workspace.objectives import Objective

_KINDS = {
    Outlook.REACHED: "good",
    Outlook.WILL_BE: "good",
    Outlook.MISSED: "bad",
    Outlook.WILL_NOT_BE: "bad",
}
_METRICS = {
    "accepts": "accepted offers",
    "clicks": "clicked offers",
    "value": "value of what was accepted",
    "acceptance_rate": "of what was seen is accepted",
}


def objectives_section(progress: Sequence[Progress]) -> Html:
    """A card for each objective."""
    if not progress:
        return section(
            "objectives",
            "Objectives",
            "No objective is declared: write objectives.yaml, and see here whether it will be reached.",
        )
    lead = "What the workspace wants to reach by when, and where it leads if it goes on as it did."
    return section("objectives", "Objectives", lead, element("div", *map(_card, progress), class_="cards"))


def _card(one: Progress) -> Html:
    objective = one.objective
    target = _figure(objective, objective.target)
    parts: list[object] = [
        element("h3", objective.name, " ", badge(one.outlook.value, _KINDS.get(one.outlook, "open"))),
        element("p", f"{objective.description}. " if objective.description else "", _wanted(objective)),
        bar((one.so_far or 0.0) / objective.target, _KINDS.get(one.outlook, "open")),
        element("p", _said(one, target)),
    ]
    if one.days:
        begins = max(objective.start, one.log_begins or objective.start)
        parts.append(
            pictures.path_to_target(
                _day(begins), _day(objective.end), one.days, objective.target, one.forecast
            )
        )
    if one.log_begins is not None:
        parts.append(
            note(
                f"The log begins on {_day(one.log_begins)}: what came before is not counted, and not guessed."
            )
        )
    return element("article", *parts, class_="card")


def _wanted(objective: Objective) -> str:
    last = _day(objective.end - 1)
    figure = _figure(objective, objective.target)
    return f"Wanted: {figure} {_METRICS[objective.metric]}, from {_day(objective.start)} to {last}."


def _said(one: Progress, target: str) -> str:
    objective = one.objective
    if one.outlook is Outlook.NOT_BEGUN:
        return "It has not begun."
    if one.so_far is None:
        return "Nothing that counts was seen so far, or all of it may still be answered."
    said = f"So far {_figure(objective, one.so_far)} of {target}."
    if one.outlook in (Outlook.REACHED, Outlook.MISSED) and one.forecast is None:
        return said
    if one.forecast is None:
        return f"{said} {_why_not(objective)}"
    low, high = (_figure(objective, figure) for figure in (one.forecast.low, one.forecast.high))
    expected = _figure(objective, one.forecast.value)
    return f"{said} If it goes on like this: {expected} by the end, 95 % interval {low} to {high}."


def _why_not(objective: Objective) -> str:
    if objective.is_rate:
        return f"A forecast needs at least {LEAST_ACCEPTED} that were accepted."
    return f"A forecast needs at least {LEAST_DAYS} whole days."


def _figure(objective: Objective, value: float) -> str:
    return percent(value) if objective.is_rate else number(round(value))


def _day(seconds: float) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()
