"""`arbiter run`: an embedded store, a demo population, trained models and the service, all in one."""

import asyncio
import json
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import pyarrow.parquet as pq
import typer

from feature_store.embedded import EmbeddedStore, EmbeddedStoreError
from feature_store.progress import Progress
from feature_store.schema import FeatureType, Source
from feature_store.store import connect
from models.workshop import train_workspace
from service.cli.console import ProgressDisplay, err, fail, out
from service.cli.demo import find_data
from service.cli.errors import explained
from service.cli.load import BULK_TIMEOUT, put_customers, show_report, store_folder
from service.cli.log import consumer_beside
from service.cli.options import Host, Port, RedisUrl, Workers
from service.cli.serve import base_url, check_address, chosen_settings, prepare, start
from service.cli.train import show_reports
from service.settings import Settings
from service.workspace.loading import Workspace, load_workspace

POPULATION = "arb:population"
"""The store's key that says which population was loaded last."""
LOOK_AFTER_STORE = 1.0
"""Seconds between two looks whether the store still runs."""


def run(
    workspace: Annotated[
        Path | None,
        typer.Argument(help="A workspace folder.", show_default="ARBITER_WORKSPACE, or examples/telco"),
    ] = None,
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    redis_url: RedisUrl = None,
) -> None:
    """Set up everything and serve: store, demo customers, models. Ctrl-C stops all of it; the data stays."""
    began = time.perf_counter()
    with explained(), _stopped_by_signals() as check_signals:
        settings = chosen_settings(
            workspace=workspace,
            host=host,
            port=port,
            workers=workers,
            redis_url=redis_url,
            replay_share=None if "ARBITER_REPLAY_SHARE" in os.environ else 1.0,
        )
        check_address(settings)
        _check_data_folder(settings.data)
        checked = load_workspace(settings.workspace)
        try:
            with _store(settings) as url:
                settings = settings.model_copy(update={"redis_url": url})
                with ProgressDisplay() as display:
                    data = find_data(settings.workspace, settings.data, display.update, out.print)
                    _train_if_needed(checked, data, display.update)
                    load_population(settings, checked, data / "customers.parquet", display.update)
                prepare(settings)
                check_signals()
                with consumer_beside(settings):
                    start(settings, announce=lambda: _announce(settings, checked, data, began))
        except KeyboardInterrupt:
            pass
        out.print("Stopped. The data stays in " + str(settings.data))


@contextmanager
def _stopped_by_signals() -> Iterator[Callable[[], None]]:
    """SIGTERM during the set-up stops what was started, like Ctrl-C. While serving, uvicorn handles both.

    Yields a check that raises KeyboardInterrupt if there was a signal: a library may have kept it to itself.
    """
    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    def unraisable(what: "sys.UnraisableHookArgs") -> None:
        if what.exc_type is not KeyboardInterrupt:  # that one came where nobody could pass it on, and is kept
            sys.__unraisablehook__(what)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    sys.unraisablehook = unraisable
    try:
        yield check
    finally:
        sys.unraisablehook = sys.__unraisablehook__
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_data_folder(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True)
        probe = data / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        fail(f"Cannot write to the data folder {data}: {error.strerror}. Set ARBITER_DATA to another folder.")


@contextmanager
def _store(settings: Settings) -> Iterator[str]:
    """The URL of the store: the one in the settings, or an embedded one for as long as the context lasts."""
    if settings.redis_url:
        out.print(f"Store: {_without_password(settings.redis_url)}")
        yield settings.redis_url
        return
    store, over = EmbeddedStore(store_folder(settings)), threading.Event()
    store.start()
    keeper = threading.Thread(target=_keep_running, args=(store, over), daemon=True)
    keeper.start()
    try:
        out.print(f"Store: embedded, data in {store_folder(settings)}")
        yield store.url
    finally:
        over.set()
        keeper.join()
        store.stop()


def _keep_running(store: EmbeddedStore, over: threading.Event) -> None:
    """Start the store again when it has ended by itself, until `over`: what it has acknowledged is on its
    disk."""
    while not over.wait(LOOK_AFTER_STORE):
        if store.running:
            continue
        err.print("The store has ended; starting it again")
        try:
            store.stop()  # lets go of its folder
            store.start()
        except EmbeddedStoreError as error:
            err.print(f"The store can't be started again, stopping: {error}", markup=False)
            os.kill(os.getpid(), signal.SIGTERM)
            return


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _train_if_needed(workspace: Workspace, data: Path, progress: Progress) -> None:
    """Train all models if one that is used has no version yet. One that is there but damaged is not
    papered over: the service then says what is wrong with it."""
    if workspace.models <= set(workspace.registry.names()):
        return
    out.print(f"Training the models of {workspace.folder}")
    reports = train_workspace(
        workspace.specs,
        workspace.schema,
        workspace.action_models,
        data,
        workspace.registry,
        progress=progress,
        derivations=workspace.derivations,
    )
    show_reports(reports)


def load_population(settings: Settings, workspace: Workspace, customers: Path, progress: Progress) -> None:
    """Load the population unless this very file, under this schema, is what was loaded last: the customers of
    two workspaces may have the same ids, and then those of the last one are in the store."""
    url = settings.redis_url or ""
    stat = customers.stat()
    mark = f"{settings.workspace.resolve()}:{stat.st_size}:{stat.st_mtime_ns}:{workspace.schema.fingerprint}"
    if _command(url, "GET", POPULATION) == os.fsencode(mark):
        out.print(f"Customers: {pq.read_metadata(customers).num_rows:,}, found in the store")
        return
    _command(url, "DEL", POPULATION)  # whatever comes in between, half a population is none
    report = put_customers(settings, url, customers, strict=False, progress=progress)
    show_report(customers, report)
    _command(url, "SET", POPULATION, os.fsencode(mark))


def _command(url: str, *words: str | bytes) -> Any:
    async def send() -> Any:
        client = connect(url, timeout=BULK_TIMEOUT)
        try:
            return (await client.run([words]))[0]
        finally:
            await client.close()

    return asyncio.run(send())


def _announce(settings: Settings, workspace: Workspace, data: Path, began: float) -> None:
    url = base_url(settings)
    out.print(f"\nReady after {time.perf_counter() - began:.1f} s")
    out.print(f"  Decisions  {url}/v1/decisions\n  API        {url}/docs\n  Metrics    {url}/metrics")
    out.print("\nAsk for a decision (Ctrl-C stops the service):\n")
    body = json.dumps(_first_question(workspace, data / "customers.parquet"))
    out.print(f"curl -s {url}/v1/decisions -H 'content-type: application/json' -d {shlex.quote(body)}\n")


def _first_question(workspace: Workspace, customers: Path) -> dict[str, Any]:
    """A request about the first customer, in the first channel, with a value for each category of the
    context."""
    first = pq.ParquetFile(customers).iter_batches(batch_size=1, columns=["customer_id"])
    customer_id = next(batch.column(0)[0].as_py() for batch in first)
    context = {
        feature.name: feature.levels[0]
        for feature in workspace.schema.by_source(Source.CONTEXT)
        if feature.type is FeatureType.CATEGORY
    }
    return {"customer_id": customer_id, "channel": workspace.catalogue.channels[0].name, "context": context}
