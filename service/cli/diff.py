"""`arbiter diff`: what a change of a workspace would change for its customers."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from feature_store.documents import did_you_mean
from feature_store.feature import iso_timestamp
from feature_store.tables import open_table
from service.cli.console import ProgressDisplay, fail, out, table
from service.cli.errors import explained
from service.cli.options import context_values
from service.decisioning.snapshot import Snapshot
from service.runtime.comparison import Comparison, compare
from service.runtime.population import Audience, context_row, customers, rows_at_a_time
from service.workspace.loading import Workspace, compile_snapshot, load_workspace

MOST_MOVES = 20
"""Changes from one action to another that are shown."""


def diff(
    old: Annotated[Path, typer.Argument(help="The workspace as it is.", show_default=False)],
    new: Annotated[Path, typer.Argument(help="The workspace as it would be.", show_default=False)],
    customers_file: Annotated[
        Path, typer.Option("--customers", help="customers.parquet, or a CSV file.", show_default=False)
    ],
    channel: Annotated[
        str | None, typer.Option(help="The channel that asks.", show_default="the first one of NEW")
    ] = None,
    context: Annotated[
        list[str] | None,
        typer.Option(
            "--context", help="A context feature, KEY=VALUE; as often as you like.", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Decide for all customers with two workspaces, and show who would get another action, and what that is
    worth. Nobody has a contact history here, and nobody takes part in experiments."""
    with explained(), ProgressDisplay() as display:
        snapshots = _snapshots(load_workspace(old), load_workspace(new))
        asked = _channel(snapshots, channel)
        now = time.time()
        known = {name for snapshot in snapshots for name in snapshot.context_features}
        given = context_values(context or [], known)
        before, after = (_audience(snapshot, asked, given, now) for snapshot in snapshots)
        rows = open_table(customers_file)
        found = Comparison()
        for found in compare(before, after, customers(rows, rows_at_a_time(snapshots))):
            display.update("deciding twice", found.customers, rows.rows)
    if not found.customers:
        fail(f"{customers_file} has no customers")
    if as_json:
        out.print(json.dumps(_document(found, asked, now), ensure_ascii=False, indent=2))
    else:
        _show(
            found,
            f"{old} → {new}: {found.customers:,} customers, channel {asked}, as of {iso_timestamp(int(now))}",
        )


def _snapshots(old: Workspace, new: Workspace) -> list[Snapshot]:
    """Each workspace with its own models, or with those of the old one where it has none yet."""
    registry = new.registry if new.registry.names() else old.registry
    return [old.snapshot(), compile_snapshot(new, new.load_models(registry))]


def _channel(snapshots: Sequence[Snapshot], wanted: str | None) -> str:
    channel = wanted or snapshots[1].catalogue.channels[0].name
    for snapshot in snapshots:
        known = snapshot.catalogue.channel_index
        if channel not in known:
            fail(f"there is no channel '{channel}' in both workspaces{did_you_mean(channel, known)}")
    return channel


def _audience(snapshot: Snapshot, channel: str, given: dict[str, str], now: float) -> Audience:
    try:
        return Audience(snapshot, channel, context_row(snapshot.schema, given), now)
    except ValueError as error:
        fail(str(error))


def _show(found: Comparison, title: str) -> None:
    out.print(title)
    out.print(f"{found.share_changed:.1%} of the customers would get another first action in some placement.")
    table(
        "\nexpected value (propensity x value, as the new workspace sees it) of 1,000 decisions",
        ("placement", "another action", "old", "new", "gain"),
        [
            *(
                (
                    name,
                    f"{change.share_changed:.1%}",
                    *_money(change.old_value, change.new_value, change.customers),
                )
                for name, change in found.placements.items()
            ),
            ("all", f"{found.share_changed:.1%}", *_money(*_totals(found), found.customers)),
        ],
    )
    gone = sum(change.by_old for change in found.placements.values())
    if gone:
        out.print(
            f"{gone:,} old choices are not in the new catalogue: they are taken as the old one sees them."
        )
    if found.changed:
        table(
            f"\nfrom which action to which (the {MOST_MOVES} most frequent changes)",
            ("placement", "old", "new", "customers", "share"),
            [
                (
                    placement,
                    was or "nothing",
                    becomes or "nothing",
                    f"{count:,}",
                    f"{count / found.customers:.1%}",
                )
                for placement, was, becomes, count in found.moves(MOST_MOVES)
            ],
        )
    moved = sorted(
        ((name, *reach) for name, reach in found.reach.items() if reach[0] != reach[1]),
        key=lambda entry: (-abs(entry[2] - entry[1]), entry[0]),
    )
    if moved:
        table(
            "\nreach: customers whose answer has the action",
            ("action", "old", "new", "change"),
            [(name, f"{was:,}", f"{becomes:,}", f"{becomes - was:+,}") for name, was, becomes in moved],
        )
    if found.unusable:
        out.print(
            f"\n{found.unusable:,} values can't be used by one of the workspaces and count as missing there."
        )


def _totals(found: Comparison) -> tuple[float, float]:
    changes = found.placements.values()
    return sum(change.old_value for change in changes), sum(change.new_value for change in changes)


def _money(old: float, new: float, customers: int) -> tuple[str, str, str]:
    old, new = 1_000 * old / customers, 1_000 * new / customers
    return f"{old:,.2f}", f"{new:,.2f}", f"{new - old:+,.2f}"


def _document(found: Comparison, channel: str, now: float) -> dict[str, Any]:
    return {
        "channel": channel,
        "decided_at": iso_timestamp(int(now)),
        "customers": found.customers,
        "share_changed": found.share_changed,
        "gain_per_1000": found.gain,
        "unusable_values": found.unusable,
        "placements": {
            name: {
                "share_changed": change.share_changed,
                "old_value_per_1000": 1_000 * change.old_value / change.customers,
                "new_value_per_1000": 1_000 * change.new_value / change.customers,
                "gain_per_1000": change.gain,
                "valued_by_old": change.by_old,
            }
            for name, change in found.placements.items()
        },
        "moves": [
            {"placement": placement, "old": was, "new": becomes, "customers": count}
            for placement, was, becomes, count in found.moves(MOST_MOVES)
        ],
        "reach": {name: {"old": was, "new": becomes} for name, (was, becomes) in found.reach.items()},
    }
