"""Which core a process runs on, and what it and all that it has started use: processor time and memory."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

CAN_PIN = hasattr(os, "sched_setaffinity")
PROC = Path("/proc")
NAN = float("nan")

Started = TypeVar("Started")


def two_cores() -> tuple[int, int] | None:
    """A core for the server and one for the load; None where there are no two, or none can be chosen."""
    if not CAN_PIN:
        return None
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else None


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """What is started in this context runs on that core only; None is anywhere."""
    if core is None:
        yield
        return
    with _running_on({core}):
        yield


@contextmanager
def helped_by(core: int | None) -> Iterator[None]:
    """What is done or started in this context may use that core as well."""
    if core is None:
        yield
        return
    with _running_on(os.sched_getaffinity(0) | {core}):
        yield


@contextmanager
def _running_on(cores: set[int]) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def started_on(core: int | None, starting: AbstractContextManager[Started]) -> Iterator[Started]:
    """What `starting` starts runs on that core, for as long as the context lasts; this process stays where it
    is, and so does what it starts meanwhile."""
    with ExitStack() as stack:
        with pinned(core):
            started = stack.enter_context(starting)
        yield started


def cpu_seconds(pid: int) -> float:
    """The processor time of a process and its descendants so far, over all threads and with those that have
    ended; NaN where /proc is not Linux's."""
    if not _stat(pid):
        return NAN
    ticks = sum(int(ticks) for member in family(pid) for ticks in _stat(member)[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> float:
    """The memory of a process and its descendants in MiB, what they share counted once; NaN without /proc."""
    if not _stat(pid):
        return NAN
    return sum(_kib(PROC / str(member) / "smaps_rollup", "Pss") for member in family(pid)) / 1024


def peak_mib(pid: int) -> float:
    """The most memory that a process or one of its descendants has had so far, in MiB; NaN without /proc."""
    if not _stat(pid):
        return NAN
    return max(_kib(PROC / str(member) / "status", "VmHWM") for member in family(pid)) / 1024


def family(pid: int) -> list[int]:
    """A process and all of its descendants that are alive."""
    children: dict[int, list[int]] = {}
    for path in PROC.glob("[0-9]*"):
        if fields := _stat(int(path.name)):
            children.setdefault(int(fields[1]), []).append(int(path.name))
    members = [pid]
    for member in members:  # grows while it is walked
        members += children.get(member, [])
    return members


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third one on; none of a process that has ended."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _kib(path: Path, name: str) -> float:
    """A line `name: 123 kB`; 0 where it is not."""
    with suppress(OSError):
        for line in path.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return float(line.split()[1])
    return 0.0
