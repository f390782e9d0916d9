"""A changed workspace goes live without a restart, on every worker that shares the store.

The worker that is asked loads and checks everything, swaps, and leaves word in the store; the others look
there several times a second and load the same. What can't be used changes nothing: the old one serves on.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import structlog

from feature_store.documents import WorkspaceError
from feature_store.store import CustomerStore, StoreUnavailable
from models.errors import ModelError
from service.observability.metrics import RELOADS, STORE_ERRORS

log = structlog.get_logger()

LOOK_EVERY = 0.25
"""Seconds between two looks for word of a change."""


class Reloader:
    """Reloads one worker; `load` does it, and raises what is wrong without having changed anything."""

    def __init__(self, load: Callable[[], Awaitable[str]]) -> None:
        self._load = load
        self._one_at_a_time = asyncio.Lock()
        self._seen: str | None = None
        self._watch: asyncio.Task[None] | None = None

    def start(self, store: CustomerStore, seen: str | None) -> None:
        """Look for word from now on. `seen` is the last one from before the workspace was loaded, so that
        none is missed in between."""
        self._seen = seen
        self._watch = asyncio.get_running_loop().create_task(self._look(store))

    async def stop(self) -> None:
        """Look no more."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})

    async def reload(self, store: CustomerStore) -> tuple[str, bool]:
        """Load afresh, then tell the other workers. Returns the version that serves, and whether they could
        be told.

        Raises:
            WorkspaceError, ModelError: everything that is wrong; what served before serves on.
        """
        version = await self._reload()
        seen, word = self._seen, uuid.uuid4().hex
        self._seen = word  # before it can be met in the store: it is no news here
        try:
            await store.announce(word)
        except StoreUnavailable as error:
            STORE_ERRORS.labels("announce").inc()
            log.warning("reload_not_announced", reason=str(error))
            self._seen = seen
            return version, False
        return version, True

    async def _reload(self) -> str:
        async with self._one_at_a_time:
            try:
                version = await self._load()
            except (WorkspaceError, ModelError) as error:
                RELOADS.labels("refused").inc()
                log.error("reload_refused", reason=str(error))
                raise
            RELOADS.labels("done").inc()
            log.info("reloaded", catalogue=version)
            return version

    async def _look(self, store: CustomerStore) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            word = await self._announced(store)
            if word is not None and word != self._seen:
                self._seen = word
                try:
                    await self._reload()
                except (WorkspaceError, ModelError):
                    continue  # logged and counted; the next word may be better
                except Exception:
                    log.exception("reload_failed")

    async def _announced(self, store: CustomerStore) -> str | None:
        """The last word, or what was seen before where the store is away."""
        try:
            return await store.announced()
        except StoreUnavailable:
            return self._seen
