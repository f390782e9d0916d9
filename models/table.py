"""The training table: logged decisions with what was known then, and whether a response came."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from feature_store.columns import ColumnErrors, TableError, columns_from_arrow
from feature_store.documents import did_you_mean
from feature_store.schema import FeatureSchema, Source
from models.errors import TrainingError
from models.layout import BUILT_IN, Layout
from models.spec import ModelSpec

CUSTOMERS, DECISIONS, OUTCOMES = "customers.parquet", "decisions.parquet", "outcomes.parquet"

SELECTION = "selection_probability"

_KEYS = {
    CUSTOMERS: ("customer_id",),
    DECISIONS: ("decision_id", "customer_id", "decided_at", "channel", "action"),
    OUTCOMES: ("decision_id", "action", "outcome"),
}
_STORED = (Source.PROFILE, Source.BEHAVIOUR)


@dataclass(frozen=True)
class TrainingTable:
    """What one model learns from: n logged decisions of its actions, in the order of the log.

    rows       n x width  the features, then the codes of action and channel, as `Layout` lays them out
    labels     n          1 where at least one positive outcome came, else 0
    now        n          epoch seconds of the decision
    customers  n          whose decision it was: a number for each different customer
    schema                the part of the feature schema that the rows hold
    actions, channels     the names behind the codes
    warnings              what in the data could not be used
    selection  n          with which probability the action was chosen; None where that was not logged
    """

    rows: NDArray[np.float64]
    labels: NDArray[np.float64]
    now: NDArray[np.float64]
    customers: NDArray[np.intp]
    customer_ids: tuple[str, ...]
    schema: FeatureSchema
    actions: tuple[str, ...]
    channels: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    selection: NDArray[np.float64] | None = None

    @cached_property
    def layout(self) -> Layout:
        """The layout of the rows over the table's own schema."""
        return Layout.of(self.schema, self.schema.columns)

    @property
    def positives_by_action(self) -> dict[str, int]:
        """How many rows of each action are positive; actions without any are left out."""
        codes = self.rows[self.labels > 0, -len(BUILT_IN)].astype(np.intp)
        counts = np.bincount(codes, minlength=len(self.actions)).tolist()
        return {action: count for action, count in zip(self.actions, counts, strict=True) if count}

    @cached_property
    def sha256(self) -> str:
        """The hash of the rows and labels, in their order."""
        digest = hashlib.sha256(np.ascontiguousarray(self.rows).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()


class History:
    """The logged decisions of a folder: `customers.parquet`, `decisions.parquet`, `outcomes.parquet`.

    Profiles and behaviour are those of customers.parquet, as they are today; context, channel and time are
    those of the decision. A decision of a customer who is not in customers.parquet has the defaults.

    Raises:
        TrainingError: a file is missing, is not Parquet, or lacks a column that it needs.
    """

    def __init__(self, folder: Path, schema: FeatureSchema) -> None:
        self._schema = schema
        context = [feature.name for feature in schema.by_source(Source.CONTEXT)]
        stored = [feature.name for source in _STORED for feature in schema.by_source(source)]
        customers = _read(folder / CUSTOMERS, stored)
        self._decisions = _read(folder / DECISIONS, (*context, SELECTION))
        self._outcomes = _read(folder / OUTCOMES, ())
        self._profiles, self._profile_errors = _features(CUSTOMERS, customers, schema, _STORED)
        self._customer_ids = _text(customers, "customer_id")

    def table(self, spec: ModelSpec, actions: Collection[str]) -> TrainingTable:
        """The table of one model: the decisions of `actions`, and whether an outcome of the model came.

        Raises:
            TrainingError: the log has no decision of these actions.
        """
        logged = _text(self._decisions, "action")
        chosen = self._decisions.filter(pc.is_in(logged, value_set=pa.array(sorted(actions), pa.string())))
        if not chosen.num_rows:
            raise TrainingError(self._nothing(spec, actions, pc.unique(logged).to_pylist()))
        schema = FeatureSchema(tuple(self._schema.feature(name) for name in spec.reads(self._schema)))
        X, errors, strangers = self._known(chosen)
        action_names, action_codes = _coded(_text(chosen, "action"))
        channel_names, channel_codes = _coded(_text(chosen, "channel"))
        customer_ids, customers = _coded(_owners(chosen))
        now = _epoch(chosen)
        rows = Layout.of(self._schema, schema.columns).rows(
            X, np.arange(len(X)), now, action_codes, channel_codes
        )
        return TrainingTable(
            rows=rows,
            labels=self._responses(chosen, spec.positive),
            now=now,
            customers=customers.astype(np.intp),
            customer_ids=customer_ids,
            schema=schema,
            actions=action_names,
            channels=channel_names,
            warnings=(
                *_strangers(strangers, chosen.num_rows),
                *_warnings((*self._profile_errors, *errors), schema),
            ),
            selection=_selection(chosen),
        )

    def _known(self, decisions: pa.Table) -> tuple[NDArray[np.float64], list[tuple[str, ColumnErrors]], int]:
        """X of the decisions, shape (n, F), with the defaults applied; what was wrong with the values; and
        how many decisions are of a named customer whom nothing is known of."""
        X, errors = _features(DECISIONS, decisions, self._schema, (Source.CONTEXT,))
        places = pc.index_in(_text(decisions, "customer_id"), value_set=self._customer_ids)
        owners = places.fill_null(-1).to_numpy(zero_copy_only=False)
        met = owners >= 0
        named = decisions.column("customer_id").is_valid().to_numpy()
        for source in _STORED:
            for feature in self._schema.by_source(source):
                columns = self._schema.slice(feature.name)
                X[met, columns] = self._profiles[owners[met], columns]
        np.copyto(X, self._schema.defaults, where=np.isnan(X))
        return X, errors, int((named & ~met).sum())

    def _responses(self, decisions: pa.Table, positive: Sequence[str]) -> NDArray[np.float64]:
        """1 for each shown action with a positive outcome, however many other outcomes it has; shape (n,)."""
        wanted = pc.is_in(_text(self._outcomes, "outcome"), value_set=pa.array(positive, pa.string()))
        responses = _shown(self._outcomes.filter(wanted))
        answered = pc.is_in(_shown(decisions), value_set=responses)
        labels: NDArray[np.float64] = answered.to_numpy(zero_copy_only=False).astype(np.float64)
        return labels

    def _nothing(self, spec: ModelSpec, actions: Collection[str], logged: Sequence[Any]) -> str:
        seen = ", ".join(sorted(filter(None, logged))[:5]) or "none"
        if not actions:
            return f"model '{spec.name}': no action of the catalogue uses it"
        asked = ", ".join(sorted(actions)[:5])
        return (
            f"model '{spec.name}': {DECISIONS} has no decision of its {len(actions)} actions ({asked}, ...); "
            f"it has decisions of {seen}"
        )


def _read(path: Path, optional: Collection[str]) -> pa.Table:
    """The columns of a Parquet file that are needed, and those of the optional ones that it has."""
    required = _KEYS[path.name]
    try:
        present = pq.read_schema(path).names
        if missing := [column for column in required if column not in present]:
            raise TrainingError(
                f"{path}: the column '{missing[0]}' is missing{did_you_mean(missing[0], present)}"
            )
        return pq.read_table(path, columns=[*required, *(name for name in optional if name in present)])
    except FileNotFoundError as error:
        raise TrainingError(f"{path}: there is no such file") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise TrainingError(f"{path}: can't be read as Parquet: {error}") from error


def _features(
    file: str, table: pa.Table, schema: FeatureSchema, sources: Collection[Source]
) -> tuple[NDArray[np.float64], list[tuple[str, ColumnErrors]]]:
    try:
        X, errors = columns_from_arrow(table, schema, sources)
    except TableError as error:
        raise TrainingError("\n".join(f"{file}: {problem}" for problem in error.problems)) from error
    return X, [(file, fault) for fault in errors]


def _strangers(strangers: int, decisions: int) -> Iterator[str]:
    if strangers:
        yield (
            f"{strangers:,} of {decisions:,} decisions are of customers who are not in {CUSTOMERS}; "
            "of them only the defaults are known"
        )


def _warnings(errors: Sequence[tuple[str, ColumnErrors]], schema: FeatureSchema) -> Iterator[str]:
    read = {feature.name for feature in schema.features}
    for file, fault in errors:
        if fault.column in read:
            yield (
                f"{file}: column '{fault.column}': {len(fault.rows)} values don't fit and count as missing; "
                f"the first, in row {fault.rows[0] + 1}: {fault.reasons[0]}"
            )


def _text(table: pa.Table, column: str) -> Any:
    values = table.column(column)
    try:
        return values.combine_chunks().cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TrainingError(f"column '{column}' is {values.type}; make it text") from error


def _shown(table: pa.Table) -> Any:
    """What identifies one shown action: its decision and its name."""
    return pc.binary_join_element_wise(_text(table, "decision_id"), _text(table, "action"), "\x1f")


def _owners(decisions: pa.Table) -> Any:
    """The customer of each decision; one without a customer stands for itself."""
    return pc.coalesce(_text(decisions, "customer_id"), _text(decisions, "decision_id"))


def _coded(names: Any) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The different names, sorted, and the index of each row's name among them; null is NaN."""
    levels = sorted(filter(None, pc.unique(names).to_pylist()))
    codes = pc.index_in(names, value_set=pa.array(levels, pa.string())).cast(pa.float64())
    return tuple(levels), codes.to_numpy(zero_copy_only=False)


def _selection(decisions: pa.Table) -> NDArray[np.float64] | None:
    if SELECTION not in decisions.column_names or decisions[SELECTION].null_count:
        return None
    return decisions[SELECTION].cast(pa.float64()).to_numpy().astype(np.float64)


def _epoch(decisions: pa.Table) -> NDArray[np.float64]:
    moments = decisions.column("decided_at")
    try:
        micros = moments.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TrainingError(
            f"{DECISIONS}: column 'decided_at' is {moments.type}; make it a timestamp"
        ) from error
    if micros.null_count:
        raise TrainingError(f"{DECISIONS}: column 'decided_at' is null in {micros.null_count} rows")
    seconds: NDArray[np.float64] = micros.to_numpy() / 1e6
    return seconds
