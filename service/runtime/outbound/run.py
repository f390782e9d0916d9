"""A run: a reader, a worker for every core, and the parts that they leave."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker

from feature_store.columns import TableError
from feature_store.documents import WorkspaceError
from feature_store.progress import Progress, silent
from feature_store.tables import Table
from models.errors import ModelError
from service.runtime.outbound.chunks import Chunk, chunks
from service.runtime.outbound.errors import OutboundError
from service.runtime.outbound.order import Means, Order
from service.runtime.outbound.parts import Parts
from service.runtime.outbound.tally import Tally
from service.runtime.outbound.worker import Worker

AHEAD = 2
"""Chunks for each worker that are read at a time: one is decided for, and the next is there already."""


def run(
    order: Order,
    means: Means,
    table: Table,
    columns: Sequence[str],
    parts: Parts,
    workers: int,
    progress: Progress = silent,
) -> Tally:
    """Decide for all who are in the table and not done yet, and make one file of it.

    Raises:
        TableError: the table can't be read to its end.
        OutboundError: it is empty, or a worker could not go on.
    """
    tally = Tally()
    done = parts.done()
    for earlier in done.values():
        tally.add(earlier)
    progress("deciding", tally.rows, table.rows)
    first = next(number for number in range(len(done) + 1) if number not in done)
    todo = (chunk for chunk in chunks(table, order.chunk, columns, first) if chunk.number not in done)
    if table.rows is not None:  # no more of them than have something to do
        workers = max(1, min(workers, -(-table.rows // order.chunk) - len(done)))
    with _pool(order, means, parts, workers) as pool:
        for found in _decided(pool, todo, AHEAD * workers):
            tally.add(found)
            progress("deciding", tally.rows, table.rows)
    if not tally.customers:
        raise OutboundError(f"{order.customers} has no customers")
    parts.join(order, progress)
    return tally


def _decided(pool: ProcessPoolExecutor, todo: Iterator[Chunk], ahead: int) -> Iterator[Tally]:
    """What comes of each chunk, as soon as it is done; so many of them are in memory at a time."""
    going: set[Future[Tally]] = set()
    for chunk in todo:
        with _without_interrupts():
            going.add(pool.submit(_work, chunk))
        if len(going) >= ahead:
            finished, going = wait(going, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in finished)
    while going:
        finished, going = wait(going, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in finished)


@contextmanager
def _pool(order: Order, means: Means, parts: Parts, workers: int) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes: one that was forked would inherit locks that threads of this one may hold."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(order, means, parts))
    try:
        yield pool
    except BrokenProcessPool:
        raise OutboundError(
            "a worker was killed, perhaps for want of memory; the same command goes on from here"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ctrl-C reaches all processes of a terminal, and the run decides what it means: a process that is
    started here never hears of it, from its first moment on. This one does, a little later."""
    resource_tracker.ensure_running()  # would be started by the first process, and let interrupts in again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Bench:
    """What a worker process has at hand. It is loaded with the first chunk, whose caller hears of faults."""

    def __init__(self, order: Order, means: Means, parts: Parts) -> None:
        self._order, self._means, self._parts = order, means, parts
        self._worker: Worker | None = None

    def work(self, chunk: Chunk) -> Tally:
        if self._worker is None:
            self._worker = Worker(self._order, self._means)
        answers, tally = self._worker.decide(chunk)
        self._parts.keep(chunk.number, answers, tally)
        return tally


_benches: list[_Bench] = []


def _begin(order: Order, means: Means, parts: Parts) -> None:
    """Make a process a worker that ends when the one that started it does, however that ends."""
    threading.Thread(target=_end_after_parent, daemon=True).start()
    _benches.append(_Bench(order, means, parts))


def _end_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(chunk: Chunk) -> Tally:
    try:
        return _benches[0].work(chunk)
    except (TableError, WorkspaceError, ModelError) as error:  # they don't survive the way to another process
        raise OutboundError(str(error)) from error
