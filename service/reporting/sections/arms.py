"""What the arms of experiments tell, and what all of it is worth against control."""

from collections.abc import Sequence

from service.reporting import pictures
from service.reporting.arms import Comparison
from service.reporting.comparison import LEAST_RESPONDERS
from service.reporting.elements import (
    NOTHING,
    Html,
    badge,
    between,
    element,
    joined,
    note,
    number,
    percent,
    section,
    table,
    warning,
)

_ACCEPTING = (
    *("arm", "verdict", "customers / beside", "accept / beside", "lift (95 % interval)"),
    "customers still needed",
)
_BRINGING = ("arm", "value of each", "beside", "difference (95 % interval)")


def arms_section(compared: Sequence[Comparison]) -> Html:
    """Each arm beside whom it is compared with."""
    if not compared:
        return section(
            "arms", "Experiments", "No experiment has an arm to be compared: see experiments.yaml."
        )
    lead = (
        "Each arm beside whom chance has put elsewhere, by customer (or account): everybody who was decided "
        "for, not only those who were shown something. Intervals hold 95 % of the time; they are not "
        "corrected for being several."
    )
    return section(
        "arms",
        "Experiments",
        lead,
        _plot(compared),
        element("h3", "How many accept something"),
        table(_ACCEPTING, [_accepting(one) for one in compared], texts=2),
        element("h3", "What each customer brings"),
        table(_BRINGING, [_bringing(one) for one in compared]),
        _notes(compared),
    )


def control_section(compared: Sequence[Comparison]) -> Html:
    """What was earned beyond control groups."""
    groups = [one for one in compared if one.withholds]
    if not groups:
        lead = (
            "No experiment withholds anything: without a control group nobody knows what all of it is worth."
        )
        return section("control", "Value against control", lead)
    lead = (
        "What everybody else has brought beyond the customers from whom something is withheld, all together."
    )
    rows = [
        (
            _name(one),
            one.description,
            number(one.beside.value),
            number(one.group.value),
            _scaled(one, one.beside.value),
            _scaled(one, one.group.value),
            between(one.earned) if one.earned else _no_interval(one),
        )
        for one in groups
    ]
    header = (
        *("control group", "what it is", "value of each of the others", "of each in control"),
        *("the others have brought", "as control customers they would have", "value against control (95 %)"),
    )
    caveat = note(
        "Only what is reported for an offer is in the log. What control customers do of their own accord, "
        "without an offer, is not: where such sales are frequent, the difference is more than the offers "
        "have earned."
    )
    return section("control", "Value against control", lead, table(header, rows, texts=2), caveat)


def _scaled(one: Comparison, value: float) -> str:
    return f"{value * one.beside.units:,.0f}"


def _name(one: Comparison) -> str:
    return f"{one.experiment}.{one.arm}"


def _plot(compared: Sequence[Comparison]) -> Html:
    plotted = [(_name(one), one.lift) for one in compared if one.lift is not None]
    if not plotted:
        return note(f"No arm has {LEAST_RESPONDERS} customers yet who accepted something, on both sides.")
    title = "Lift: by how much more, or fewer, customers accept something, with 95 % intervals"
    return element(
        "figure", element("figcaption", title), pictures.forest(plotted, "Lift of each arm"), class_="wide"
    )


def _accepting(one: Comparison) -> tuple[object, ...]:
    return (
        _arm(one),
        _verdict(one),
        f"{one.group.units:,} / {one.beside.units:,}",
        f"{percent(one.group.rate)} / {percent(one.beside.rate)}",
        between(one.lift, "percent") if one.lift else _no_interval(one),
        _missing(one),
    )


def _bringing(one: Comparison) -> tuple[object, ...]:
    return (
        _arm(one),
        number(one.group.value),
        number(one.beside.value),
        between(one.value) if one.value else _no_interval(one),
    )


def _arm(one: Comparison) -> Html:
    beside = f"{one.experiment}.{one.other}" if one.other else "everybody else"
    return joined(
        [_name(one), element("small", f"beside {beside}{', by account' if one.by_account else ''}")]
    )


def _no_interval(one: Comparison) -> Html:
    return element("span", NOTHING if one.group.silent else "too few to tell", class_="note")


def _verdict(one: Comparison) -> Html:
    if one.lift is None:
        return badge("offered nothing" if one.group.silent else "too few", "open")
    if one.lift.low > 0:
        return badge("more accept", "good")
    if one.lift.high < 0:
        return badge("fewer accept", "bad")
    return badge("no difference told", "open")


def _missing(one: Comparison) -> str:
    if one.lift is None or one.missing is None:
        return NOTHING if one.group.silent else "not to be said yet"
    return f"{one.missing:,}" if one.missing else "none: enough"


def _notes(compared: Sequence[Comparison]) -> Html:
    said = [_beware(one) for one in compared if one.lopsided]
    moved = {one.experiment: one.moved for one in compared if one.moved}
    said += [
        note(f"{count:,} were in more than one arm of {name} and are left out.")
        for name, count in moved.items()
    ]
    how = (
        "Customers still needed: so many more in the arm, the sizes staying in their ratio, and a lift like "
        "the one seen is told from chance four times in five (two-sided, 5 %). A verdict before that may be "
        "luck: decide beforehand how long an experiment runs."
    )
    return joined([*said, note(how)])


def _beware(one: Comparison) -> Html:
    return warning(
        f"{_name(one)} has {percent(one.found)} of the customers and should have {percent(one.share)}. "
        "Either its share was changed meanwhile, or something other than chance decides who is counted: do "
        "not trust it before you know."
    )
