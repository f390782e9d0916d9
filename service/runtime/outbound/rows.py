"""The result of a run: its columns, and how they are kept in a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from service.runtime.outbound.answers import NAMED, NOTHING, Answers
from service.runtime.outbound.customers import Customers

Column: TypeAlias = "pa.Array[Any]"

TIME = pa.timestamp("us", tz="UTC")
COLUMNS: Mapping[str, str] = {
    "decision_id": "of the decision: the id of the run and the number of the customer's row",
    "customer_id": "as in the table",
    "decided_at": "as of when everybody was decided for",
    "channel": "the channel",
    "placement": "the placement that is filled, or stays empty",
    "rank": "the place in it, from 1; null where the placement stays empty",
    "issue": "the issue of the action",
    "group": "its group",
    "action": "what is offered; null where the placement stays empty",
    "treatment": "how it is said",
    "propensity": "P",
    "context_weight": "C",
    "value": "V",
    "lever": "L",
    "priority": "what they make",
    "selection_probability": "with which the policy chose this action at this rank's turn, exactly",
    "bundle": "the bundle that the action stands in",
    "bundle_position": "its place there, from 1",
    "offer": "the offer that it is made on",
    "offer_terms": "its terms, a JSON object",
    "offer_valid_until": "until when they bind",
    "content": "what the treatment says, JSON, with the terms in it",
    "arm": "the arm that the decision counts under",
    "experiments": "every experiment that the customer takes part in, with the arm, a JSON object",
    "mode": "`full`, `degraded` or `fallback`",
    "degraded": "what was missing, a JSON list",
    "no_action_reason": "why the placement stays empty",
    "no_action_stage": "the stage at which the last of its candidates went",
    "token": "reports outcomes, as that of any decision; there with `--tokens`",
}
"""Each with what it holds."""
WHOLE = ("rank", "bundle_position")
TIMES = ("decided_at", "offer_valid_until")


def rows(answers: Answers, customers: Customers, at: float, tokens: Sequence[str | None] | None) -> pa.Table:
    """The collected answers for some customers, as a table with `COLUMNS`."""
    found = answers.columns
    owners: Any = pa.array(found["customer"])
    columns: dict[str, Column] = {
        "decision_id": pa.array(customers.decisions, pa.string()).take(owners),
        "customer_id": pa.array(customers.ids, pa.string()).take(owners),
        "decided_at": _times(np.full(len(owners), at)),
    }
    if tokens is not None:
        columns["token"] = pa.array(tokens, pa.string())
    for name, values in found.items():
        if name in NAMED:
            columns[name] = _named(answers.texts(name), values)
        elif name in WHOLE:
            columns[name] = pa.array(values.astype(np.int32), mask=values < 1)
        elif name in TIMES:
            columns[name] = _times(values)
        else:
            columns[name] = pa.array(values, mask=np.isnan(values))
    return pa.table({name: columns[name] for name in COLUMNS if name in columns})


def _named(texts: Sequence[str], positions: NDArray[np.intp]) -> Column:
    """The text at each position; null at `NOTHING`."""
    indices: Any = pa.array(positions.astype(np.int32), mask=positions == NOTHING)
    column: Column = pa.DictionaryArray.from_arrays(indices, pa.array(texts, pa.string()))
    return column


def _times(seconds: NDArray[np.float64]) -> Column:
    missing = np.isnan(seconds)
    ticks = np.rint(np.where(missing, 0.0, seconds) * 1e6).astype(np.int64)
    return pa.array(ticks, mask=missing).cast(TIME)


def read(path: Path) -> pa.Table:
    """The rows of a file, columns of names as dictionaries."""
    with pq.ParquetFile(path, read_dictionary=list(NAMED)) as file:
        return file.read()


def metadata(path: Path) -> Mapping[bytes, bytes]:
    """What a file says of itself."""
    return pq.read_metadata(path).metadata or {}


class Writer(pq.ParquetWriter):
    """Writes rows, and what is to be said of them all. To who reads the file, the columns of names are texts
    like others."""

    def __init__(self, path: Path, schema: pa.Schema, metadata: Mapping[str, str]) -> None:
        named: Any = list(NAMED)
        super().__init__(
            path,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=named,
            store_schema=False,
        )
        self.add_key_value_metadata(dict(metadata))
