"""Events that a request brings: applied before it is decided, so that the decision sees them."""

import asyncio
import time

import msgspec

from feature_store.event import Event
from feature_store.events import Applied
from feature_store.store import StoreUnavailable
from service.runtime.event_reports import Refused
from service.runtime.events import TRACK, EventIntake
from service.runtime.faults import MOST_WARNINGS, Fault
from service.runtime.pending import Pending
from service.runtime.requests import DecisionRequest, InvalidRequest

EVENTS_TIMEOUT, EVENTS_UNAVAILABLE = "events:timeout", "events:unavailable"

Applying = asyncio.Task[list[Applied]]


class Bringer:
    """Brings the events of requests to the store, or, for a dry run, to the request alone."""

    def __init__(self, intake: EventIntake) -> None:
        self._intake = intake
        self._open: set[Applying] = set()

    async def bring(self, pending: Pending) -> None:
        """Apply the events of a request, in half of the time until its features have to be there. What takes
        longer goes on, and the request is degraded.

        Raises:
            InvalidRequest: an event can't be taken in, and so none is. Overloaded: too many are waiting.
        """
        request = pending.request
        checked = self._intake.check(
            [e.of(request.customer_id, request.anonymous_id) for e in request.events]
        )
        events = [event for event in checked if isinstance(event, Event)]
        if len(events) < len(checked):
            raise InvalidRequest(
                Fault(f"events[{index}].{fault.path}", fault.message)
                for index, found in enumerate(checked)
                if isinstance(found, Refused)
                for fault in found.faults
            )
        if request.dry_run:
            self._foresee(pending, events)
        else:
            await self._apply(pending, events)

    async def _apply(self, pending: Pending, events: list[Event]) -> None:
        task = asyncio.get_running_loop().create_task(self._intake.apply(events))
        self._open.add(task)
        task.add_done_callback(self._done)
        now = time.perf_counter()
        await asyncio.wait({task}, timeout=max(0.0, (pending.read_until - now) / 2))
        if not task.done():
            pending.degraded = (EVENTS_TIMEOUT,)
            return
        try:
            applied = task.result()
        except StoreUnavailable:
            pending.degraded = (EVENTS_UNAVAILABLE,)
            return
        unused = [
            str(Fault(f"events[{index}].{fault.path}", fault.message))
            for index, (event, result) in enumerate(zip(events, applied, strict=True))
            for fault in self._intake.unused(event, result)
        ]
        _warn(pending, unused)

    def _done(self, task: Applying) -> None:
        self._open.discard(task)
        task.exception()  # whoever waits no more need not be told

    def _foresee(self, pending: Pending, events: list[Event]) -> None:
        """A dry run sees what its own customer does, and stores nothing."""
        own = [e.type == TRACK and e.owner == pending.request.customer_key for e in events]
        pending.foreseen = tuple(event for event, seen in zip(events, own, strict=True) if seen)
        _warn(
            pending,
            [
                f"events[{index}]: a dry run sees only what is tracked of its own customer"
                for index, seen in enumerate(own)
                if not seen
            ],
        )


def _warn(pending: Pending, warnings: list[str]) -> None:
    if warnings:
        said = (*pending.request.warnings, *warnings[:MOST_WARNINGS])
        pending.request = _with_warnings(pending.request, said)


def _with_warnings(request: DecisionRequest, warnings: tuple[str, ...]) -> DecisionRequest:
    return msgspec.structs.replace(request, warnings=warnings)
