"""Entries of the streams as rows of the log's tables."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from feature_store.arrow import arrow_columns, times
from feature_store.decision_log import DecisionEntry, Picks
from feature_store.logbook.tables import DECISIONS, FEATURES, NUMBER, OFFERS, OUTCOMES, feature_struct
from feature_store.outcomes import Outcome
from feature_store.schema import FeatureSchema


def decision_rows(entries: Sequence[DecisionEntry], schema: FeatureSchema) -> pa.Table:
    """The decisions of entries, with the features that they were decided on; `schema` is the one of their
    fingerprint. All at once: for a lone one it takes as long as for a thousand.

    Raises:
        ValueError: an entry has other columns than the schema.
    """
    for entry in entries:
        if entry.columns != schema.columns:
            raise ValueError(
                f"an entry of the feature schema {entry.features} has other columns than that schema: "
                f"{len(entry.columns)}, not {len(schema.columns)}"
            )
    plain = ("decision_id", "customer_id", "account_id", "channel", "arm", "mode", "degraded", "known")
    made: dict[str, Any] = {name: _joined(getattr(entry, name) for entry in entries) for name in plain}
    versions = ("software", "snapshot", "catalogue")
    made |= {name: _joined([getattr(entry, name)] * len(entry) for entry in entries) for name in versions}
    made |= {
        "decided_at": times(np.concatenate([entry.times for entry in entries])),
        "experiments": [list(arms.items()) for entry in entries for arms in entry.experiments],
        "feature_schema": _joined([entry.features] * len(entry) for entry in entries),
        "models": _joined([list(entry.models.items())] * len(entry) for entry in entries),
        "empty": _joined(map(_empty, entries)),
    }
    rows = _table(DECISIONS.columns, made)
    if not schema.features:
        return rows  # Parquet knows no struct without a field
    X = np.concatenate([entry.matrix for entry in entries])
    features: Any = pa.StructArray.from_arrays(
        arrow_columns(X, schema, schema.features, NUMBER), fields=list(feature_struct(schema.features))
    )
    return rows.append_column(FEATURES, features)


def _empty(entry: DecisionEntry) -> list[list[dict[str, str]]]:
    """By decision the placements that stayed empty."""
    found: list[list[dict[str, str]]] = [[] for _ in range(len(entry))]
    empty = entry.empty
    for decision, placement, reason in zip(empty.decision, empty.placement, empty.reason, strict=True):
        found[decision].append({"placement": placement, "reason": reason})
    return found


def offer_rows(entries: Sequence[DecisionEntry]) -> pa.Table:
    """What the decisions of entries have offered."""
    made: dict[str, Any] = {
        name: _joined(getattr(entry.picks, name) for entry in entries)
        for name in OFFERS.columns.names
        if name in Picks.__struct_fields__
    }
    made["predicted"] = _joined(entry.picks.predicted or entry.picks.propensity for entry in entries)
    made |= {
        name: _joined(map(getattr(entry, name).__getitem__, entry.picks.decision) for entry in entries)
        for name in ("decision_id", "customer_id", "channel", "arm")
    }
    groups = [entry.actions[action] for entry in entries for action in entry.picks.action]
    made |= {
        "decided_at": times(np.concatenate([entry.times[entry.picks.decision] for entry in entries])),
        "issue": [issue for issue, _ in groups],
        "group": [group for _, group in groups],
        "shadows": _joined(map(_shadows, entries)),
    }
    return _table(OFFERS.columns, made)


def _shadows(entry: DecisionEntry) -> list[list[tuple[str, float]] | None]:
    """By offered action what shadows have said; nothing, where there were none."""
    said = entry.picks.shadows
    return [list(found.items()) for found in said] if said else [None] * len(entry.picks.decision)


def outcome_rows(outcomes: Sequence[tuple[Outcome, float]]) -> pa.Table:
    """Outcomes, each with the epoch seconds at which it was taken in."""
    made: dict[str, Any] = {
        "outcome_id": [outcome.outcome_id.hex() for outcome, _ in outcomes],
        "occurred_at": times(np.array([outcome.occurred_at for outcome, _ in outcomes], np.float64)),
        "received_at": times(np.array([received_at for _, received_at in outcomes], np.float64)),
        "experiments": [list(outcome.experiments.items()) for outcome, _ in outcomes],
    }
    plain = [name for name in OUTCOMES.columns.names if name not in made]
    made |= {name: [getattr(outcome, name) for outcome, _ in outcomes] for name in plain}
    return _table(OUTCOMES.columns, made)


def _joined(parts: Iterable[Iterable[Any]]) -> list[Any]:
    return list(chain.from_iterable(parts))


def _table(schema: pa.Schema, columns: "Mapping[str, Sequence[Any] | pa.Array[Any]]") -> pa.Table:
    return pa.Table.from_arrays(
        [pa.array(columns[field.name], field.type) for field in schema], schema=schema
    )
