"""Pictures of what was measured, as SVG files for the documentation."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests.bench.figures import BARE, SERVICE
from loadtests.bench.report import Report
from loadtests.bench.sweeps import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {SERVICE: "#0b6e4f", BARE: "#9aa0a6"}
WIDE = 10.0
"""Times the smallest value: from there on an axis is logarithmic."""


def draw(report: Report, folder: Path) -> list[Path]:
    """Write a picture of the response times and one of each sweep.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    import matplotlib as mpl

    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "arbiter", "svg.fonttype": "none", "font.size": 9}):
        drawn = {"latency": _latency(report)}
        drawn |= {name: _sweep(name, points) for name, points in report.sweeps.items()}
        paths = []
        for name, picture in drawn.items():
            paths.append(folder / f"{name}.svg")
            picture.savefig(paths[-1], metadata={"Date": None}, bbox_inches="tight")
    return paths


def _panels(count: int) -> tuple["Figure", list["Axes"]]:
    from matplotlib.figure import Figure

    picture = Figure(figsize=(3.4 * count, 2.6), layout="constrained")
    panels = [picture.add_subplot(1, count, place + 1) for place in range(count)]
    for panel in panels:
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    return picture, panels


def _latency(report: Report) -> "Figure":
    """Response times of the open loops, by the rate of requests."""
    readings, rates = report.readings, report.readings.loads("open")
    picture, panels = _panels(2)
    for panel, percentile in zip(panels, ("p50_ms", "p99_ms"), strict=True):
        for name in (BARE, SERVICE):
            times = [getattr(readings.middle(name, "open", rate), percentile) for rate in rates]
            panel.plot(rates, times, "o-", color=COLOURS[name], label=name)
        _label(panel, "requests a second", f"{percentile.removesuffix('_ms')}, ms", rates)
    panels[0].legend(frameon=False)
    return picture


def _sweep(name: str, points: Sequence[Point]) -> "Figure":
    """Throughput, processor time and memory by what was varied."""
    values = [point.value for point in points]
    picture, (speed, cost, memory) = _panels(3)
    speed.plot(values, [point.bare.per_second for point in points], "o-", color=COLOURS[BARE], label=BARE)
    for panel, what, label in (
        (speed, "per_second", "decisions a second"),
        (cost, "cpu_us", "CPU microseconds a decision"),
        (memory, "peak_mib", "peak MiB of a worker"),
    ):
        taken = [getattr(point.service, what) for point in points]
        panel.plot(values, taken, "o-", color=COLOURS[SERVICE], label=SERVICE)
        _label(panel, name, label, values)
    speed.legend(frameon=False)
    return picture


def _short(value: float) -> str:
    """A number that fits under a tick: 2.5k, 1M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _label(panel: "Axes", across: str, up: str, values: Sequence[float]) -> None:
    panel.set_xlabel(across)
    panel.set_ylabel(up)
    panel.set_ylim(bottom=0)
    if max(values) >= WIDE * min(values):
        panel.set_xscale("log")
    panel.set_xticks(values, [_short(value) for value in values], minor=False, fontsize=7)
    panel.minorticks_off()
