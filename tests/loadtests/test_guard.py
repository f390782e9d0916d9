"""The guard of how many instructions a decision takes."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from loadtests.guard.batches import fixed_batches
from loadtests.guard.command import Baseline, GuardFailed, count, here, judge, total
from service.decisioning.pipeline import decide
from service.workspace.loading import load_workspace

AGREED = Baseline(*here(), "as it was", {"1": 1_000_000, "64": 20_000_000})


def test_a_count_up_to_a_twentieth_from_the_baseline_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert judge({1: 1_049_000, 64: 19_100_000}, AGREED) == 0
    assert "+4.9%" in capsys.readouterr().out


def test_one_count_that_is_higher_fails_and_says_how_to_accept_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert judge({1: 1_000_000, 64: 21_100_000}, AGREED) == 1
    said = capsys.readouterr()
    assert "SLOWER" in said.out
    assert "--accept" in said.err


def test_a_count_that_is_much_lower_fails_too_because_the_next_slowdown_would_hide_in_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert judge({1: 900_000, 64: 20_000_000}, AGREED) == 1
    assert "faster" in capsys.readouterr().out


def test_counts_of_another_python_are_not_compared(capsys: pytest.CaptureFixture[str]) -> None:
    other = Baseline("2.7", AGREED.machine, "long ago", AGREED.instructions)
    assert judge({1: 9_000_000, 64: 20_000_000}, other) == 0
    assert "Python 2.7" in capsys.readouterr().out


def test_a_file_without_a_total_is_no_count(tmp_path: Path) -> None:
    path = tmp_path / "counts.2"
    path.write_text("events: Ir\ntotals: 1234\n")
    assert total(path) == 1234
    path.write_text("events: Ir\n")
    with pytest.raises(GuardFailed, match="no total"):
        total(path)


def test_fixed_batches_are_the_same_each_time_and_are_decided_with_everything_on(world: Path) -> None:
    snapshot = load_workspace(world).snapshot()
    one, other = (next(fixed_batches(world, snapshot, 16)) for _ in range(2))
    np.testing.assert_array_equal(one.X, other.X)
    assert one.touches is not None
    assert other.touches is not None
    assert one.touches.records.tobytes() == other.touches.records.tobytes()
    slates = [decide(snapshot, batch).slate for batch in (one, other)]
    np.testing.assert_array_equal(slates[0].action, slates[1].action)
    assert len(slates[0].action) > 16


@pytest.mark.skipif(
    shutil.which("valgrind") is None, reason="needs valgrind (Debian: apt-get install valgrind)"
)
def test_a_larger_batch_takes_more_instructions_and_fewer_a_decision(world: Path) -> None:
    counted = count(world, sizes=(1, 16), calls=2)
    assert 100_000 < counted[1] < counted[16] < 16 * counted[1]
