"""Reading stored features for a batch, without ever waiting for a store that is known to be away."""

import asyncio
import time
from collections.abc import Sequence

import structlog

from feature_store.store import CustomerRows, CustomerStore, StoreUnavailable
from service.observability.metrics import STORE_ERRORS

log = structlog.get_logger()

MAX_OPEN_READS = 16
"""A store that hangs collects at most so many unanswered reads; then it counts as away until some return."""

WARN_EVERY = 10.0
"""Seconds between two warnings of features that can't be read."""


class FeatureReader:
    """Starts reads, and leaves the store alone for `retry_after` seconds when one has failed."""

    def __init__(self, retry_after: float) -> None:
        self._retry_after = retry_after
        self._away_until = 0.0
        self._warned_at = -WARN_EVERY
        self._open: set[asyncio.Task[CustomerRows | None]] = set()

    def start(
        self, store: CustomerStore, customer_keys: Sequence[str], also: Sequence[bytes] = ()
    ) -> "asyncio.Task[CustomerRows | None] | None":
        """A read in flight, whose result is None where it failed; None if the store is not to be asked
        now. `also` names further fields of the customers' hashes."""
        if time.monotonic() < self._away_until or len(self._open) >= MAX_OPEN_READS:
            return None
        task = asyncio.get_running_loop().create_task(self._read(store, customer_keys, also))
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        return task

    async def _read(
        self, store: CustomerStore, customer_keys: Sequence[str], also: Sequence[bytes]
    ) -> CustomerRows | None:
        try:
            rows = await store.read(customer_keys, time.time(), also)
        except StoreUnavailable as error:
            STORE_ERRORS.labels("read").inc()
            if time.monotonic() >= self._away_until:
                log.warning("store_unavailable", operation="read", reason=str(error))
            self._away_until = time.monotonic() + self._retry_after
            return None
        if rows.faults:
            STORE_ERRORS.labels("read").inc(len(rows.faults))
            self._warn(rows)
        return rows

    def _warn(self, rows: CustomerRows) -> None:
        """Log what could not be read, now and then: it may be so for every batch."""
        if time.monotonic() - self._warned_at >= WARN_EVERY:
            self._warned_at = time.monotonic()
            log.warning("features_incomplete", customers=int(rows.incomplete.sum()), reason=rows.faults[0])
