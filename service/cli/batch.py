"""`arbiter batch`: outbound, decide for a whole table of customers."""

import os
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from feature_store.columns import columns_from_arrow
from feature_store.documents import did_you_mean
from feature_store.feature import epoch_seconds
from feature_store.ingestion import text_column
from feature_store.tables import Table, open_table
from service.cli.console import ProgressDisplay, err, fail, out, table
from service.cli.errors import explained
from service.cli.load import store_url
from service.cli.options import RedisUrl, Workspace, context_values
from service.cli.serve import chosen_settings
from service.decisioning.snapshot import Snapshot
from service.runtime.outbound.chunks import chunk_rows
from service.runtime.outbound.customers import KEYS, read_sources
from service.runtime.outbound.order import From, Means, Order
from service.runtime.outbound.parts import Parts
from service.runtime.outbound.run import run
from service.runtime.outbound.tally import Tally
from service.runtime.population import context_row
from service.runtime.tokens import kept_secret
from service.settings import Settings
from service.version import SOFTWARE
from service.workspace.loading import load_workspace

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
MOST_SHOWN = 20
"""Actions and reasons that are shown at the end."""


def batch(
    workspace: Workspace,
    customers: Annotated[Path, typer.Argument(help="customers.parquet, or a CSV file.", show_default=False)],
    result: Annotated[
        Path, typer.Argument(metavar="OUT", help="The Parquet file to write.", show_default=False)
    ],
    channel: Annotated[
        str | None,
        typer.Option(help="The channel that asks.", show_default="the first outbound one, or the first"),
    ] = None,
    placement: Annotated[
        list[str] | None,
        typer.Option(help="A placement to fill; as often as you like.", show_default="all of the channel's"),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="How many actions each placement is filled with.", show_default="its own"),
    ] = None,
    context: Annotated[
        list[str] | None,
        typer.Option(
            "--context",
            help="A context feature, KEY=VALUE, where the table has no value; as often as you like.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        From,
        typer.Option(
            help="The table has the features, or the store has them, with consents, contacts and promises."
        ),
    ] = From.FILE,
    at: Annotated[
        str | None, typer.Option(help="The time as of which is decided, ISO 8601.", show_default="now")
    ] = None,
    run_id: Annotated[
        str | None,
        typer.Option(
            "--id",
            help="Names the run and its decisions; chance falls the same way under the same name.",
            show_default="a new one",
        ),
    ] = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="Add a token to each offered action.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many processes decide.", show_default="one for each core")
    ] = None,
    redis_url: RedisUrl = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin afresh, whatever is there already.")
    ] = False,
) -> None:
    """Outbound: decide for all customers of a table. Goes on where an earlier run of the same command was
    stopped or killed."""
    with explained():
        settings = chosen_settings(workspace=workspace, redis_url=redis_url)
        people, parts = open_table(customers), Parts(result)
        workers = workers or _cores()
        snapshot = load_workspace(workspace).snapshot()
        order = Order(
            id=_name(run_id),
            at=time.time() if at is None else _moment(at),
            workspace=workspace.resolve(),
            customers=customers.resolve(),
            source=source,
            **_asked(snapshot, channel, placement, limit),
            context=_context(snapshot, context or []),
            token_seconds=settings.token_seconds if tokens else None,
            snapshot=snapshot.version,
            software=SOFTWARE,
            size=customers.stat().st_size,
            changed=customers.stat().st_mtime_ns,
            chunk=chunk_rows(people.rows, snapshot.schema.width, workers),
        )
        columns = _columns(people, snapshot, source)
        means = Means(
            secret=_secret(settings) if tokens else None,
            redis_url=store_url(settings) if source is From.STORE else None,
            customer_ttl=settings.customer_ttl_seconds,
        )
        with parts.held():
            if overwrite:
                parts.forget()
            order = _resumed(parts, order, {"id": run_id, "at": at})
            _decide(order, means, people, columns, parts, workers)


def _decide(
    order: Order, means: Means, people: Table, columns: Sequence[str], parts: Parts, workers: int
) -> None:
    started, before = time.perf_counter(), sum(tally.rows for tally in parts.done().values())
    try:
        with ProgressDisplay() as display:
            tally = run(order, means, people, columns, parts, workers, display.update)
    except KeyboardInterrupt:
        err.print(f"stopped: what is done is in {parts.folder}, and the same command goes on from there")
        raise SystemExit(130) from None
    _show(parts.out, tally, tally.rows - before, time.perf_counter() - started)
    if tally.refused:
        raise SystemExit(1)


