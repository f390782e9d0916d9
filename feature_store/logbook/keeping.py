"""A consumer that runs until it is told to stop, and keeps the files in order meanwhile."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import structlog

from feature_store.client import Client, StoreUnavailable, connect
from feature_store.decision_log import DECISION_LOG
from feature_store.erasures import Erasures
from feature_store.logbook.consumer import CLAIM_AFTER, Consumer
from feature_store.logbook.folder import BadLog, LogFolder
from feature_store.logbook.stream import backlog
from feature_store.logbook.upkeep import QUIET, Upkeep, compact, erase
from feature_store.outcomes import OUTCOME_LOG

log = structlog.get_logger()

EVERY = 5.0
"""Seconds between two looks at the streams: about how long a decision waits until it is in a file."""
UPKEEP_EVERY = 900.0
"""Seconds between two looks at the files."""
LATE = 3600.0
"""Seconds for which who was erased is looked for: a worker whose store was away may log something late."""
TIMEOUT = 30.0


async def keep_log(url: str, path: Path, stop: asyncio.Event) -> None:
    """Write what comes into the log at `path` until `stop`, and then what is still there. A store that is
    away and a disk that is full are waited for: nothing is acknowledged meanwhile."""
    client = connect(url, timeout=TIMEOUT)
    folder = LogFolder(path)
    folder.prepare()
    consumer, upkeep_at = Consumer(client, folder), 0.0
    try:
        while not stop.is_set():
            try:
                await consumer.drain()
            except (StoreUnavailable, OSError, BadLog) as error:
                log.warning("log_not_written", reason=str(error))
            if time.monotonic() >= upkeep_at:
                upkeep_at = time.monotonic() + UPKEEP_EVERY
                await _keep_up_or_say_why(client, folder)
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await stop.wait()
        await consumer.drain()
        await consumer.leave()
    finally:
        await client.close()


async def _keep_up_or_say_why(client: Client, folder: LogFolder) -> None:
    try:
        done = await keep_up(client, folder)
    except (StoreUnavailable, OSError, BadLog) as error:
        log.warning("log_not_kept_up", reason=str(error))
    else:
        for reason in done.damaged:
            log.warning("log_not_kept_up", reason=reason)


async def drain_log(url: str, path: Path, claim_after: float = CLAIM_AFTER) -> Consumer:
    """Write what is there, and return who did it.

    Raises:
        StoreUnavailable, OSError: the store or the disk did not take part; the rest is there still.
    """
    client = connect(url, timeout=TIMEOUT)
    folder = LogFolder(path)
    folder.prepare()
    try:
        consumer = Consumer(client, folder, claim_after)
        await consumer.drain()
        await consumer.leave()
        return consumer
    finally:
        await client.close()


async def keep_up(client: Client, folder: LogFolder, quiet: float = QUIET) -> Upkeep:
    """Merge the files of past hours, and take erased customers out of all of them.

    Raises:
        StoreUnavailable: who was erased is not known. BadLog: a folder is no hour's.
    """
    done = Upkeep()
    with folder.keeping_up() as alone:
        if not alone:
            done.postponed = True
            return done
        await _erase(client, folder, done)
        compact(folder, time.time(), quiet, done)
    return done


async def _erase(client: Client, folder: LogFolder, done: Upkeep) -> None:
    """Take erased customers out, and forget that they were, when nothing of theirs can come any more."""
    erasures = Erasures(client)
    due = await erasures.all()
    if due:
        erase(folder, due, done)
        if not (done.postponed or done.damaged):
            waiting = [await backlog(client, key) for key in (DECISION_LOG, OUTCOME_LOG)]
            before = min([time.time() - LATE, *(one.oldest for one in waiting if one.oldest is not None)])
            await erasures.forget({id_: moment for id_, moment in due.items() if moment < before})
