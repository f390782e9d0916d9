"""The page of the documentation that says how fast the service is: `docs/performance.md`."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from loadtests.bench.plots import draw
from loadtests.bench.report import Report, Table

PAGE, PICTURES = "performance.md", "performance"
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"


class PageUnfit(Exception):
    """The page can't be written; the message says what is missing."""


@dataclass(frozen=True)
class Marks:
    """A page of the documentation, and the marks between which a command puts its figures."""

    page: str
    begin: str
    end: str

    def around(self, docs: Path) -> tuple[str, str]:
        """What stands before and after the figures, with the marks. Raises `PageUnfit` without them."""
        page = docs / self.page
        text = page.read_text(encoding="utf-8") if page.is_file() else ""
        before, begin, rest = text.partition(self.begin)
        _, end, after = rest.partition(self.end)
        if not begin or not end:
            raise PageUnfit(f"{page} has no {self.begin} ... {self.end} to put the figures between")
        return before + begin, end + after


def frame(docs: Path) -> tuple[str, str]:
    """What stands before and after the figures of the page, with the marks.

    Raises:
        PageUnfit: the page, its marks or matplotlib are not there.
    """
    around = Marks(PAGE, BEGIN, END).around(docs)
    if find_spec("matplotlib") is None:
        raise PageUnfit("pictures need matplotlib: pip install 'arbiter-nba[loadtest]', or use `make bench`")
    return around


def write_page(report: Report, docs: Path) -> list[Path]:
    """Put the tables and pictures of a run in their place in the page; what stands around them stays. Returns
    the files written; raises as `frame` does."""
    before, after = frame(docs)
    pictures = draw(report, docs / PICTURES)
    (docs / PAGE).write_text(f"{before}\n{section(report)}{after}", encoding="utf-8")
    return [docs / PAGE, *pictures]


def section(report: Report) -> str:
    """The part of the page that one run makes."""
    return "\n".join(_paragraphs(report)) + "\n"


def _paragraphs(report: Report) -> Iterator[str]:
    machine = report.machine
    pinned = "servers on one, load and stores on the other" if machine["pinned"] else "nothing pinned"
    yield f"Made {machine['at'][:10]} by `arbiter bench --docs docs`: {machine['cores']} cores, {pinned};"
    yield f"Python {machine['python']}, closed loops by {machine['closed_loop_by']}. Medians of all rounds.\n"
    yield from _table(report.verdicts())
    yield from _table(report.closed())
    yield from _table(report.open())
    yield from _picture("latency", "Response times by the rate of requests")
    for name in report.sweeps:
        yield from _table(report.sweep(name))
        yield from _picture(name, f"Throughput, processor time and memory by {name}")


def _table(table: Table) -> Iterator[str]:
    yield f"### {table.title}\n"
    yield f"| {' | '.join(table.header)} |"
    yield f"|{'---|' * len(table.header)}"
    yield from (f"| {' | '.join(row)} |" for row in table.rows)
    yield ""


def _picture(name: str, title: str) -> Iterator[str]:
    yield f"![{title}]({PICTURES}/{name}.svg)\n"
