"""The report as one page of HTML that needs nothing but itself."""

from datetime import UTC, datetime
from math import isinf
from pathlib import Path

from service.reporting.elements import Html, element, html, joined, number, section
from service.reporting.report import Report
from service.reporting.sections.arms import arms_section, control_section
from service.reporting.sections.funnel import funnel_section, parts_section
from service.reporting.sections.health import health_section, silent_section
from service.reporting.sections.objectives import objectives_section

STYLE = Path(__file__).with_name("page.css")
_CONTENTS = {
    "objectives": "Objectives",
    "funnel": "Funnel",
    "parts": "By issue, channel, action",
    "arms": "Experiments",
    "control": "Value against control",
    "models": "Models",
    "silent": "Silent actions",
    "log": "The log",
}


def page(report: Report) -> str:
    """The whole page."""
    title = f"{report.workspace}: {_period(report)}"
    head = element(
        "head",
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark">'),
        element("title", title),
        element("style", Html(STYLE.read_text(encoding="utf-8"))),
    )
    body = element(
        "body", element("main", _header(report), _figures(report), _contents(), *_sections(report))
    )
    return f'<!doctype html>\n<html lang="en">{head}{body}</html>\n'


def _header(report: Report) -> Html:
    return element("header", element("h1", report.workspace), element("p", _period(report), class_="lead"))


def _period(report: Report) -> str:
    begins = "all that was decided" if isinf(report.since) else f"decided from {_moment(report.since)}"
    return f"{begins} until {_moment(report.until)} UTC, as it was known then"


def _moment(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%d}" if moment.time().isoformat() == "00:00:00" else f"{moment:%Y-%m-%d %H:%M}"


def _figures(report: Report) -> Html:
    found = report.funnel
    counts = found.counts
    tiles = {
        "decisions": found.decisions,
        "customers": found.customers,
        "offers seen": counts.seen,
        "clicked": counts.clicked,
        "accepted": counts.accepted,
        "value": round(counts.value),
    }
    shown = [
        element("div", element("b", number(figure)), element("span", name)) for name, figure in tiles.items()
    ]
    return element("div", *shown, class_="tiles")


def _contents() -> Html:
    links = [element("a", title, href=f"#{name}") for name, title in _CONTENTS.items()]
    return element("nav", *links)


def _sections(report: Report) -> list[Html]:
    if not report.funnel.decisions:
        empty = "Nothing was decided in this time, or it is not in the log yet: there is nothing to report."
        return [
            objectives_section(report.progress),
            section("funnel", "Nothing decided", empty),
            _log(report),
        ]
    return [
        objectives_section(report.progress),
        funnel_section(report.funnel),
        parts_section(report.funnel),
        arms_section(report.comparisons),
        control_section(report.comparisons),
        health_section(report.health),
        silent_section(report.health),
        _log(report),
    ]


def _log(report: Report) -> Html:
    lead = (
        "Each decision, offer and outcome counts once, however often its files have it. An outcome counts "
        "within the window of its action, and what was decided lately may still be answered."
    )
    remarks = [element("li", html(remark)) for remark in report.remarks]
    return section("log", "The log", lead, joined([element("ul", *remarks)]) if remarks else "")
