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
from numpy.typing import NDArray

from feature_store.columns import ColumnErrors
from feature_store.schema import FeatureSchema, Source
from models.deriving import Derive, as_it_is
from models.errors import TrainingError
from models.files import CHANCE, chances_of, coded, epoch_of, features_of, misfits, read_columns, text_of
from models.layout import BUILT_IN, Layout
from models.profiles import CUSTOMERS, Profiles
from models.spec import ModelSpec

DECISIONS, OUTCOMES = "decisions.parquet", "outcomes.parquet"

_KEYS = {
    DECISIONS: ("decision_id", "customer_id", "decided_at", "channel", "action"),
    OUTCOMES: ("decision_id", "action", "outcome"),
}


@dataclass(frozen=True)
class TrainingTable:
    """What one model learns from: n logged decisions of its actions, in the order of the log; or n rows of a
    table with labels, which have neither actions nor channels.

    rows       n x width  the features, then the codes of action and channel, as `Layout` lays them out
    chances    n          the probability with which this action was chosen, NaN where it is not known
    labels     n          1 where at least one positive outcome came, else 0; or the label, of a category its
                          code
    now        n          epoch seconds of the decision
    customers  n          whose decision it was: a number for each different customer
    schema                the part of the feature schema that the rows hold
    actions, channels     the names behind the codes
    warnings              what in the data could not be used
    """

    rows: NDArray[np.float64]
    chances: NDArray[np.float64]
    labels: NDArray[np.float64]
    now: NDArray[np.float64]
    customers: NDArray[np.intp]
    customer_ids: tuple[str, ...]
    schema: FeatureSchema
    actions: tuple[str, ...]
    channels: tuple[str, ...]
    warnings: tuple[str, ...] = ()

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

    remarks = ()

    def __init__(self, folder: Path, schema: FeatureSchema, derive: Derive = as_it_is) -> None:
        """`derive` fills in derived features."""
        self._schema, self._derive = schema, derive
        context = [feature.name for feature in schema.by_source(Source.CONTEXT)]
        self._profiles = Profiles(folder, schema)
        self._decisions = read_columns(folder / DECISIONS, _KEYS[DECISIONS], [*context, CHANCE])
        self._outcomes = read_columns(folder / OUTCOMES, _KEYS[OUTCOMES], ())

    def table(self, spec: ModelSpec, actions: Collection[str]) -> TrainingTable:
        """The table of one model: the decisions of `actions`, and whether an outcome of the model came.

        Raises:
            TrainingError: the log has no decision of these actions.
        """
        logged = text_of(self._decisions, "action")
        chosen = self._decisions.filter(pc.is_in(logged, value_set=pa.array(sorted(actions), pa.string())))
        if not chosen.num_rows:
            raise TrainingError(self._nothing(spec, actions, pc.unique(logged).to_pylist()))
        X, errors, strangers = self._known(chosen)
        return table_of(
            DECISIONS,
            chosen,
            X,
            self._responses(chosen, spec.positive),
            self._schema,
            spec.read_schema(self._schema),
            self._derive,
            (*self._profiles.errors, *errors),
            tuple(_strangers(strangers, chosen.num_rows)),
        )

    def _known(self, decisions: pa.Table) -> tuple[NDArray[np.float64], list[tuple[str, ColumnErrors]], int]:
        """X of the decisions, shape (n, F), with the defaults applied; what was wrong with the values; and
        how many decisions are of a named customer whom nothing is known of."""
        X, errors = features_of(DECISIONS, decisions, self._schema, (Source.CONTEXT,))
        named = decisions.column("customer_id").is_valid().to_numpy()
        met = self._profiles.fill(X, text_of(decisions, "customer_id"), self._profiles.known)
        np.copyto(X, self._schema.defaults, where=np.isnan(X))
        return X, errors, int((named & ~met).sum())

    def _responses(self, decisions: pa.Table, positive: Sequence[str]) -> NDArray[np.float64]:
        """1 for each shown action with a positive outcome, however many other outcomes it has; shape (n,)."""
        wanted = pc.is_in(text_of(self._outcomes, "outcome"), value_set=pa.array(positive, pa.string()))
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


def table_of(
    file: str,
    decisions: pa.Table,
    X: NDArray[np.float64],
    labels: NDArray[np.float64],
    schema: FeatureSchema,
    read: FeatureSchema,
    derive: Derive,
    misfitting: Sequence[tuple[str, ColumnErrors]],
    warnings: tuple[str, ...],
) -> TrainingTable:
    """The table of logged decisions: X, shape (n, F), has what was known of each, with the defaults where
    nothing was; `read` is the part of the schema that the model reads; `file` is where they are from."""
    now = epoch_of(file, decisions)
    derive(X, now)
    action_names, action_codes = coded(text_of(decisions, "action"))
    channel_names, channel_codes = coded(text_of(decisions, "channel"))
    customer_ids, customers = coded(_owners(decisions))
    return TrainingTable(
        rows=Layout.of(schema, read.columns).rows(X, np.arange(len(X)), now, action_codes, channel_codes),
        chances=chances_of(file, decisions),
        labels=labels,
        now=now,
        customers=customers.astype(np.intp),
        customer_ids=customer_ids,
        schema=read,
        actions=action_names,
        channels=channel_names,
        warnings=(*warnings, *misfits(misfitting, read)),
    )


def _strangers(strangers: int, decisions: int) -> Iterator[str]:
    if strangers:
        yield (
            f"{strangers:,} of {decisions:,} decisions are of customers who are not in {CUSTOMERS}; "
            "of them only the defaults are known"
        )


def _shown(table: pa.Table) -> Any:
    """What identifies one shown action: its decision and its name."""
    return pc.binary_join_element_wise(text_of(table, "decision_id"), text_of(table, "action"), "\x1f")


def _owners(decisions: pa.Table) -> Any:
    """The customer of each decision; one without a customer stands for itself."""
    return pc.coalesce(text_of(decisions, "customer_id"), text_of(decisions, "decision_id"))
