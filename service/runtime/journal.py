"""The journal of a worker: its decisions on their way into the log, written in the background."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from feature_store.decision_log import DecisionEntry, DecisionLog, Empty, Picks
from feature_store.schema import FeatureSchema
from feature_store.store import StoreUnavailable
from service.observability import metrics
from service.runtime.decision import Decision
from service.runtime.shadowing import shadowed
from service.version import SOFTWARE

log = structlog.get_logger()

MOST_BYTES = 64_000_000
"""Of entries that may wait to be written, some hundred thousand decisions; what comes on top is lost, and
counted."""
MOST_AT_ONCE = 1_000_000
"""Bytes of one round trip, unless a single entry has more: the server answers nobody meanwhile."""
PAUSE = 1.0
"""Seconds between two looks at what is waiting: a store that syncs each write to its disk answers nobody
meanwhile, for some 5 ms, so five times a second would be seen in one request of forty."""
RETRY = 1.0
"""Seconds until a store that was away is asked again."""
WARN_EVERY = 10.0


@dataclass(frozen=True, slots=True)
class _Entry:
    decisions: int
    packed: bytes
    schema: FeatureSchema


class Journal:
    """Writes decisions to the log, batch by batch. No decision waits for it; a store that is away finds what
    it has missed when it is back, as far as there is room for it."""

    def __init__(self, log: DecisionLog) -> None:
        self._log = log
        self._waiting: deque[_Entry] = deque()
        self._bytes = 0
        self._work: asyncio.Task[None] | None = None
        self._leaving = asyncio.Event()
        self._warned_at = -WARN_EVERY

    def keep(self, decisions: Iterable[Decision]) -> None:
        """Log decisions; those that were decided together stand in one entry."""
        together: dict[int, list[Decision]] = {}
        for decision in decisions:
            together.setdefault(id(decision.decisions), []).append(decision)
        for found in together.values():
            entry = _Entry(len(found), entry_of(found).pack(), found[0].snapshot.schema)
            if self._bytes + len(entry.packed) > MOST_BYTES:
                metrics.DECISIONS_UNLOGGED.inc(entry.decisions)
                continue
            self._waiting.append(entry)
            self._bytes += len(entry.packed)
            metrics.LOG_BACKLOG.inc(entry.decisions)
        if self._waiting and self._work is None:
            self._work = asyncio.get_running_loop().create_task(self._write_on())

    async def stop(self) -> None:
        """Write what is waiting, and let go of the store; what it does not take now is lost, and counted."""
        self._leaving.set()
        if self._work is not None:
            await self._work
        lost = sum(entry.decisions for entry in self._waiting)
        if lost:
            metrics.DECISIONS_UNLOGGED.inc(lost)
            metrics.LOG_BACKLOG.dec(lost)
            log.warning("decisions_unlogged", decisions=lost)
        self._waiting.clear()
        await self._log.close()

    async def _write_on(self) -> None:
        pause = PAUSE
        while self._waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._leaving.wait()
            written = await self._write()
            if not written and self._leaving.is_set():
                break
            pause = PAUSE if written else RETRY
        self._work = None

    async def _write(self) -> bool:
        """Write what is waiting; whether the store has taken it."""
        while self._waiting:
            some = self._next()
            try:
                await self._log.write(
                    [entry.packed for entry in some],
                    {entry.schema.fingerprint: entry.schema.packed for entry in some},
                )
            except StoreUnavailable as error:
                metrics.STORE_ERRORS.labels("log_decisions").inc()
                self._warn(str(error))
                return False
            for entry in some:
                self._waiting.popleft()
                self._bytes -= len(entry.packed)
                metrics.LOG_BACKLOG.dec(entry.decisions)
        return True

    def _next(self) -> list[_Entry]:
        """What goes into one round trip: at least one entry."""
        some: list[_Entry] = []
        size = 0
        for entry in self._waiting:
            size += len(entry.packed)
            if some and size > MOST_AT_ONCE:
                break
            some.append(entry)
        return some

    def _warn(self, reason: str) -> None:
        """Say that decisions wait to be logged, now and then: it may be so for every write."""
        if time.monotonic() - self._warned_at >= WARN_EVERY:
            self._warned_at = time.monotonic()
            log.warning("store_unavailable", operation="log_decisions", reason=reason)


def entry_of(decisions: Sequence[Decision]) -> DecisionEntry:
    """The entry of some decisions that were decided together."""
    chosen, snapshot = decisions[0].chosen, decisions[0].snapshot
    rows = [decision.row for decision in decisions]
    picks, empty = chosen.among(rows)
    catalogue, schema = snapshot.catalogue, snapshot.schema
    offered = [catalogue.actions[index] for index in picks.action]
    said = shadowed(snapshot.shadows, chosen.decisions, [rows[place] for place in picks.row], picks.action)
    X, decided_at = chosen.decisions.batch.X[rows], decisions[0].decided_at
    X[:, schema.timestamps] -= decided_at
    return DecisionEntry(
        software=SOFTWARE,
        snapshot=snapshot.version,
        catalogue=catalogue.version,
        features=snapshot.schema.fingerprint,
        models=snapshot.model_versions,
        decided_at=decided_at,
        columns=schema.columns,
        timestamps=tuple(schema.timestamps),
        X=X.astype("<f4").tobytes(),
        decision_id=[decision.decision_id for decision in decisions],
        customer_id=[decision.request.customer_key for decision in decisions],
        account_id=[decision.account_id for decision in decisions],
        channel=[decision.request.channel for decision in decisions],
        arm=[decision.arm for decision in decisions],
        experiments=[decision.experiments for decision in decisions],
        mode=[decision.mode for decision in decisions],
        degraded=[decision.degraded for decision in decisions],
        known=[decision.known for decision in decisions],
        actions={action.name: (action.issue, action.group) for action in offered},
        picks=Picks(
            decision=picks.row,
            placement=[catalogue.slots[slot].placement.id for slot in picks.slot],
            rank=picks.rank,
            action=[action.name for action in offered],
            treatment=[catalogue.treatments[index].name for index in picks.treatment],
            propensity=picks.propensity,
            context_weight=picks.context_weight,
            value=picks.value,
            lever=picks.lever,
            priority=picks.priority,
            selection_probability=picks.selection_probability,
            predicted=[] if chosen.decisions.batch.corrections is None else picks.predicted,
            shadows=said,
        ),
        empty=Empty(
            decision=empty.row,
            placement=[catalogue.slots[slot].placement.id for slot in empty.slot],
            reason=[snapshot.no_actions[code].reason for code in empty.code],
        ),
    )
