"""What is said of workers that are no more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.observability.metrics import forget_dead_workers


def test_the_gauges_of_a_killed_worker_are_forgotten_and_its_counters_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid in (ended.pid, os.getpid()):
        for kind in ("gauge_livesum", "gauge_livemax", "counter"):
            (tmp_path / f"{kind}_{pid}.db").touch()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    forget_dead_workers()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [
            f"counter_{ended.pid}.db",
            f"counter_{os.getpid()}.db",
            f"gauge_livemax_{os.getpid()}.db",
            f"gauge_livesum_{os.getpid()}.db",
        ]
    )
