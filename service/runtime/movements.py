"""Movements between segments: noticed where a decision finds a customer in another one than the last, kept
and counted in the background."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import structlog

from feature_store.segments import FIELD, Change, Movement, SegmentCodes
from feature_store.store import CustomerRows, CustomerStore, StoreUnavailable
from service import clock
from service.observability import metrics
from service.runtime.decision import Decision
from service.runtime.live import Live

log = structlog.get_logger()

MOST_WAITING = 10_000
"""Customers whose segments wait to be kept. Who finds no room is noticed at their next decision."""
MOST_AT_ONCE = 500
PAUSE = 1.0
"""Seconds between two round trips: nobody waits for them."""


class Movements:
    """Keeps the segments of customers. Two workers that see the same movement keep and count it once: only
    who finds in the store what both have read has moved the customer."""

    def __init__(self) -> None:
        self._waiting: dict[str, Change] = {}
        self._unlogged: deque[Movement] = deque(maxlen=MOST_WAITING)
        self._store: CustomerStore | None = None
        self._segments = SegmentCodes((), ())
        self._work: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    def note(self, live: Live, real: Sequence[Decision], rows: CustomerRows) -> None:
        """Look at decisions (no dry runs) and what was read for each. Only customers of whom all was known
        are looked at: others may seem to be where they are not."""
        if not live.segments:
            return
        self._store, self._segments = live.store, live.segments
        kept = rows.also[FIELD]
        moments = zip(real, kept, rows.known.tolist(), self._records(real), strict=True)
        for decision, stored, known, after in moments:
            before = stored or b""
            if before == after or decision.degraded or not known:
                continue
            if len(self._waiting) < MOST_WAITING:
                key = decision.request.customer_key
                self._waiting[key] = Change(key, before, after)
        if self._waiting and (self._work is None or self._work.done()):
            self._work = asyncio.get_running_loop().create_task(self._write_all())

    async def drain(self) -> None:
        """Keep what is waiting."""
        self._hurry.set()
        if self._work is not None:
            await self._work

    def _records(self, real: Sequence[Decision]) -> list[bytes]:
        """The segments of each decision; those that were decided together are encoded together."""
        batches = {id(decision.decisions): decision.decisions.batch for decision in real}
        found = {number: self._segments.records(batch.X) for number, batch in batches.items()}
        return [found[id(decision.decisions)][decision.row] for decision in real]

    async def _write_all(self) -> None:
        while self._waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE):
                    await self._hurry.wait()
            some = list(self._waiting.values())[:MOST_AT_ONCE]
            for change in some:
                del self._waiting[change.customer_key]
            await self._write(some)

    async def _write(self, changes: Sequence[Change]) -> None:
        """Keep some segments; those that a store which is away has not taken are noticed again when their
        customer comes again. What was moved is logged now or with the next ones."""
        if self._store is None:
            return
        try:
            now = clock.now()
            for change in await self._store.move_segments(changes):
                for movement in self._segments.movements(change, now):
                    labels = movement.segment, movement.before, movement.after
                    metrics.SEGMENT_MOVEMENTS.labels(*labels).inc()
                    self._unlogged.append(movement)
            if self._unlogged:
                await self._store.log_movements(self._unlogged)
                self._unlogged.clear()
        except StoreUnavailable as error:
            metrics.STORE_ERRORS.labels("move_segments").inc()
            log.warning("store_unavailable", operation="move_segments", reason=str(error))
