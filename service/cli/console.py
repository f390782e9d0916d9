"""What the command line shows: steps, progress bars, tables, and errors that say what to mend."""

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import NoReturn, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

PIPE_WIDTH = 120
"""Characters a line where nobody has said how wide the paper is."""

out = Console(
    highlight=False, markup=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPE_WIDTH
)
err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

LINE_EVERY = 5.0
"""Seconds between two lines about the same work where there is no terminal to draw a bar on."""
MINUTES_FROM = 100.0
"""Seconds from which on minutes are told."""


def fail(message: str) -> NoReturn:
    """End the command with an error message and status 1."""
    err.print(message, style="red" if err.is_terminal else None)
    raise SystemExit(1)


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; all columns but the first are aligned to the right."""
    drawn = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(header):
        drawn.add_column(name, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        drawn.add_row(*row)
    out.print(drawn)


class ProgressDisplay:
    """Bars on a terminal, a line now and then elsewhere. Its `update` is a
    `feature_store.progress.Progress`."""

    def __init__(self) -> None:
        # What `out` prints stands above the bars only where it draws them itself.
        self._console = out if out.is_terminal and err.is_terminal else err
        self._bars = Progress(
            TextColumn("  {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, float] = {}
        self._began: dict[str, tuple[float, int]] = {}

    def __enter__(self) -> Self:
        if err.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if err.is_terminal:
            self._bars.stop()

    def announce(self, message: str) -> None:
        """Print a line that is not the command's result: above the bars on a terminal, else to the errors."""
        self._console.print(message)

    def update(self, what: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` is done."""
        if err.is_terminal:
            self._draw(what, done, total)
        else:
            self._say(what, done, total)

    def _draw(self, what: str, done: int, total: int | None) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total, completed=done)
        self._bars.update(self._tasks[what], completed=done, total=total)

    def _left(self, what: str, done: int, total: int) -> str:
        """How much longer it takes, at the pace at which it went so far; some of it may have been done before
        it began."""
        began, before = self._began[what]
        if not before < done < total:
            return ""
        seconds = (time.monotonic() - began) * (total - done) / (done - before)
        return f", {seconds:,.0f} s left" if seconds < MINUTES_FROM else f", {seconds / 60:,.0f} min left"

    def _say(self, what: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        self._began.setdefault(what, (now, done))
        finished = total is not None and done >= total
        if finished or now - self._said.get(what, now - LINE_EVERY + 2.0) >= LINE_EVERY:
            share = (
                f"{done:,} of {total:,}{self._left(what, done, total)}" if total is not None else f"{done:,}"
            )
            print(f"  {what}: {share}", file=sys.stderr, flush=True)  # noqa: T201
            self._said[what] = now
        else:
            self._said.setdefault(what, now - LINE_EVERY + 2.0)
