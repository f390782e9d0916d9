"""What one run has measured, as tables for people and as JSON for programs."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from loadtests.bench.figures import BARE, SERVICE, USUAL, Figure, more, written
from loadtests.bench.measuring import Readings
from loadtests.bench.sweeps import Point
from loadtests.bench.worlds import Size


@dataclass(frozen=True)
class Table:
    """A table with a title; all columns but the first are numbers."""

    title: str
    header: tuple[str, ...]
    rows: list[list[str]]


@dataclass(frozen=True)
class Report:
    """All that one run has measured, and the machine that it was measured on."""

    machine: dict[str, Any]
    size: Size
    more_actions: int
    readings: Readings
    figures: list[Figure]
    sweeps: dict[str, list[Point]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The report as JSON."""
        return asdict(self) | {"figures": [asdict(one) | {"verdict": one.verdict} for one in self.figures]}

    @property
    def servers(self) -> tuple[str, ...]:
        """The servers that are compared, in order."""
        return BARE, USUAL, SERVICE, more(SERVICE, self.more_actions)

    def tables(self) -> Iterator[Table]:
        """All tables, the figures that must be reached first."""
        yield self.verdicts()
        yield self.closed()
        yield self.open()
        for name in self.sweeps:
            yield self.sweep(name)

    def verdicts(self) -> Table:
        """What must be reached, and whether it is."""
        header = ("figure", "measured", "must", "aim", "reached")
        return Table("What must be reached", header, [one.row for one in self.figures])

    def closed(self) -> Table:
        """Throughput, by server and connections."""
        header = ("server", "connections", "per second", "ratio to bare", "p50 ms", "p99 ms", "CPU us", "MiB")
        rows = []
        for at in self.readings.loads("closed"):
            bare = self.readings.middle(BARE, "closed", at)
            for name in self.servers:
                got = self.readings.middle(name, "closed", at)
                numbers = (got.per_second, got.per_second / bare.per_second, got.p50_ms, got.p99_ms)
                rows.append([name, *map(written, (at, *numbers, got.cpu_us, got.memory_mib))])
        return Table("Closed loop, one worker on one core", header, rows)

    def open(self) -> Table:
        """Response times by share of the service's saturation."""
        header = ("of saturation", "rate", "server", "p50 ms", "p99 ms", "p99 / bare's", "CPU us")
        rows = []
        saturation = self.readings.saturation(SERVICE)
        for at in self.readings.loads("open"):
            bare = self.readings.middle(BARE, "open", at)
            for name in (BARE, SERVICE):
                got = self.readings.middle(name, "open", at)
                numbers = (got.p50_ms, got.p99_ms, got.p99_ms / bare.p99_ms, got.cpu_us)
                rows.append([f"{at / saturation:.0%}", written(at), name, *map(written, numbers)])
        return Table("Open loop, requests that come at a fixed rate", header, rows)

    def sweep(self, name: str) -> Table:
        """What a decision costs by one thing that was varied."""
        header = (name, "per second", "ratio to bare", "CPU us", "cores", "peak MiB", "p50 ms", "p99 ms")
        rows = []
        for point in self.sweeps[name]:
            got = point.service
            ratio = got.per_second / point.bare.per_second
            numbers = (got.per_second, ratio, got.cpu_us, got.cores, got.peak_mib, got.p50_ms, got.p99_ms)
            rows.append([f"{point.value:,}", *map(written, numbers)])
        return Table(f"By {name}, 64 connections", header, rows)
