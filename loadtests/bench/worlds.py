"""The worlds that are measured in: every kind of policy, and models of an exact size; kept between runs."""

import subprocess
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from loadtests.server import ARBITER

TREES, LEAVES = 100, 31
"""What each model has: figures of another number of trees would be figures of something else."""


EDITION = 2
"""To be raised when worlds are written otherwise: those that are kept are out of date then."""
AT_ONCE = 2
"""Worlds that are made at the same time: training keeps little more than one core busy."""


class BenchFailed(Exception):
    """The benchmark could not be made; the message says why."""


@dataclass(frozen=True)
class Size:
    """How large a world is; there are never more models than actions."""

    actions: int = 50
    customers: int = 20_000
    features: int = 64
    models: int = 10
    decisions: int = 150_000
    """Logged requests to train on."""

    @property
    def name(self) -> str:
        """The name of the world's folder."""
        sizes = "-".join(f"{name}{size}" for name, size in asdict(self).items())
        return f"{sizes}-trees{TREES}x{LEAVES}-{EDITION}"


def prepare_all(sizes: Iterable[Size], folder: Path) -> Mapping[Size, Path]:
    """The worlds of these sizes, on all cores that this process may use; raises as `prepare` does."""
    different = list(dict.fromkeys(sizes))
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return dict(zip(different, threads.map(lambda size: prepare(size, folder), different), strict=True))


def prepare(size: Size, folder: Path) -> Path:
    """The world of this size with its trained models, made once.

    Raises:
        BenchFailed: it can't be made.
    """
    world = folder / size.name
    if world.exists():
        return world
    print(f"Making the world {world}\n", end="", flush=True)  # in one piece, as another may be made too
    draft = world.with_name(f".{world.name}.{uuid.uuid4().hex[:8]}")
    folder.mkdir(parents=True, exist_ok=True)
    sizes = asdict(size) | {"models": min(size.models, size.actions)}
    flags = [word for name, number in sizes.items() for word in (f"--{name}", str(number))]
    run("world", str(draft), "--policies", *flags)
    run("train", str(draft), "--trees", str(TREES), "--leaves", str(LEAVES))
    return draft.rename(world)


def run(*arguments: str) -> None:
    """Run `arbiter <arguments>`. Raises `BenchFailed` with what it said."""
    done = subprocess.run([*ARBITER, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchFailed(f"arbiter {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
