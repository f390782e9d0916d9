"""A simulation on paper: its figures as JSON and in words, and its curves."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.evaluation.bootstrap import Interval
from models.plots import Point, lines, rounded_up
from service.simulation.contests import ARBITER, ORACLE, POLICIES, PROPENSITY, RANDOM, RULES, Earned
from service.simulation.figures import AIM, Figures, NightFigures
from service.simulation.simulation import NAMES

REPORT, FIGURES = "report.md", "figures.json"
DRAWN = (RANDOM, PROPENSITY, RULES, ARBITER, ORACLE)
THOUSAND = 1_000.0
POINTS = 200
"""Of a curve at most."""


def write_report(folder: Path, figures: Figures, earned: Earned) -> None:
    """Write report.md, figures.json and the plots that the report shows."""
    for name, plot in _plots(figures, earned).items():
        (folder / name).write_bytes(plot)
    (folder / REPORT).write_text("\n".join(report(figures)) + "\n", encoding="utf-8")
    (folder / FIGURES).write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")


def report(figures: Figures) -> Iterator[str]:
    """The lines of the report, in Markdown."""
    yield "# Simulation\n"
    yield from (f"- {line}" for line in headlines(figures))
    for name in ("reward", "regret", "gain", "value"):
        yield f"\n![{name}]({name}.svg)"
    yield "\n## By day"
    yield from _markdown(*by_day(figures))
    yield "\n## By policy"
    yield from _markdown(*by_policy(figures))
    yield "\n## By night"
    yield from (f"- {line}" for line in map(night_line, figures.nights))


def headlines(figures: Figures) -> Iterator[str]:
    """What came out, in a sentence each."""
    learning, staying = figures.decisions
    yield (
        f"{learning:,} decisions in {figures.days} days by a service that learns, {staying:,} by one that "
        "stays as it was on the first day"
    )
    reached, lately = percent(figures.arbiter), percent(figures.last_day)
    yield f"of the oracle's gain over random: {reached}; on the last day {lately}"
    if figures.reached is None:
        yield f"{AIM:.0%} of it was not reached for good"
    else:
        yield f"{AIM:.0%} of it was reached for good after {figures.reached:,} decisions"
    for name, interval in figures.lift.items():
        yield f"{name}, from the second day on: {signed(interval)} beside the service that stays"
    yield f"{figures.explored:.1%} of the decisions offered something else than the best, to learn"
    outcomes = figures.outcomes
    yield (
        f"{outcomes['happened']:,} outcomes happened and {outcomes['sent_again']:,} reports were sent twice: "
        f"{outcomes['accepted']:,} were counted, {outcomes['duplicates']:,} known already, "
        f"{outcomes['in_the_log']:,} are in the log"
    )
    if figures.degraded:
        missing = ", ".join(f"{name} {count:,} times" for name, count in figures.degraded.items())
        yield f"decided without: {missing}"


def by_day(figures: Figures) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A table: its header, and a row for each day: of the oracle's gain what three policies reach, what a
    visit was worth, and the newcomer's share of what was offered."""
    header = (
        "day",
        "decisions",
        "Arbiter",
        "rules",
        "propensity",
        "explored",
        *(f"value {name}" for name in NAMES),
        "lift of value",
        "newcomer",
    )
    rows = [
        (
            str(day.day),
            f"{day.decisions:,}",
            *(f"{day.gain[POLICIES[place]]:.1%}" for place in (ARBITER, RULES, PROPENSITY)),
            f"{day.explored:.1%}",
            *(f"{value:.2f}" for value in day.value),
            signed(day.value_lift),
            f"{day.newcomer[0]:.1%}",
        )
        for day in figures.by_day
    ]
    return header, rows


def by_policy(figures: Figures) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A table: its header, and a row for each policy."""
    rows: list[tuple[str, ...]] = [
        (name, f"{figures.reward[name]:.3f}", f"{figures.gain[name]:.1%}") for name in POLICIES
    ]
    return ("policy", "reward a decision", "share of the oracle's gain"), rows


def night_line(night: NightFigures) -> str:
    """What came of a night."""
    said = [
        f"{what} {', '.join(models)}"
        for what, models in (
            ("promoted", night.promoted),
            ("kept back by the gate", night.refused),
            ("too little to learn from yet for", night.waiting),
        )
        if models
    ]
    return f"night {night.day}: {'; '.join([*said, *filter(None, [night.failed])])}"


def percent(interval: Interval) -> str:
    """A share with its interval."""
    return f"{interval.value:.1%} [{interval.low:.1%}, {interval.high:.1%}]"


def signed(interval: Interval) -> str:
    """A difference with its interval."""
    return f"{interval.value:+.1%} [{interval.low:+.1%}, {interval.high:+.1%}]"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"\n| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _plots(figures: Figures, earned: Earned) -> Mapping[str, bytes]:
    decisions, thousands = figures.decisions[0], figures.decisions[0] / THOUSAND
    summed = earned.cumulative(decisions)
    regret = summed[:, [ORACLE]] - summed
    days = [day.day for day in figures.by_day]
    values = {
        f"the service that {name}": [(float(day.day), day.value[place]) for day in figures.by_day]
        for place, name in enumerate(NAMES)
    }
    gains = {
        "Arbiter": [(at / THOUSAND, share) for at, share in figures.blocks],
        "the aim": [(0.0, AIM), (thousands, AIM)],
    }
    dearest = max(value for day in figures.by_day for value in day.value)
    return {
        "reward.svg": _curves("Cumulative reward", "thousand", earned, summed, thousands),
        "regret.svg": _curves("Cumulative regret beside the oracle", "thousand", earned, regret, thousands),
        "gain.svg": lines(
            "Share of the oracle's gain over random",
            "thousand decisions",
            "share",
            gains,
            most=(thousands, 1.0),
        ),
        "value.svg": lines(
            "Value of a visit, as it came in",
            "day",
            "value",
            values,
            most=(float(max(days)), rounded_up(dearest)),
        ),
    }


def _curves(title: str, up: str, earned: Earned, summed: NDArray[np.float64], thousands: float) -> bytes:
    places = np.unique(np.linspace(0, len(summed) - 1, POINTS).astype(np.intp))
    across, heights = earned.number[places] / THOUSAND, summed[places] / THOUSAND
    series: dict[str, list[Point]] = {
        POLICIES[policy]: [(0.0, 0.0), *zip(across.tolist(), heights[:, policy].tolist(), strict=True)]
        for policy in DRAWN
    }
    highest = rounded_up(float(heights[:, list(DRAWN)].max()))
    return lines(title, "thousand decisions", up, series, most=(thousands, highest))
