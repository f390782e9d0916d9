"""A run of many processes: how much it holds at a time, and what it says when it can't go on."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pyarrow.parquet as pq
import pytest

from feature_store.tables import open_table
from service.runtime.outbound import run as running
from service.runtime.outbound.chunks import Chunk, chunks
from service.runtime.outbound.errors import OutboundError
from service.runtime.outbound.order import From, Means, Order
from service.runtime.outbound.parts import Parts
from service.runtime.outbound.tally import Tally
from service.workspace.loading import Workspace

CHUNK = 25


@pytest.fixture
def order(world: Workspace) -> Order:
    return Order(
        id="test",
        at=1_790_000_000.0,
        workspace=world.folder,
        customers=world.folder / "customers.parquet",
        source=From.FILE,
        channel="web",
        limits={"home_hero": 1},
        context={},
        token_seconds=None,
        snapshot=world.snapshot().version,
        software="test",
        size=0,
        changed=0,
        chunk=CHUNK,
    )


@pytest.fixture
def parts(tmp_path: Path, order: Order) -> Parts:
    parts = Parts(tmp_path / "out.parquet")
    parts.folder.mkdir()
    parts.begin(order)
    return parts


def work(order: Order, parts: Parts, workers: int = 1) -> Tally:
    table = open_table(order.customers)
    return running.run(order, Means(), table, table.names, parts, workers)


def test_an_order_is_read_as_it_was_written(order: Order, parts: Parts) -> None:
    assert parts.begun() == order
    assert order.differences(order) == []
    assert order.differences(replace(order, channel="email")) == ["channel: web, not email"]


def test_only_a_few_chunks_are_in_memory_however_long_the_table_is(order: Order, parts: Parts) -> None:
    taken, finished, most = 0, 0, 0

    def todo() -> Iterator[Chunk]:
        nonlocal taken, most
        table = open_table(order.customers)
        for chunk in chunks(table, CHUNK, table.names):
            taken += 1
            most = max(most, taken - finished)
            yield chunk

    with running._pool(order, Means(), parts, 2) as pool:
        for tally in running._decided(pool, todo(), 3):
            finished += 1
            assert tally.customers == CHUNK
    assert taken == finished == 400 // CHUNK
    assert most <= 3 + 1  # the one that has just been told of is not counted yet


def test_what_is_done_is_not_done_again_and_what_is_missing_is(order: Order, parts: Parts) -> None:
    work(order, parts)
    whole = pq.read_table(parts.out)
    again = Parts(parts.out.with_name("again.parquet"))
    again.folder.mkdir()
    again.begin(order)
    with running._pool(order, Means(), again, 1) as pool:
        table = open_table(order.customers)
        wanted = [chunk for chunk in chunks(table, CHUNK, table.names) if chunk.number in (0, 1, 5, 15)]
        list(running._decided(pool, iter(wanted), 2))
    made = {path: path.stat().st_ino for path in again.folder.glob("*.parquet")}
    seen = []

    def watch(what: str, done: int, total: int | None) -> None:
        seen.append({path: path.stat().st_ino for path in made})

    tally = running.run(order, Means(), table, table.names, again, 1, watch)
    assert len(made) == 4
    assert all(files == made for files in seen)
    assert tally.customers == 400
    assert pq.read_table(again.out).equals(whole)
    assert not again.folder.exists()


def test_a_run_whose_worker_is_killed_says_so_and_keeps_what_is_done(order: Order, parts: Parts) -> None:
    def killing(what: str, done: int, total: int | None) -> None:
        if done:
            for child in psutil.Process().children():
                if _is_worker(child):
                    child.send_signal(signal.SIGKILL)

    table = open_table(order.customers)
    with pytest.raises(OutboundError, match="a worker was killed"):
        running.run(order, Means(), table, table.names, parts, 1, killing)
    done = parts.done()
    assert 0 < len(done) < 400 // CHUNK
    assert work(order, parts).customers == 400


def test_a_workspace_that_has_changed_meanwhile_stops_the_run(order: Order, parts: Parts) -> None:
    with pytest.raises(OutboundError, match="has changed since the run began"):
        work(replace(order, snapshot="another"), parts)


def test_a_workspace_that_has_gone_meanwhile_stops_the_run(
    order: Order, parts: Parts, world: Workspace, tmp_path: Path
) -> None:
    shutil.copytree(world.folder, tmp_path / "gone")
    (tmp_path / "gone" / "channels.yaml").unlink()
    with pytest.raises(OutboundError, match=r"channels\.yaml"):
        work(replace(order, workspace=tmp_path / "gone"), parts)


def test_one_run_at_a_time_writes_a_file(parts: Parts) -> None:
    with parts.held(), pytest.raises(OutboundError, match="another run is writing"), Parts(parts.out).held():
        pass
    with Parts(parts.out).held():
        pass


def test_a_draft_of_a_killed_worker_is_no_part(order: Order, parts: Parts) -> None:
    (parts.folder / f"0000000.{os.getpid()}").write_bytes(b"PAR1")
    assert parts.done() == {}
    assert work(order, parts).customers == 400


def test_workers_end_with_the_run_that_started_them(order: Order, parts: Parts) -> None:
    before = set(psutil.Process().children())
    work(order, parts, workers=2)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _workers(before):
        time.sleep(0.05)
    assert not _workers(before)


def _workers(before: set[psutil.Process]) -> list[psutil.Process]:
    new = set(psutil.Process().children()) - before
    return [child for child in new if _is_worker(child)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # one of an earlier run may end meanwhile
        return False
