"""What a person sees on a terminal while something takes its time."""

import os
import pty
import subprocess
import sys

import pytest

from service.cli import console

ANNOUNCED = """
from service.cli.console import ProgressDisplay, out
with ProgressDisplay() as display:
    display.update("counting", 1, 2)
    out.print("a line of the result")
    display.announce("a line beside it")
    display.update("counting", 2, 2)
"""
CLEARED = b"\x1b[2K"


def on_a_terminal(program: str) -> bytes:
    """All that a Python program writes to a terminal that is its stdout and its stderr."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen([sys.executable, "-c", program], stdout=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        written = b""
        while chunk := _read(ours):
            written += chunk
    os.close(ours)
    return written


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux says so when the other side has been closed
        return b""


def test_what_is_printed_beside_progress_bars_has_lines_of_its_own() -> None:
    written = on_a_terminal(ANNOUNCED)
    assert b"counting" in written
    for line in (b"a line of the result", b"a line beside it"):
        before = written[: written.index(line)]
        assert before.endswith(CLEARED), before[-80:]


def test_what_is_no_result_does_not_go_to_stdout_where_that_is_no_terminal() -> None:
    piped = subprocess.run([sys.executable, "-c", ANNOUNCED], capture_output=True, text=True, check=True)
    assert piped.stdout == "a line of the result\n"
    assert "a line beside it" in piped.stderr


def test_long_work_tells_how_much_longer_it_takes_at_the_pace_since_it_began(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([100.0, 104.0, 104.0, 200.0, 200.0, 210.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    display = console.ProgressDisplay()
    for done in (1_000, 2_000, 3_000, 11_000):  # the first thousand was done by an earlier run
        display.update("deciding", done, 11_000)
    assert capsys.readouterr().err.splitlines() == [
        "  deciding: 2,000 of 11,000, 36 s left",
        "  deciding: 3,000 of 11,000, 7 min left",
        "  deciding: 11,000 of 11,000",
    ]
