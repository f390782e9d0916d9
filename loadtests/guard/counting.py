"""What runs under Callgrind: fixed batches through `decide`, between marks that make it write its counters.

python -m loadtests.guard.counting WORLD CALLS SIZE...

Without calls nothing is counted, but what had to be compiled is kept for the next time.
"""

import gc
import os
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

from loadtests.guard.batches import fixed_batches
from service.decisioning.pipeline import decide
from service.workspace.loading import load_workspace

WARM_UP = 20
"""Batches until Python has settled which kinds of objects each instruction meets."""


def main(world: Path, calls: int, sizes: list[int]) -> None:
    """Decide each size so many times, each time between two marks; the sizes come in order."""
    snapshot = load_workspace(world).snapshot(scorer="compiled")  # `auto` chooses by the time that is taken
    measured = []
    for size in sizes:
        made = list(islice(fixed_batches(world, snapshot, size), WARM_UP + calls))
        for batch in made[:WARM_UP]:
            decide(snapshot, batch)
        measured += made[WARM_UP:]
    if not measured:
        return
    gc.collect()
    gc.disable()
    _start_counting()
    for batch in measured:
        mark()
        decide(snapshot, batch)
    mark()
    os._exit(0)  # all is written: an orderly end would take Callgrind longer than all of this


def mark() -> None:
    """A function of the C library that nothing else calls: Callgrind writes and clears its counters there."""
    os.getloadavg()


def _start_counting() -> None:
    """Until now Callgrind was idle, because loading takes fifty times as long when it counts."""
    control = shutil.which("callgrind_control") or "callgrind_control"
    subprocess.run([control, "--instr=on", str(os.getpid())], check=True, capture_output=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), [int(size) for size in sys.argv[3:]])
