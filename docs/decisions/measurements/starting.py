"""How long a service takes from its command to ready, with everything on.

`python docs/decisions/measurements/starting.py [MODELS]`: in a world of 50 actions that is made at the first
time, with so many models of 100 trees, 50 if nothing is said. The median of five starts, and of five imports.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from feature_store.embedded import EmbeddedStore
from loadtests.bench.worlds import Size, prepare
from loadtests.server import arbiter, free_port

ROUNDS = 5


def ready(world: Path, folder: Path, redis_url: str) -> float:
    """Seconds from the command to the first answer of `/health/ready`."""
    began = time.perf_counter()
    port, log = free_port(), folder / "service.log"
    with arbiter("serve", str(world), data=folder / "data", log=log, port=port, redis_url=redis_url):
        return time.perf_counter() - began


def importing() -> float:
    """Seconds for Python's modules alone."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import service.cli.serve, service.cli.worker"], check=True)
    return time.perf_counter() - began


def main(models: int) -> None:
    world = prepare(Size(models=models), Path(".arbiter") / "bench")
    with tempfile.TemporaryDirectory() as name, EmbeddedStore(Path(name) / "store") as store:
        ready(world, Path(name), store.url)  # what is compiled once, is by now
        took = median(ready(world, Path(name), store.url) for _ in range(ROUNDS))
    modules = median(importing() for _ in range(ROUNDS))
    sys.stdout.write(f"{models} models: ready after {took:.1f} s, {modules:.1f} s of them Python's modules\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
