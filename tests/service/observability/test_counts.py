"""Counts that fade, of one worker and of several."""

import os
from pathlib import Path

import numpy as np
import pytest

from service.observability.counts import HALF_LIFE, FadingCounts

NOW = 1_790_000_000.0
SHAPE = (2, 3)


@pytest.mark.parametrize("shared", [False, True])
def test_what_was_counted_fades(shared: bool, tmp_path: Path) -> None:
    counts = FadingCounts("one", SHAPE, tmp_path if shared else None)
    assert counts.total(NOW).tolist() == np.zeros(SHAPE).tolist()
    counts.add(np.full(SHAPE, 4.0), NOW)
    assert counts.total(NOW).tolist() == np.full(SHAPE, 4.0).tolist()
    counts.add(np.full(SHAPE, 1.0), NOW + HALF_LIFE)
    assert counts.total(NOW + HALF_LIFE) == pytest.approx(np.full(SHAPE, 3.0))
    assert counts.total(NOW + 2 * HALF_LIFE) == pytest.approx(np.full(SHAPE, 1.5))


def test_workers_add_up_also_those_that_have_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = []
    for pid in (1001, 1002):
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        workers.append(FadingCounts("one", SHAPE, tmp_path))
    workers[0].add(np.ones(SHAPE), NOW)
    workers[1].add(np.ones(SHAPE), NOW + HALF_LIFE)
    FadingCounts("other", SHAPE, tmp_path).add(np.ones(SHAPE), NOW)
    (tmp_path / "one_1003.counts").write_bytes(b"begun")
    for worker in workers:
        assert worker.total(NOW + HALF_LIFE) == pytest.approx(np.full(SHAPE, 1.5))
    assert FadingCounts("one", SHAPE, tmp_path).total(NOW + HALF_LIFE) == pytest.approx(np.full(SHAPE, 1.5))
