"""Recorded decisions: everything that one was made of, so that it can be made again, bit for bit.

A record holds no id of a customer. What it holds of them, their features, expires with it.
"""

import asyncio
import types
import typing
from collections import ChainMap, deque
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import structlog
from numpy.lib.format import descr_to_dtype, dtype_to_descr

from feature_store.decisions import DecisionRecords
from feature_store.store import StoreUnavailable
from service.decisioning.batch import Batch
from service.decisioning.challengers import TRIAL
from service.observability import metrics

if TYPE_CHECKING:
    from service.runtime.decision import Decision

log = structlog.get_logger()

MOST_WAITING = 10_000
"""Records that may wait to be written; what comes on top is not recorded, and counted."""
MOST_AT_ONCE = 1_000
MOST_CONFIGURATIONS = 8
"""Of whose snapshots records may be waiting still."""
PAUSE = 1.0
"""Seconds between two round trips: nobody waits for a record, but all wait for a store that syncs it."""

UNREPEATABLE = ("decision_id", "customer_id", "anonymous_id", "timings_ms", "explanation")
"""Fields of an answer that are no part of what was decided."""
UNREPEATABLE_OF_ACTION = ("token", "reasons")
"""Those of an offered action; reasons are given only to who asks."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One decision. `batch` is its row of the batch, `answer` what was answered, without
    what is `UNREPEATABLE`; `trials` are the arms of models, of which the snapshot knows nothing."""

    snapshot: str
    software: str
    decided_at: float
    channel: str
    slots: tuple[tuple[int, int], ...]
    known: bool
    degraded: tuple[str, ...]
    warnings: tuple[str, ...]
    batch: bytes
    answer: bytes
    trials: Mapping[str, str] = {}

    def pack(self) -> bytes:
        """MessagePack."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def unpack(cls, packed: bytes) -> "Record":
        """The record that `pack` made.

        Raises:
            msgspec.DecodeError, msgspec.ValidationError: the bytes are none.
        """
        return msgspec.msgpack.decode(packed, type=cls)


def repeatable(document: Mapping[str, Any]) -> dict[str, Any]:
    """What an answer says that the same inputs must say again."""
    answer = _without(document, UNREPEATABLE)
    answer["placements"] = [
        placement | {"actions": [_without(action, UNREPEATABLE_OF_ACTION) for action in placement["actions"]]}
        for placement in document["placements"]
    ]
    return answer


def _without(document: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


def pack_columns(columns: Any) -> Any:
    """A dataclass of arrays, of other such dataclasses and of None, as msgspec can encode it."""
    if columns is None:
        return None
    if is_dataclass(columns):
        return {field.name: pack_columns(getattr(columns, field.name)) for field in fields(columns)}
    return [_descr(columns.dtype), columns.shape, columns.tobytes()]


_descr = cache(dtype_to_descr)


def unpack_columns(packed: Any, shape: type) -> Any:
    """What `pack_columns` made, as a dataclass `shape`."""
    if packed is None:
        return None
    if not is_dataclass(shape):
        descr, dimensions, data = packed
        described = [tuple(field) for field in descr] if isinstance(descr, list) else descr
        # compiled loops take arrays that can be written to
        return np.frombuffer(data, descr_to_dtype(described)).reshape(dimensions).copy()
    types_of = typing.get_type_hints(shape)
    return shape(**{name: unpack_columns(part, _shape(types_of[name])) for name, part in packed.items()})


def _bound(share: float) -> str:
    """The last eight digits of an id are below it in this share of the ids."""
    return "g" if share >= 1.0 else f"{int(share * 2**32):08x}"


def _shape(hint: Any) -> Any:
    """The type of a field that may be None."""
    if isinstance(hint, types.UnionType):
        return next(part for part in typing.get_args(hint) if part is not types.NoneType)
    return hint


def unpack_batch(packed: bytes) -> Batch:
    """The batch of one request that is in a record."""
    batch: Batch = unpack_columns(msgspec.msgpack.decode(packed), Batch)
    return batch


class Recorder:
    """Records a share of the decisions in the background: a decision waits for none of it."""

    def __init__(self, records: DecisionRecords, share: float, software: str) -> None:
        self._records, self._below, self._software = records, _bound(share), software
        self._waiting: list[tuple[Decision, bytes]] = []
        self._snapshots: deque[dict[str, bytes]] = deque(maxlen=MOST_CONFIGURATIONS)
        self._work: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    def serve(self, snapshots: dict[str, bytes]) -> None:
        """From now on decisions are made by these snapshots, packed, by their versions; those of the last
        ones are still recorded."""
        self._snapshots.appendleft(snapshots)

    def keep(self, decision: "Decision", answer: bytes) -> None:
        """Record a decision, if it is in the share and no dry run. `answer` is what is answered, JSON. The
        record is made after the answers have left."""
        if decision.decision_id[-8:] >= self._below or decision.request.dry_run:
            return
        if len(self._waiting) >= MOST_WAITING:
            metrics.DECISIONS_UNRECORDED.inc()
            return
        self._waiting.append((decision, answer))
        if self._work is None or self._work.done():
            self._work = asyncio.get_running_loop().create_task(self._write_all())

    async def drain(self) -> None:
        """Write what is waiting."""
        self._hurry.set()
        if self._work is not None:
            await self._work

    def _record(self, decision: "Decision", answer: bytes) -> Record:
        return Record(
            snapshot=decision.snapshot.version,
            software=self._software,
            decided_at=decision.decided_at,
            channel=decision.request.channel,
            slots=decision.checked.slots,
            known=decision.known,
            degraded=decision.degraded,
            warnings=decision.checked.warnings,
            batch=msgspec.msgpack.encode(
                pack_columns(decision.decisions.batch.take(np.array([decision.row])))
            ),
            answer=msgspec.json.encode(repeatable(msgspec.json.decode(answer))),
            trials={name: arm for name, arm in decision.experiments.items() if name.startswith(TRIAL)},
        )

    async def _write_all(self) -> None:
        while self._waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE):
                    await self._hurry.wait()
            await self._write()

    async def _write(self) -> None:
        """Write some of what is waiting; a store that is away loses it."""
        batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
        by_snapshot: dict[str, dict[str, bytes]] = {}
        for decision, answer in batch:
            await asyncio.sleep(0)  # others may be waiting for a decision
            packed = self._record(decision, answer).pack()
            by_snapshot.setdefault(decision.snapshot.version, {})[decision.decision_id] = packed
        for version, records in by_snapshot.items():
            try:
                if not await self._records.keep(version, records):
                    await self._records.keep_snapshot(version, ChainMap(*self._snapshots)[version])
            except StoreUnavailable as error:
                metrics.STORE_ERRORS.labels("record_decisions").inc()
                metrics.DECISIONS_UNRECORDED.inc(len(records))
                log.warning("decisions_unrecorded", decisions=len(records), reason=str(error))
