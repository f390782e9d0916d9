"""Counts that fade, and that all workers of a service add up.

With several workers (`PROMETHEUS_MULTIPROC_DIR` set) each writes its own into a file beside its metrics, and
whoever asks reads the files of all.
"""

import os
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HALF_LIFE = 86_400.0
"""Seconds after which something counts half: so long that night and day are both in it."""


class FadingCounts:
    """An array of counts under a name. Workers that count under the same one count the same things."""

    def __init__(self, name: str, shape: tuple[int, ...], folder: Path | None = None) -> None:
        """`folder` is where workers share them; without one there is one worker."""
        self._name, self._shape, self._folder = name, shape, folder
        size = 1 + int(np.prod(shape))  # the moment at which they were counted comes first
        if folder is None:
            self._own = np.zeros(size)
        else:
            path = folder / f"{name}_{os.getpid()}.counts"
            kept = path.exists() and path.stat().st_size == 8 * size
            mode: Literal["r+", "w+"] = "r+" if kept else "w+"
            self._own = np.memmap(path, np.float64, mode, shape=(size,))

    def add(self, counts: Floats, now: float) -> None:
        """Count some more at a moment, in epoch seconds."""
        own = self._own
        own[1:] *= _faded(own[0], now)
        own[1:] += counts.ravel()
        own[0] = now

    def total(self, now: float) -> Floats:
        """What all workers have counted, as much as it counts at a moment."""
        if self._folder is None:
            found = [self._own]
        else:
            paths = self._folder.glob(f"{self._name}_*.counts")
            found = [np.fromfile(path, np.float64) for path in paths]
        whole = [counts for counts in found if len(counts) == len(self._own)]  # not one that is only begun
        total = sum((counts[1:] * _faded(counts[0], now) for counts in whole), np.zeros(len(self._own) - 1))
        return total.reshape(self._shape)


def shared_folder() -> Path | None:
    """Where workers share what they count; None where there is only one."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Path(folder) if folder else None


def _faded(since: float, now: float) -> float:
    """What is left of one at a moment."""
    return float(0.5 ** (max(0.0, now - since) / HALF_LIFE))
