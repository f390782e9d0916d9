"""A consumer beside a service, as a process of its own: `python -m feature_store.logbook FOLDER`.

The store is the one of `ARBITER_REDIS_URL`. It stops, when all is written, as soon as its standard input
ends, which happens however the process that holds the other end does; Ctrl-C is for that one.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

import structlog

from feature_store.logbook.keeping import keep_log

NICENESS = 10
"""Decisions come first."""


async def main() -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(sys.stdin, stop.set)
    await keep_log(os.environ["ARBITER_REDIS_URL"], Path(sys.argv[1]), stop)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main())
