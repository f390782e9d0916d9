"""Cores, processor time and memory, as the operating system has them."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from loadtests.cores import (
    cpu_seconds,
    family,
    helped_by,
    memory_mib,
    peak_mib,
    pinned,
    started_on,
    two_cores,
)

MIB = 2**20
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
sys.stdout.buffer.write(child.stdout.readline())
sys.stdout.flush()
sys.stdin.readline()
child.communicate()
print("over", flush=True)
sys.stdin.readline()
"""
CHILD = f"""
import sys
block = bytearray({64 * MIB})
block[::4096] = bytes(len(block[::4096])).replace(bytes(1), b"x")
sum(range(5_000_000))
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    """A process whose child has 64 MiB and has worked; a line ends the child, another one the parent."""
    command = [sys.executable, "-c", PARENT, CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert running.stdout.readline() == "ready\n"
        yield running
        running.kill()


@pytest.fixture
def cores() -> tuple[int, int]:
    """Two cores that a test may choose."""
    found = two_cores()
    if found is None:
        pytest.skip("this machine has no two cores to choose")
    return found


def test_what_is_started_while_pinned_stays_on_its_core(cores: tuple[int, int]) -> None:
    before = os.sched_getaffinity(0)
    with pinned(cores[1]):
        assert os.sched_getaffinity(0) == {cores[1]}
    assert os.sched_getaffinity(0) == before


def test_processor_time_only_grows() -> None:
    before = cpu_seconds(os.getpid())
    sum(range(3_000_000))
    assert cpu_seconds(os.getpid()) >= before


def test_a_process_is_counted_with_its_children_also_when_they_have_ended(
    parent: subprocess.Popen[str],
) -> None:
    assert len(family(parent.pid)) == 2
    assert memory_mib(parent.pid) > 64
    assert peak_mib(parent.pid) > 64
    before = cpu_seconds(parent.pid)
    assert before > 0
    assert parent.stdin
    assert parent.stdout
    parent.stdin.write("\n")
    parent.stdin.flush()
    assert parent.stdout.readline() == "over\n"
    assert family(parent.pid) == [parent.pid]
    assert cpu_seconds(parent.pid) >= before
    assert memory_mib(parent.pid) < 64


def test_a_process_that_is_gone_has_no_figures() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    assert all(math.isnan(read(gone.pid)) for read in (cpu_seconds, memory_mib, peak_mib))


@contextmanager
def waiting() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that waits for a line."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as running:
        yield running
        running.kill()


def test_who_starts_something_on_a_core_stays_where_they_are(cores: tuple[int, int]) -> None:
    mine, theirs = cores
    with pinned(mine):
        with started_on(theirs, waiting()) as other:
            assert os.sched_getaffinity(other.pid) == {theirs}
            assert os.sched_getaffinity(0) == {mine}
        assert os.sched_getaffinity(0) == {mine}


def test_what_is_helped_by_a_core_may_use_it_as_well(cores: tuple[int, int]) -> None:
    mine, theirs = cores
    with pinned(mine):
        with helped_by(theirs), waiting() as other:
            assert os.sched_getaffinity(other.pid) == {mine, theirs}
        assert os.sched_getaffinity(0) == {mine}
