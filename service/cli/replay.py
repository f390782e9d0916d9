"""`arbiter replay`: make a recorded decision again, and see whether it is the same."""

import asyncio
import json
from typing import Annotated

import msgspec
import typer

from feature_store.client import connect
from feature_store.decisions import DecisionRecords
from models.registry import Registry
from service.api.encoding import DecisionEncoder
from service.cli.console import fail, out, table
from service.cli.errors import explained
from service.cli.load import store_url
from service.cli.options import RedisUrl, WorkspaceOption
from service.cli.serve import chosen_settings
from service.runtime.recording import repeatable
from service.runtime.replaying import NotReplayable, decide_again, differences, unpacked
from service.runtime.tokens import LEAST_SECRET, Signer
from service.settings import Settings
from service.version import SOFTWARE

LONGEST_SHOWN = 60
"""Characters of a field that the table shows."""


def replay(
    decision_id: Annotated[str, typer.Argument(help="The decision_id of an answer.", show_default=False)],
    workspace: WorkspaceOption = None,
    redis_url: RedisUrl = None,
) -> None:
    """Decide a recorded decision again, with the files and models of then: exit status 1 if it differs."""
    with explained():
        settings = chosen_settings(workspace=workspace, redis_url=redis_url)
        found = asyncio.run(_find(settings, store_url(settings), decision_id))
        if isinstance(found, str):
            fail(f"{decision_id}: {found}")
        try:
            record, kept = unpacked(*found)
            snapshot = kept.snapshot(Registry(settings.workspace / "models"))
            again = decide_again(decision_id, record, snapshot)
        except NotReplayable as error:
            fail(f"{decision_id}: {error}")
    encoder = DecisionEncoder(Signer(bytes(LEAST_SECRET)), 0.0)
    now = repeatable(json.loads(encoder.encode(again)))
    changed = list(differences(json.loads(record.answer), now))
    if not changed:
        out.print(f"{decision_id}: the same, field by field (snapshot {record.snapshot})")
        return
    rows = [(change.path, _shown(change.then), _shown(change.now)) for change in changed]
    table(f"{decision_id}: {len(changed)} fields differ", ("field", "then", "now"), rows)
    if record.software != SOFTWARE:
        out.print(f"It was decided by version {record.software} of the software; this is {SOFTWARE}.")
    raise SystemExit(1)


async def _find(settings: Settings, url: str, decision_id: str) -> tuple[bytes, bytes] | str:
    """The record of a decision and its snapshot, or why there is none."""
    client = connect(url)
    try:
        records = DecisionRecords(client, settings.replay_seconds)
        record = await records.find(decision_id)
        if record is None:
            return (
                "is not recorded: it is older than ARBITER_REPLAY_DAYS, a dry run, unknown, "
                "or not in the share ARBITER_REPLAY_SHARE"
            )
        version = msgspec.msgpack.decode(record)["snapshot"]
        snapshot = await records.find_snapshot(version)
        return (record, snapshot) if snapshot is not None else f"its snapshot {version} is not kept any more"
    finally:
        await client.close()


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