def _asked(
    snapshot: Snapshot, channel: str | None, placements: Sequence[str] | None, limit: int | None
) -> dict[str, Any]:
    """The channel, and the placements with how many actions each."""
    catalogue = snapshot.catalogue
    outbound = [each.name for each in catalogue.channels if each.direction == "outbound"]
    name = channel or [*outbound, catalogue.channels[0].name][0]
    if name not in catalogue.channel_index:
        fail(f"there is no channel '{name}'{did_you_mean(name, catalogue.channel_index)}")
    known = {p.id: p for p in (catalogue.slots[slot].placement for slot in catalogue.channel_slots[name])}
    for wanted in placements or ():
        if wanted not in known:
            fail(f"channel '{name}' has no placement '{wanted}'{did_you_mean(wanted, known)}")
    limits = {each: limit or known[each].limit for each in known if not placements or each in placements}
    return {"channel": name, "limits": limits}


def _context(snapshot: Snapshot, given: Sequence[str]) -> dict[str, str]:
    values = context_values(given, snapshot.context_features)
    try:
        context_row(snapshot.schema, values)
    except ValueError as error:
        fail(str(error))
    return values


def _moment(text: str) -> float:
    try:
        return epoch_seconds(text)
    except ValueError as error:
        fail(f"--at {text}: {error}")


def _columns(people: Table, snapshot: Snapshot, source: From) -> list[str]:
    """The columns of the table that are needed; ends the command where one can't be what it is named."""
    if "customer_id" not in people.names:
        fail(f"there is no column 'customer_id'{did_you_mean('customer_id', people.names)}")
    sources = read_sources(source)
    features = {f.name for f in snapshot.schema.features if f.source in sources}
    columns = [name for name in people.names if name in features or name in KEYS]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        fail("\n".join(f"column '{name}' is there twice" for name in twice))
    nobody = people.schema.empty_table().select(columns)
    columns_from_arrow(nobody, snapshot.schema, sources)
    for name in KEYS:
        text_column(nobody, name)
    return columns


def _secret(settings: Settings) -> bytes:
    if settings.token_secret is not None:
        return settings.token_secret.get_secret_value().encode()
    return kept_secret(settings.data)


def _resumed(parts: Parts, order: Order, given: Mapping[str, str | None]) -> Order:
    """The order of the run that is to be gone on with, or this one, that is to be begun; ends the command
    where there is something else already."""
    if parts.out.exists():
        fail(f"{parts.out} is there already; --overwrite writes it anew")
    begun = parts.begun()
    if begun is None:
        parts.begin(order)
        return order
    kept = {name: getattr(begun, name) for name, value in given.items() if value is None}
    differences = begun.differences(replace(order, chunk=begun.chunk, **kept))
    if differences:
        fail(
            "\n".join(
                [f"{parts.folder} has an unfinished run of another order:"]
                + [f"  {difference}" for difference in differences]
                + ["finish that one, or begin afresh with --overwrite"]
            )
        )
    return begun


def _name(given: str | None) -> str:
    if given is not None and not NAME.fullmatch(given):
        fail(f"--id {given}: must be 1 to 64 letters, digits, '.', '_' and '-'")
    return given or uuid.uuid4().hex


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _show(result: Path, tally: Tally, rows: int, seconds: float) -> None:
    """Say what came of whom."""
    rate = f"{rows:,} of them in {seconds:.1f} s: {rows / seconds:,.0f} a second"
    out.print(f"{result}: {tally.customers:,} customers decided for ({rate})")
    out.print(f"{tally.answered:,} are offered something ({tally.answered / tally.customers:.1%})")
    _show_counts("\nwhat is offered", "action", tally.chosen)
    _show_counts("\nwhy placements stay empty", "reason", tally.empty)
    for feature, number in sorted(tally.unusable.items()):
        out.print(f"{feature}: {number:,} values can't be used and count as missing")
    for row, why in tally.refusals:
        out.print(f"  row {row}: {why}")
    if tally.refused:
        out.print(f"{tally.refused:,} rows can't be decided for")


def _show_counts(title: str, what: str, counts: Mapping[str, int]) -> None:
    """The most frequent first."""
    if counts:
        most = sorted(counts.items(), key=lambda count: (-count[1], count[0]))[:MOST_SHOWN]
        table(title, (what, "times"), [(name, f"{number:,}") for name, number in most])
