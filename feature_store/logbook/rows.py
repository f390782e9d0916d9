"""Entries of the streams as rows of the log's tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from feature_store.arrow import arrow_columns, times
from feature_store.decision_log import DecisionEntry
from feature_store.logbook.tables import DECISIONS, FEATURES, NUMBER, OFFERS, OUTCOMES, feature_struct
from feature_store.outcomes import Outcome
from feature_store.schema import FeatureSchema


def decision_rows(entry: DecisionEntry, schema: FeatureSchema) -> pa.Table:
    """The decisions of an entry, with the features that they were decided on; `schema` is the one of the
    entry's fingerprint.

    Raises:
        ValueError: the entry has other columns than the schema.
    """
    if entry.columns != schema.columns:
        raise ValueError(
            f"an entry of the feature schema {entry.features} has other columns than that schema: "
            f"{len(entry.columns)}, not {len(schema.columns)}"
        )
    count = len(entry)
    empty: list[list[dict[str, str]]] = [[] for _ in range(count)]
    for decision, placement, reason in zip(
        entry.empty.decision, entry.empty.placement, entry.empty.reason, strict=True
    ):
        empty[decision].append({"placement": placement, "reason": reason})
    rows = _table(
        DECISIONS.columns,
        {
            "decision_id": entry.decision_id,
            "decided_at": times(np.full(count, entry.decided_at)),
            "customer_id": entry.customer_id,
            "account_id": entry.account_id,
            "channel": entry.channel,
            "arm": entry.arm,
            "experiments": [list(arms.items()) for arms in entry.experiments],
            "mode": entry.mode,
            "degraded": entry.degraded,
            "known": entry.known,
            "software": [entry.software] * count,
            "snapshot": [entry.snapshot] * count,
            "catalogue": [entry.catalogue] * count,
            "feature_schema": [entry.features] * count,
            "models": [list(entry.models.items())] * count,
            "empty": empty,
        },
    )
    if not schema.features:
        return rows  # Parquet knows no struct without a field
    values = arrow_columns(entry.matrix, schema, schema.features, NUMBER)
    kind = feature_struct(schema.features)
    features: Any = pa.StructArray.from_arrays(values, fields=list(kind))
    return rows.append_column(FEATURES, features)


def offer_rows(entry: DecisionEntry) -> pa.Table:
    """What the decisions of an entry have offered."""
    picks, owner = entry.picks, entry.picks.decision
    groups = [entry.actions[action] for action in picks.action]
    return _table(
        OFFERS.columns,
        {
            "decision_id": [entry.decision_id[row] for row in owner],
            "decided_at": times(np.full(len(owner), entry.decided_at)),
            "customer_id": [entry.customer_id[row] for row in owner],
            "channel": [entry.channel[row] for row in owner],
            "arm": [entry.arm[row] for row in owner],
            "placement": picks.placement,
            "rank": picks.rank,
            "issue": [issue for issue, _ in groups],
            "group": [group for _, group in groups],
            "action": picks.action,
            "treatment": picks.treatment,
            "propensity": picks.propensity,
            "context_weight": picks.context_weight,
            "value": picks.value,
            "lever": picks.lever,
            "priority": picks.priority,
            "selection_probability": picks.selection_probability,
        },
    )


def outcome_rows(outcomes: Sequence[Outcome], received_at: float) -> pa.Table:
    """Outcomes that were taken in together, at `received_at` in epoch seconds."""
    made: dict[str, Any] = {
        "outcome_id": [outcome.outcome_id.hex() for outcome in outcomes],
        "occurred_at": times(np.array([outcome.occurred_at for outcome in outcomes], np.float64)),
        "received_at": times(np.full(len(outcomes), received_at)),
        "experiments": [list(outcome.experiments.items()) for outcome in outcomes],
    }
    plain = [name for name in OUTCOMES.columns.names if name not in made]
    made |= {name: [getattr(outcome, name) for outcome in outcomes] for name in plain}
    return _table(OUTCOMES.columns, made)


def _table(schema: pa.Schema, columns: "Mapping[str, Sequence[Any] | pa.Array[Any]]") -> pa.Table:
    return pa.Table.from_arrays(
        [pa.array(columns[field.name], field.type) for field in schema], schema=schema
    )
