"""The customers of a chunk, and those of its rows that are none."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from feature_store.columns import columns_from_arrow
from feature_store.feature import GIVEN
from feature_store.ingestion import key_errors, text_column
from feature_store.schema import FeatureSchema, Source
from service.decisioning.draws import Keys, branch, key_of
from service.runtime.outbound.chunks import Chunk
from service.runtime.outbound.order import From, Order
from service.runtime.outbound.tally import MOST_TOLD, Tally

KEYS = ("customer_id", "account_id")


@dataclass(frozen=True)
class Customers:
    """n customers, with what the table says of them: their ids and accounts, the ids of their decisions, what
    chance is drawn from, and their features (n x F, NaN where it says nothing)."""

    ids: list[str]
    accounts: list[str | None]
    decisions: list[str]
    seeds: Keys
    X: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)

    def some(self, part: slice) -> "Customers":
        """A part of them."""
        return Customers(
            self.ids[part], self.accounts[part], self.decisions[part], self.seeds[part], self.X[part]
        )


def read_sources(source: From) -> tuple[Source, ...]:
    """The features that are read from the table."""
    return GIVEN if source is From.FILE else (Source.CONTEXT,)


def customers_of(chunk: Chunk, order: Order, schema: FeatureSchema) -> tuple[Customers, Tally]:
    """Who can be decided for; the tally has the rows that nobody can be decided for by, and the values that
    can't be used.

    Raises:
        TableError: a column can't be what its name says.
    """
    data, numbers = chunk.table, chunk.rows
    good, refusals = _usable(chunk)
    X, faults = columns_from_arrow(data, schema, read_sources(order.source))
    rows = np.flatnonzero(good).tolist()
    ids, accounts = (_texts(data, name) for name in KEYS)
    customers = Customers(
        ids=[ids[row] or "" for row in rows],
        accounts=[accounts[row] for row in rows],
        decisions=[f"{order.id}-{number}" for number in numbers[good].tolist()],
        seeds=branch(np.full(len(rows), key_of(order.id), np.uint64), numbers[good]),
        X=X[good],
    )
    return customers, Tally(
        customers=len(customers),
        unusable={fault.column: len(fault.rows) for fault in faults},
        refused=len(numbers) - len(customers) + len(chunk.unreadable),
        refusals=refusals,
    )


def _usable(chunk: Chunk) -> tuple[NDArray[np.bool_], list[tuple[int, str]]]:
    """Which rows have ids that are some, and why the first of the others have not."""
    good = np.ones(len(chunk.rows), np.bool_)
    refusals = list(chunk.unreadable)
    for fault in (key_errors(chunk.table, name) for name in KEYS):
        if fault is not None:
            good[fault.rows] = False
            told = zip(chunk.rows[fault.rows].tolist(), fault.reasons, strict=False)
            refusals += [(number, f"{fault.column} {why}") for number, why in told]
    return good, sorted(refusals)[:MOST_TOLD]


def _texts(data: pa.RecordBatch, name: str) -> list[str | None]:
    column = text_column(data, name)
    texts: list[str | None] = [None] * data.num_rows if column is None else column.to_pylist()
    return texts
