"""A table of customers as requests of one channel, batch by batch, for deciding offline."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from feature_store.columns import TableError, columns_from_arrow, parse_text
from feature_store.documents import did_you_mean
from feature_store.schema import STORED, FeatureSchema, Source
from feature_store.tables import Table
from service.decisioning.batch import Batch
from service.decisioning.draws import keys_of
from service.decisioning.snapshot import Snapshot

MOST_CELLS = 500_000
"""Of requests by actions, decided at a time: so many that what a batch costs once is of no weight, and so few
that its columns stay in the processor's cache."""
MOST_ROWS = 2_000


def customers(table: Table, rows: int) -> Iterator[pa.RecordBatch]:
    """The rows of a table, `rows` at a time at most.

    Raises:
        TableError: the table has no customers, or can't be read to its end.
    """
    if "customer_id" not in table.names:
        raise TableError([f"there is no column 'customer_id'{did_you_mean('customer_id', table.names)}"])
    for batch in table.batches():
        for start in range(0, batch.data.num_rows, rows):
            yield batch.data.slice(start, rows)


def rows_at_a_time(snapshots: Iterable[Snapshot]) -> int:
    """How many requests are decided at once so that memory does not grow with the catalogue."""
    actions = max(len(snapshot.catalogue.actions) for snapshot in snapshots)
    return max(1, min(MOST_ROWS, MOST_CELLS // max(actions, 1)))


def context_row(schema: FeatureSchema, given: Mapping[str, str]) -> NDArray[np.float64]:
    """Context features, given as texts, as a row of X, shape (width,). What the schema does not have is left
    out.

    Raises:
        ValueError: a text is no value of its feature.
    """
    row = np.full(schema.width, np.nan)
    known = {feature.name: feature for feature in schema.by_source(Source.CONTEXT)}
    values = {name: parse_text(known[name], text) for name, text in given.items() if name in known}
    errors = schema.encode(values, row, (Source.CONTEXT,))
    if errors:
        raise ValueError("; ".join(f"context {error}" for error in errors))
    return row


@dataclass(frozen=True)
class Audience:
    """What all requests have in common: the channel by its name, the context, the time in epoch seconds, and
    how many actions each slot is asked for (None: all placements of the channel, each up to its own
    limit)."""

    snapshot: Snapshot
    channel: str
    context: NDArray[np.float64]
    now: float
    limits: Mapping[int, int] | None = None

    def requests(self, data: pa.RecordBatch) -> tuple[Batch, int]:
        """Customers as requests, and how many of their values can't be used and count as missing.

        Nothing is known of their contact history, consents and promises. Chance is drawn from the
        customer's id, and nobody takes part in experiments.
        """
        X, faults = columns_from_arrow(data, self.snapshot.schema, STORED)
        batch = self.batch(X)
        if self.snapshot.leaves_to_chance:
            ids = data.column("customer_id").cast(pa.string()).to_pylist()
            batch = replace(batch, seeds=keys_of([str(customer) for customer in ids]))
        return batch, sum(len(fault.rows) for fault in faults)

    def batch(self, X: NDArray[np.float64]) -> Batch:
        """Requests with these features (changed in place: n x F, NaN where nothing is known), of which
        nothing else is known; they have neither seeds nor units."""
        catalogue, n = self.snapshot.catalogue, len(X)
        for silent in (self.context, self.snapshot.schema.defaults):
            np.copyto(X, np.broadcast_to(silent, X.shape), where=np.isnan(X))
        limits = np.zeros((n, len(catalogue.slots)), dtype=np.int32)
        limits[:, list(self.slots)] = list(self.slots.values())
        return Batch(
            X=X,
            now=np.full(n, self.now),
            channel=np.full(n, catalogue.channel_index[self.channel], dtype=np.intp),
            limits=limits,
            scored=np.ones(n, dtype=np.bool_),
        )

    @cached_property
    def slots(self) -> Mapping[int, int]:
        """How many actions each slot is asked for."""
        if self.limits is not None:
            return self.limits
        catalogue = self.snapshot.catalogue
        return {slot: catalogue.slots[slot].placement.limit for slot in catalogue.channel_slots[self.channel]}
