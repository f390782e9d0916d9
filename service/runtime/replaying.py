"""Making a recorded decision again: with the files and the models of then, through the same `decide`."""

import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from models.registry import Registry
from service.decisioning.experiments import arm_of
from service.decisioning.pipeline import decide
from service.decisioning.snapshot import Snapshot
from service.runtime.chosen import Chosen
from service.runtime.decision import Decision
from service.runtime.recording import Record, unpack_batch
from service.runtime.requests import CheckedRequest, DecisionRequest, PlacementRequest
from service.workspace.archive import Archive
from service.workspace.loading import Workspace, load_workspace


class NotReplayable(Exception):
    """A decision that can't be made again, and why."""


class KeptSnapshot(msgspec.Struct, frozen=True):
    """What a snapshot is made of: the workspace's files, and which versions of its models."""

    archive: bytes
    models: Mapping[str, str]

    @classmethod
    def of(cls, workspace: Workspace, snapshot: Snapshot) -> "KeptSnapshot":
        """What is needed to compile this snapshot of the workspace again."""
        return cls(workspace.archive.packed(), snapshot.model_versions)

    def pack(self) -> bytes:
        """MessagePack."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def unpack(cls, packed: bytes) -> "KeptSnapshot":
        """What `pack` made.

        Raises:
            msgspec.DecodeError, msgspec.ValidationError: the bytes are none.
        """
        return msgspec.msgpack.decode(packed, type=cls)

    def snapshot(self, registry: Registry) -> Snapshot:
        """The snapshot as it was; its models come from the registry, which keeps every version.

        Raises:
            WorkspaceError: the files mean nothing to this version of the software.
            PreloadRefused: a model is no more in the registry.
        """
        with tempfile.TemporaryDirectory() as folder:
            Archive.unpacked(self.archive).write(Path(folder))
            workspace = load_workspace(Path(folder))
        return replace(workspace, folder=registry.folder.parent).snapshot(self.models)


def unpacked(record: bytes, snapshot: bytes) -> tuple[Record, KeptSnapshot]:
    """A record and its snapshot from what the store holds.

    Raises:
        NotReplayable: another version of the software wrote them in another form.
    """
    try:
        return Record.unpack(record), KeptSnapshot.unpack(snapshot)
    except (msgspec.DecodeError, zipfile.BadZipFile) as error:
        raise NotReplayable(f"the record can't be read by this version of the software: {error}") from error


def decide_again(decision_id: str, record: Record, snapshot: Snapshot) -> Decision:
    """The decision that the recorded inputs make now.

    Raises:
        NotReplayable: the record does not fit the snapshot.
    """
    try:
        batch = unpack_batch(record.batch)
        decisions = decide(snapshot, batch)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise NotReplayable(f"the record does not fit its snapshot: {error}") from error
    slots = snapshot.catalogue.slots
    placements = tuple(PlacementRequest(slots[slot].placement.id, limit) for slot, limit in record.slots)
    request = DecisionRequest(channel=record.channel, customer_id="", placements=placements)
    checked = CheckedRequest(int(batch.channel[0]), record.slots, warnings=record.warnings)
    arms = snapshot.experiments.arms(decisions.assigned, 0)
    return Decision(
        decision_id=decision_id,
        request=request,
        checked=checked,
        snapshot=snapshot,
        chosen=Chosen(decisions),
        row=0,
        known=record.known,
        degraded=record.degraded,
        decided_at=record.decided_at,
        features_seconds=0.0,
        scoring_seconds=0.0,
        total_seconds=0.0,
        experiments={**arms, **record.trials},
        arm=arm_of(arms),
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of an answer by its path, as it was and as it is now; None stands for nothing there."""

    path: str
    then: Any
    now: Any


def differences(then: Any, now: Any, path: str = "") -> Iterator[Difference]:
    """Every field in which two answers differ, in order."""
    if isinstance(then, dict) and isinstance(now, dict):
        for name in dict.fromkeys([*then, *now]):
            yield from differences(then.get(name), now.get(name), f"{path}.{name}" if path else name)
    elif isinstance(then, list) and isinstance(now, list):
        for index in range(max(len(then), len(now))):
            was, is_now = (part[index] if index < len(part) else None for part in (then, now))
            yield from differences(was, is_now, f"{path}[{index}]")
    elif then != now or type(then) is not type(now):
        yield Difference(path, then, now)
