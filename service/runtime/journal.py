"""The journal of a worker: its decisions on their way into the log, written in the background."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from feature_store.decision_log import DecisionLog
from feature_store.schema import FeatureSchema
from feature_store.store import StoreUnavailable
from service.observability import metrics
from service.runtime.decision import Decision
from service.runtime.entries import entry_of, grouped
from service.runtime.soon import Soon

log = structlog.get_logger()

MOST_BYTES = 64_000_000
"""Of entries that may wait to be written, some hundred thousand decisions; what comes on top is lost, and
counted."""
MOST_AT_ONCE = 1_000_000
"""Bytes of one round trip, unless a single entry has more: the server answers nobody meanwhile."""
AT_ONCE = 64
"""Decisions that are packed together, whatever batches they were made in: what each pack takes beside its
decisions is as much as thirty of them."""
WITHIN = 0.2
"""Seconds after which they are packed, however few they are."""
PAUSE = 1.0
"""Seconds between two looks at what is waiting: a store that syncs each write to its disk answers nobody
meanwhile, for some 5 ms, so five times a second would be seen in one request of forty."""
RETRY = 1.0
"""Seconds until a store that was away is asked again."""
WARN_EVERY = 10.0


@dataclass(frozen=True, slots=True)
class _Entry:
    decisions: int
    packed: bytes
    schema: FeatureSchema


class Journal:
    """Writes decisions to the log, batch by batch. No decision waits for it; a store that is away finds what
    it has missed when it is back, as far as there is room for it."""

    def __init__(self, log: DecisionLog) -> None:
        self._log = log
        self._open: list[Decision] = []
        self._soon = Soon(self._pack, at_once=AT_ONCE, within=WITHIN)
        self._waiting: deque[_Entry] = deque()
        self._bytes = 0
        self._work: asyncio.Task[None] | None = None
        self._leaving = asyncio.Event()
        self._warned_at = -WARN_EVERY

    def keep(self, decisions: Sequence[Decision]) -> None:
        """Log decisions soon."""
        self._open += decisions
        metrics.LOG_BACKLOG.inc(len(decisions))
        self._soon.add(len(decisions))

    async def stop(self) -> None:
        """Write what is waiting, and let go of the store; what it does not take now is lost, and counted."""
        self._soon.now()
        self._leaving.set()
        if self._work is not None:
            await self._work
        lost = sum(entry.decisions for entry in self._waiting)
        if lost:
            metrics.DECISIONS_UNLOGGED.inc(lost)
            metrics.LOG_BACKLOG.dec(lost)
            log.warning("decisions_unlogged", decisions=lost)
        self._waiting.clear()
        await self._log.close()

    def _pack(self) -> None:
        """Pack what is kept and not packed yet, an entry for each snapshot."""
        decisions, self._open = self._open, []
        for found in grouped(decisions, by=lambda decision: decision.snapshot):
            entry = _Entry(len(found), entry_of(found).pack(), found[0].snapshot.schema)
            if self._bytes + len(entry.packed) > MOST_BYTES:
                metrics.DECISIONS_UNLOGGED.inc(entry.decisions)
                metrics.LOG_BACKLOG.dec(entry.decisions)
                continue
            self._waiting.append(entry)
            self._bytes += len(entry.packed)
        if self._waiting and self._work is None:
            self._work = asyncio.get_running_loop().create_task(self._write_on())

    async def _write_on(self) -> None:
        pause = PAUSE
        while self._waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._leaving.wait()
            written = await self._write()
            if not written and self._leaving.is_set():
                break
            pause = PAUSE if written else RETRY
        self._work = None

    async def _write(self) -> bool:
        """Write what is waiting; whether the store has taken it."""
        while self._waiting:
            some = self._next()
            try:
                await self._log.write(
                    [entry.packed for entry in some],
                    {entry.schema.fingerprint: entry.schema.packed for entry in some},
                )
            except StoreUnavailable as error:
                metrics.STORE_ERRORS.labels("log_decisions").inc()
                self._warn(str(error))
                return False
            for entry in some:
                self._waiting.popleft()
                self._bytes -= len(entry.packed)
                metrics.LOG_BACKLOG.dec(entry.decisions)
        return True

    def _next(self) -> list[_Entry]:
        """What goes into one round trip: at least one entry."""
        some: list[_Entry] = []
        size = 0
        for entry in self._waiting:
            size += len(entry.packed)
            if some and size > MOST_AT_ONCE:
                break
            some.append(entry)
        return some

    def _warn(self, reason: str) -> None:
        """Say that decisions wait to be logged, now and then: it may be so for every write."""
        if time.monotonic() - self._warned_at >= WARN_EVERY:
            self._warned_at = time.monotonic()
            log.warning("store_unavailable", operation="log_decisions", reason=reason)
