"""The figures that the service must reach, and whether it does."""

from dataclasses import dataclass
from typing import Literal

from loadtests.bench.measuring import Readings

BARE, USUAL, SERVICE = "bare FastAPI", "usual way", "Arbiter"
CONNECTIONS = 64
"""Where throughput, cost and memory are compared."""

Verdict = Literal["aim", "must", "MISSED", "not measured"]


@dataclass(frozen=True)
class Figure:
    """One figure, with what it must be at least, or at most; `value` None was not measured."""

    what: str
    value: float | None
    must: float
    aim: float
    unit: str = ""

    @property
    def verdict(self) -> Verdict:
        """Which of its goals the figure has reached."""
        if self.value is None:
            return "not measured"
        more_is_better = self.aim > self.must
        for goal, name in ((self.aim, "aim"), (self.must, "must")):
            if self.value >= goal if more_is_better else self.value <= goal:
                return "aim" if name == "aim" else "must"
        return "MISSED"

    @property
    def row(self) -> list[str]:
        """The figure as a row of a table."""
        numbers = (self.value, self.must, self.aim)
        return [self.what, *("" if one is None else written(one, self.unit) for one in numbers), self.verdict]


def written(number: float, unit: str = "") -> str:
    """A number as people read it: no more digits than mean something."""
    text = f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
    return f"{text} {unit}".rstrip()


def more(name: str, actions: int) -> str:
    """What a server is called in a world of another number of actions."""
    return f"{name}, {actions:,} actions"


def rate(readings: Readings, share: float) -> float:
    """The rate of requests at a share of the service's saturation."""
    return round(readings.saturation(SERVICE) * share, 1)


def figures(readings: Readings, actions: int, more_actions: int, outbound: float | None) -> list[Figure]:
    """The table of design: ratios of the medians of one run.

    Args:
        readings: closed loops of all servers, and open loops of the bare endpoint and the service at
            half of the service's saturation.
        actions: of the world in which the service is compared with others.
        more_actions: of the world whose cost is compared with that.
        outbound: customers a second of `arbiter batch` on all cores, None if that was not measured.
    """
    bare, service, large = (
        readings.middle(name, "closed", CONNECTIONS) for name in (BARE, SERVICE, more(SERVICE, more_actions))
    )
    slow, fast = (readings.middle(name, "open", rate(readings, 0.5)).p99_ms for name in (SERVICE, BARE))
    usual = readings.saturation(USUAL)
    return [
        Figure("decisions/s / bare FastAPI endpoint", service.per_second / bare.per_second, 1.0, 1.5),
        Figure("decisions/s / usual-way service", readings.saturation(SERVICE) / usual, 10, 15),
        Figure("p99 at half of saturation / bare endpoint's at that rate", slow / fast, 3, 1.5),
        Figure(
            f"cost at {more_actions:,} actions / at {actions:,}", service.per_second / large.per_second, 4, 2
        ),
        Figure("outbound, customers/s on all cores", outbound, 50_000, 100_000),
        Figure(f"peak memory of one worker, {more_actions:,} actions", large.peak_mib, 600, 400, "MiB"),
    ]
