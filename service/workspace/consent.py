"""Consent from policies.yaml: which purposes need it, and where."""

from collections.abc import Collection

import numpy as np

from feature_store.consents import DENIED, GRANTED
from feature_store.documents import did_you_mean
from service.decisioning.consent import Imported, Purpose
from service.workspace.rules import RuleReader
from service.workspace.shapes.policies import PurposeDocument


def read_purposes(reader: RuleReader) -> tuple[Purpose, ...]:
    """The declared purposes as columns; what is wrong with them is among the reader's problems."""
    return tuple(_purpose(reader, name, entry) for name, entry in reader.policies.consent.items())


def _purpose(reader: RuleReader, name: str, entry: PurposeDocument) -> Purpose:
    catalogue, loc = reader.catalogue, ("consent", name)
    _check(reader, (*loc, "channels"), entry.channels, catalogue.channel_index, "channel")
    _check(reader, (*loc, "issues"), entry.issues or [], reader.groups, "issue")
    for channel in entry.imported:
        if channel not in entry.channels:
            message = (
                f"'{channel}' is not among the purpose's channels{did_you_mean(channel, entry.channels)}"
            )
            reader.problems.append(reader.document.problem((*loc, "imported", channel), message))
    channels = np.array([channel.name in entry.channels for channel in catalogue.channels], dtype=np.bool_)
    issues = entry.issues or list(reader.groups)
    actions = np.array([action.issue in issues for action in catalogue.actions], dtype=np.bool_)
    return Purpose(
        name=name,
        meaning=entry.description or f"the customer has not agreed to '{name}' in the channel",
        needs=channels[:, None] & actions,
        unknown=GRANTED if entry.unknown == "granted" else DENIED,
        imported=tuple(_imported(reader, name, entry, channel.name) for channel in catalogue.channels),
    )


def _imported(reader: RuleReader, name: str, entry: PurposeDocument, channel: str) -> Imported | None:
    source = entry.imported.get(channel)
    if source is None:
        return None
    compiled = reader.compiled(reader.document, ("consent", name, "imported", channel), source)
    if compiled is None:
        return None
    granted, denied = reader.builder.true(compiled.node), reader.builder.false(compiled.node)
    return Imported(granted, denied, compiled.features)


def _check(
    reader: RuleReader, loc: tuple[str, ...], names: list[str], known: Collection[str], kind: str
) -> None:
    for index, name in enumerate(names):
        if name not in known:
            message = f"the catalogue has no {kind} '{name}'{did_you_mean(name, known)}"
            reader.problems.append(reader.document.problem((*loc, index), message))
