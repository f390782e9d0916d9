"""`python -m loadtests.guard`: whether a decision takes more instructions than was agreed.

Instructions are counted by Valgrind's Callgrind, which emulates the processor: the same program takes as many
of them whatever else the machine does. `baseline.json` has what was agreed, and why.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from loadtests.bench.worlds import BenchFailed, Size, prepare
from service.cli.console import table

BASELINE = Path(__file__).with_name("baseline.json")
WORLD = Size(customers=2_000, decisions=20_000)
SIZES, CALLS = (1, 16, 64), 5
ALLOWED = 0.05
"""By how much a count may differ from the baseline before somebody has to say why."""
ALIKE = {"PYTHONHASHSEED": "0", "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
"""Variables with which one machine takes as many instructions as another, and Valgrind's processor can do
with what was compiled for the real one."""
TOOLS = ("valgrind", "callgrind_control")


class GuardFailed(Exception):
    """The instructions could not be counted; the message says why."""


@dataclass(frozen=True)
class Baseline:
    """What was agreed: instructions of one `decide` by the size of its batch, on a kind of machine."""

    python: str
    machine: str
    reason: str
    instructions: Mapping[str, int]

    @classmethod
    def of(cls, counted: Mapping[int, int], reason: str) -> "Baseline":
        """What was counted here."""
        return cls(*here(), reason, {str(size): count for size, count in counted.items()})


def here() -> tuple[str, str]:
    """What counts can be compared on: another Python takes another number of instructions."""
    return ".".join(platform.python_version_tuple()[:2]), platform.machine()


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, compare, and say so; 1 where a count is too high, or so low that the baseline is stale."""
    options = parse_options(arguments)
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        print(f"{' and '.join(missing)} not found: `apt-get install valgrind`.", file=sys.stderr)
        return 1
    try:
        counted = count(prepare(WORLD, options.worlds))
    except (BenchFailed, GuardFailed) as error:
        print(error, file=sys.stderr)
        return 1
    if options.accept:
        BASELINE.write_text(json.dumps(asdict(Baseline.of(counted, options.accept)), indent=2) + "\n")
        print(f"Accepted: {counted}. Commit {BASELINE.name} with the reason.")
        return 0
    return judge(counted, Baseline(**json.loads(BASELINE.read_text())))


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="loadtests.guard", description=__doc__)
    parser.add_argument("--accept", metavar="REASON", help="make what is counted the baseline, and say why")
    data = Path(os.environ.get("ARBITER_DATA", ".arbiter"))
    parser.add_argument("--worlds", type=Path, default=data / "bench", help="where the world is kept")
    return parser.parse_args(arguments)


def count(world: Path, sizes: Sequence[int] = SIZES, calls: int = CALLS) -> dict[int, int]:
    """The median instructions of one `decide` by the size of its batch."""
    with tempfile.TemporaryDirectory(prefix="arbiter-guard-") as name:
        out = Path(name) / "counts"
        callgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--dump-before=getloadavg"]
        _decide([], world, 0, sizes)  # Valgrind would compile the loops fifty times as slowly
        _decide([*callgrind, f"--callgrind-out-file={out}"], world, calls, sizes)
        # The first part is what came before the first mark.
        counts = [total(out.with_name(f"{out.name}.{part}")) for part in range(2, 2 + calls * len(sizes))]
    return {
        size: int(median(counts[place * calls : (place + 1) * calls])) for place, size in enumerate(sizes)
    }


def _decide(under: Sequence[str], world: Path, calls: int, sizes: Sequence[int]) -> None:
    command = [*under, sys.executable, "-m", "loadtests.guard.counting", str(world), str(calls)]
    done = subprocess.run(
        [*command, *map(str, sizes)], env=os.environ | ALIKE, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise GuardFailed(f"{under[0] if under else 'counting'} failed:\n{done.stderr[-2_000:]}")


def total(path: Path) -> int:
    """The instructions in a file of Callgrind's."""
    for line in path.read_text().splitlines():
        if line.startswith("totals: "):
            return int(line.split()[1])
    raise GuardFailed(f"{path.name} has no total: Callgrind wrote something else than was expected")


def judge(counted: Mapping[int, int], baseline: Baseline) -> int:
    """Print the comparison; 1 where a count is further from the baseline than is allowed."""
    if (baseline.python, baseline.machine) != here():
        print(f"The baseline is of Python {baseline.python} on {baseline.machine}; nothing to compare with.")
        return 0
    changes = {size: counted[size] / baseline.instructions[str(size)] - 1 for size in counted}
    rows = [
        [
            str(size),
            f"{counted[size] / size:,.0f}",
            f"{baseline.instructions[str(size)] / size:,.0f}",
            f"{change:+.1%}",
            verdict(change),
        ]
        for size, change in changes.items()
    ]
    table("Instructions of a decision", ["batch of", "counted", "agreed", "change", "verdict"], rows)
    if all(abs(change) <= ALLOWED for change in changes.values()):
        return 0
    print(
        'If that is meant: python -m loadtests.guard --accept "why", and commit the baseline.',
        file=sys.stderr,
    )
    return 1


def verdict(change: float) -> str:
    """What a change of the count means."""
    if change > ALLOWED:
        return "SLOWER"
    return "faster: accept it, or the next slowdown hides in it" if change < -ALLOWED else "ok"
