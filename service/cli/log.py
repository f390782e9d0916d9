"""`arbiter log`: from the streams of decisions and outcomes into Parquet."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from feature_store.client import connect
from feature_store.logbook.folder import BadLog, LogFolder
from feature_store.logbook.keeping import TIMEOUT, drain_log, keep_log, keep_up
from feature_store.logbook.tables import TABLES
from feature_store.logbook.upkeep import Upkeep
from service.cli.console import err, out
from service.cli.errors import explained
from service.cli.load import store_url
from service.cli.options import RedisUrl
from service.cli.serve import chosen_settings
from service.observability import logging
from service.settings import Settings

LOOK_AFTER_CONSUMER = 1.0
"""Seconds between two looks whether the consumer beside the service still runs."""


def log(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Where the log lies.", show_default="log/ in ARBITER_DATA"),
    ] = None,
    redis_url: RedisUrl = None,
    once: Annotated[bool, typer.Option("--once", help="Write what is there, and end.")] = False,
    compact: Annotated[
        bool,
        typer.Option(
            "--compact",
            help="Merge the files of past hours, take erased customers out of all of them, and end.",
        ),
    ] = False,
) -> None:
    """Write decisions and outcomes from the store into Parquet, until stopped. Several may share the work."""
    with explained():
        settings = chosen_settings(redis_url=redis_url)
        logging.configure(settings.log_level)
        url, place = store_url(settings), folder or log_folder(settings)
        if once:
            consumer = asyncio.run(drain_log(url, place))
            written = ", ".join(f"{consumer.written[name]:,} {name}" for name in TABLES)
            out.print(f"{place}: {written} written")
            if consumer.unreadable:
                out.print(f"{consumer.unreadable:,} entries can't be read, and stay in the store")
        if compact:
            done = asyncio.run(_upkeep(url, place))
            out.print(f"{place}: {_summary(done)}")
            if done.damaged:
                raise BadLog("\n".join(done.damaged))
        if not (once or compact):
            err.print(f"Writing the log into {place}")
            asyncio.run(_until_stopped(url, place))


def log_folder(settings: Settings) -> Path:
    """Where the log lies, if nothing else is said."""
    return settings.data / "log"


async def _until_stopped(url: str, place: Path) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await keep_log(url, place, stop)


async def _upkeep(url: str, place: Path) -> Upkeep:
    client, folder = connect(url, timeout=TIMEOUT), LogFolder(place)
    folder.prepare()
    try:
        return await keep_up(client, folder, quiet=0.0)
    finally:
        await client.close()


def _summary(done: Upkeep) -> str:
    parts = [f"{done.merged:,} files merged into {done.into:,}"]
    if done.duplicates:
        parts.append(f"{done.duplicates:,} rows that were there twice left out")
    if done.erased:
        parts.append(f"{done.erased:,} rows of erased customers taken out")
    if done.postponed:
        parts.append("some files wait, because the log is being read or rewritten")
    return ", ".join(parts)


@contextmanager
def consumer_beside(settings: Settings) -> Iterator[None]:
    """A consumer in a process of its own, for as long as the context lasts; it is started again when it ends
    by itself. At the end it writes what is still there."""
    over = threading.Event()
    keeper = threading.Thread(target=_keep_consuming, args=(settings, over), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


def _keep_consuming(settings: Settings, over: threading.Event) -> None:
    process = _start(settings)
    while not over.wait(LOOK_AFTER_CONSUMER):
        if process.poll() is not None:
            err.print(f"The log's consumer has ended with status {process.returncode}; starting it again")
            process = _start(settings)
    process.communicate()  # closes its standard input, and waits


def _start(settings: Settings) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "feature_store.logbook", str(log_folder(settings))]
    environment = os.environ | {"ARBITER_REDIS_URL": settings.redis_url or ""}
    # in a group of its own, or a terminal's Ctrl-C would meet it while it loads, too
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, process_group=0)
