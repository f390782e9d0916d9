"""Taking in what channels report: many calls in one round trip, and nothing is acknowledged before it is
durable."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

from feature_store.store import StoreUnavailable
from service.observability import metrics
from service.runtime.batching import NaturalBatcher, Release

MOST_ROWS = 1000
"""In one round trip: the store's timeout is for one, however many calls are waiting."""

Row = TypeVar("Row")
Result = TypeVar("Result")


@dataclass(slots=True)
class _Pending(Generic[Row, Result]):
    rows: list[Row]
    results: "asyncio.Future[list[Result]]"


class Intake(Generic[Row, Result]):
    """Records the rows of many calls together.

    Nobody waits for this as for a decision, so round trips follow one another: several at once would only
    make each other late.
    """

    def __init__(
        self,
        record: Callable[[list[Row]], Awaitable[Sequence[Result]]],
        operation: str,
        *,
        max_batch: int,
        max_waiting: int,
    ) -> None:
        """`record` makes rows durable, and has a result for each; failures of the store count as those of
        `operation`."""
        self._write, self._operation = record, operation
        self._batcher = NaturalBatcher(self._record, max_batch=max_batch, max_waiting=max_waiting)

    async def take(self, rows: list[Row]) -> list[Result]:
        """Record the rows of one call; when this returns they are durable.

        Raises:
            StoreUnavailable: nothing is acknowledged. Overloaded: too much is waiting.
        """
        if not rows:
            return []
        pending = _Pending(rows, asyncio.get_running_loop().create_future())
        self._batcher.submit([pending])
        return await pending.results

    async def drain(self) -> None:
        """Wait until everything that was taken in is recorded."""
        await self._batcher.drain()

    async def _record(self, batch: list[_Pending[Row, Result]], _: Release) -> None:
        calls = iter(_round_trips(batch))
        for together in calls:
            try:
                results = iter(await self._write([row for pending in together for row in pending.rows]))
            except Exception as error:  # noqa: BLE001 - every call not yet recorded is told, whatever happened
                if isinstance(error, StoreUnavailable):
                    metrics.STORE_ERRORS.labels(self._operation).inc()
                for pending in chain(together, *calls):
                    if not pending.results.done():
                        pending.results.set_exception(error)
                return
            for pending in together:
                own = [next(results) for _ in pending.rows]
                if not pending.results.done():
                    pending.results.set_result(own)


def _round_trips(batch: Iterable[_Pending[Row, Result]]) -> Iterator[list[_Pending[Row, Result]]]:
    """Calls to be recorded together: as many as have `MOST_ROWS` rows, or one that has more."""
    together: list[_Pending[Row, Result]] = []
    rows = 0
    for pending in batch:
        if together and rows + len(pending.rows) > MOST_ROWS:
            yield together
            together, rows = [], 0
        together.append(pending)
        rows += len(pending.rows)
    if together:
        yield together
