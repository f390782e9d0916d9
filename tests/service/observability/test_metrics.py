"""Histograms of batches, and what is said of workers that are no more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from service.observability.metrics import BatchHistogram, forget_dead_workers


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


def test_a_histogram_of_batches_says_what_any_other_says() -> None:
    amounts = [0.0, 0.5, 1.0, 1.5, 2.0, 99.0]
    said = []
    for kind, together in ((Histogram, False), (BatchHistogram, False), (BatchHistogram, True)):
        registry = CollectorRegistry()
        histogram = kind("seconds", "Some.", buckets=(1.0, 2.0), registry=registry)
        if together and isinstance(histogram, BatchHistogram):
            histogram.observe_all(amounts)
        else:
            for amount in amounts:
                histogram.observe(amount)
        said.append([line for line in generate_latest(registry).splitlines() if b"_created" not in line])
    assert said[0] == said[1] == said[2]
