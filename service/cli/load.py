"""`arbiter load`: put customers into the store."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from feature_store.embedded import EmbeddedStore
from feature_store.ingestion import LoadReport, load_customers
from feature_store.progress import Progress
from feature_store.store import CustomerStore, connect
from service.cli.console import ProgressDisplay, fail, out
from service.cli.errors import explained
from service.cli.options import RedisUrl, Workspace
from service.cli.serve import chosen_settings
from service.settings import Settings
from service.workspace.loading import load_workspace

BULK_TIMEOUT = 30.0
"""Seconds: a bulk write waits for the store rather than give up."""


def load(
    workspace: Workspace,
    customers: Annotated[Path, typer.Argument(help="customers.parquet, or a CSV file.", show_default=False)],
    redis_url: RedisUrl = None,
    strict: Annotated[bool, typer.Option("--strict", help="Load nothing if any row is bad.")] = False,
) -> None:
    """Load profiles and behaviour from a table. Without --redis-url into the store that `arbiter run` has
    started."""
    with explained():
        settings = chosen_settings(workspace=workspace, redis_url=redis_url)
        url = store_url(settings)
        with ProgressDisplay() as display:
            report = put_customers(settings, url, customers, strict=strict, progress=display.update)
        show_report(customers, report)
        if report.refused:
            raise SystemExit(1)


def store_folder(settings: Settings) -> Path:
    """Where the embedded store keeps its data."""
    return settings.data / "store"


def store_url(settings: Settings) -> str:
    """The store of the settings, or else the one that `arbiter run` has started."""
    if settings.redis_url:
        return settings.redis_url
    store = EmbeddedStore(store_folder(settings))
    if not store.socket.exists():
        fail(f"no store is running in {store.data_dir}: start `arbiter run`, or give --redis-url")
    return store.url


def put_customers(
    settings: Settings, url: str, path: Path, *, strict: bool, progress: Progress
) -> LoadReport:
    """Load a table of customers into the store at `url`."""

    async def put() -> LoadReport:
        store = CustomerStore(
            connect(url, timeout=BULK_TIMEOUT),
            load_workspace(settings.workspace).schema,
            customer_ttl=settings.customer_ttl_seconds,
        )
        try:
            await store.register_schema()
            return await load_customers(path, store.schema, store, strict=strict, progress=progress)
        finally:
            await store.close()

    return asyncio.run(put())


def show_report(path: Path, report: LoadReport) -> None:
    """Say what was loaded and how fast, and which rows were not."""
    rate = report.loaded / report.seconds if report.seconds else 0.0
    out.print(
        f"{path.name}: {report.loaded:,} customers loaded in {report.seconds:.1f} s ({rate:,.0f} a second)"
    )
    for error in report.errors:
        out.print(f"  {error}")
    if report.refused:
        out.print(f"{report.refused:,} of {report.rows:,} rows can't be loaded")
