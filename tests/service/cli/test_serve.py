"""What `arbiter serve` prepares before it serves."""

import os
from pathlib import Path

from service.cli.serve import _fresh_metrics_folder


def test_metrics_of_runs_that_were_killed_are_removed_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    mine, living, dead = (tmp_path / "metrics" / str(pid) for pid in (os.getpid(), os.getppid(), 999_999_999))
    for folder in (mine, living, dead):
        folder.mkdir(parents=True)
        (folder / "counter_1.db").touch()
    assert _fresh_metrics_folder(tmp_path) == mine
    assert list(mine.iterdir()) == []
    assert list(living.iterdir()) != []
    assert not dead.exists()
