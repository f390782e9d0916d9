"""How much of the log waits in the store for a consumer, as metrics."""

import asyncio
import time

from feature_store.client import Client, StoreUnavailable
from feature_store.decision_log import DECISION_LOG
from feature_store.logbook.stream import backlog
from feature_store.outcomes import OUTCOME_LOG
from service.observability import metrics

LOOK_EVERY = 5.0
"""Seconds between two looks."""
STREAMS = {"decisions": DECISION_LOG, "outcomes": OUTCOME_LOG}


class BacklogWatch:
    """Looks at the streams now and then."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look from now on."""
        self._watch = asyncio.get_running_loop().create_task(self._look())

    async def stop(self) -> None:
        """Look no more."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})

    async def _look(self) -> None:
        while True:
            for name, key in STREAMS.items():
                try:
                    waiting = await backlog(self._client, key)
                except StoreUnavailable:
                    metrics.STORE_ERRORS.labels("log_backlog").inc()
                else:
                    age = 0.0 if waiting.oldest is None else max(time.time() - waiting.oldest, 0.0)
                    metrics.LOG_ENTRIES.labels(name).set(waiting.entries)
                    metrics.LOG_OLDEST_SECONDS.labels(name).set(age)
            await asyncio.sleep(LOOK_EVERY)
