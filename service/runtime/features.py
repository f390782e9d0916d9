"""Reading stored features for a batch, without ever waiting for a store that is known to be away."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import structlog

from feature_store.contacts import Kept
from feature_store.event import Event
from feature_store.keys import ACCOUNT, account_key
from feature_store.store import NOTHING_FORESEEN, CustomerRows, CustomerStore, StoreUnavailable
from service import clock
from service.observability.metrics import STORE_ERRORS

log = structlog.get_logger()

MAX_OPEN_READS = 16
"""A store that hangs collects at most so many unanswered reads; then it counts as away until some return."""

WARN_EVERY = 10.0
"""Seconds between two warnings of features that can't be read."""

TURNS_TO_HEAR = 3
"""Of the event loop, until a reply that has come while it was busy is read and understood: its timers ring
before it looks at what has come."""

Read = asyncio.Task[CustomerRows | None]
Anything = TypeVar("Anything")


class FeatureReader:
    """Starts reads, and leaves the store alone for `retry_after` seconds when one has failed."""

    def __init__(self, retry_after: float) -> None:
        self._retry_after = retry_after
        self._away_until = 0.0
        self._warned_at = -WARN_EVERY
        self._open: set[Read] = set()

    def start(
        self,
        store: CustomerStore,
        customer_keys: Sequence[str],
        also: Sequence[bytes] = (),
        accounts: Sequence[str | None] | None = None,
        foreseen: Mapping[int, Sequence[Event]] = NOTHING_FORESEEN,
    ) -> Read | None:
        """A read in flight, whose result is None where it failed; None if the store is not to be asked
        now. `also` names further fields of the customers' hashes, and `foreseen` has by customer events that
        are to be seen though they are not stored. With `accounts` the contacts of accounts
        are read, too: of those that it names, else of those that are stored."""
        if time.monotonic() < self._away_until or len(self._open) >= MAX_OPEN_READS:
            return None
        task = asyncio.get_running_loop().create_task(
            self._read(store, customer_keys, also, accounts, foreseen)
        )
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        return task

    async def _read(
        self,
        store: CustomerStore,
        customer_keys: Sequence[str],
        also: Sequence[bytes],
        accounts: Sequence[str | None] | None,
        foreseen: Mapping[int, Sequence[Event]],
    ) -> CustomerRows | None:
        try:
            if accounts is None:
                rows = await store.read(customer_keys, clock.now(), also, foreseen)
            else:
                rows = await self._with_accounts(store, customer_keys, also, accounts, foreseen)
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

    async def _with_accounts(
        self,
        store: CustomerStore,
        customer_keys: Sequence[str],
        also: Sequence[bytes],
        named: Sequence[str | None],
        foreseen: Mapping[int, Sequence[Event]],
    ) -> CustomerRows:
        """The accounts that are named are read with the customers, those that only the store knows after
        them."""
        rows, contacts = await asyncio.gather(
            store.read(customer_keys, clock.now(), also, foreseen), _contacts(store, set(named))
        )
        stored = [account.decode() if account else None for account in rows.also[ACCOUNT]]
        ids = tuple(name or account for name, account in zip(named, stored, strict=True))
        contacts |= await _contacts(store, set(ids) - set(named))
        return replace(rows, account_ids=ids, accounts=tuple(map(contacts.get, ids)))

    def _warn(self, rows: CustomerRows) -> None:
        """Log what could not be read, now and then: it may be so for every batch."""
        if time.monotonic() - self._warned_at >= WARN_EVERY:
            self._warned_at = time.monotonic()
            log.warning("features_incomplete", customers=int(rows.incomplete.sum()), reason=rows.faults[0])


async def heard(read: "asyncio.Task[Anything]", until: float) -> bool:
    """Wait for a read, at most until then by `time.perf_counter`; whether it is there."""
    timeout = until - time.perf_counter()
    if timeout > 0 and not read.done():
        await asyncio.wait({read}, timeout=timeout)
    for _ in range(TURNS_TO_HEAR):
        if read.done():
            break
        await asyncio.sleep(0)
    return read.done()


async def _contacts(store: CustomerStore, account_ids: Iterable[str | None]) -> dict[str | None, Kept | None]:
    """What is kept of the contacts of accounts; nothing of those that could not be read."""
    ids = [account_id for account_id in account_ids if account_id]
    if not ids:
        return {}
    try:
        kept = await store.contacts.read([account_key(account_id) for account_id in ids])
    except StoreUnavailable:
        STORE_ERRORS.labels("read").inc()
        return {}
    return dict(zip(ids, kept, strict=True))
