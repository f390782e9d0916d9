"""How long a service takes from its command to ready, with everything on, and how much CPU time.

`python docs/decisions/measurements/starting.py [MODELS]`: in a world of 50 actions that is made at the first
time, with so many models of 100 trees, 50 if nothing is said. The medians of five starts, and of the CPU time
of five imports.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import psutil

from feature_store.embedded import EmbeddedStore
from loadtests.bench.worlds import Size, prepare
from loadtests.server import arbiter, free_port

ROUNDS = 5


def ready(world: Path, folder: Path, redis_url: str) -> tuple[float, float]:
    """Seconds from the command to the first answer of `/health/ready`, and seconds of CPU."""
    began = time.perf_counter()
    port, log = free_port(), folder / "service.log"
    with arbiter(
        "serve", str(world), data=folder / "data", log=log, port=port, redis_url=redis_url
    ) as server:
        took, cpu = time.perf_counter() - began, psutil.Process(server.pid).cpu_times()
        return took, cpu.user + cpu.system


def importing() -> float:
    """Seconds of CPU for Python's modules alone, imported as the command line does."""
    code = (
        "import time; from service.cli.main import Imported; Imported()['serve']; print(time.process_time())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


def main(models: int) -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is compiled once is kept where a service runs
    world = prepare(Size(models=models), Path(".arbiter") / "bench")
    with tempfile.TemporaryDirectory() as name, EmbeddedStore(Path(name) / "store") as store:
        ready(world, Path(name), store.url)  # what is compiled once, is by now
        took, cpu = map(
            median, zip(*(ready(world, Path(name), store.url) for _ in range(ROUNDS)), strict=True)
        )
    modules = median(importing() for _ in range(ROUNDS))
    sys.stdout.write(
        f"{models} models: ready after {took:.1f} s; {cpu:.1f} s of CPU, modules {modules:.1f} s of them\n"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
