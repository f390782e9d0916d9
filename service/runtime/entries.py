"""Decisions as entries of their log."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from feature_store.decision_log import DecisionEntry, Empty, Picks
from service.runtime import chosen
from service.runtime.decision import Decision
from service.runtime.shadowing import shadowed
from service.version import SOFTWARE


def entry_of(decisions: Sequence[Decision]) -> DecisionEntry:
    """The entry of some decisions of one snapshot."""
    snapshot = decisions[0].snapshot
    catalogue, schema = snapshot.catalogue, snapshot.schema
    batches = grouped(decisions, by=lambda decision: decision.chosen)
    decisions = list(chain.from_iterable(batches))
    picks, empty = _numbered_through(batches)
    placements, actions, treatments = catalogue.placement_ids, catalogue.actions, catalogue.treatments
    decided_at = [decision.decided_at for decision in decisions]
    X = np.concatenate([found[0].decisions.batch.X[_rows(found)] for found in batches])
    X[:, schema.timestamps] -= np.array(decided_at)[:, None]
    return DecisionEntry(
        software=SOFTWARE,
        snapshot=snapshot.version,
        catalogue=catalogue.version,
        features=schema.fingerprint,
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
        actions={
            action.name: (action.issue, action.group)
            for action in map(actions.__getitem__, dict.fromkeys(picks.action))
        },
        picks=Picks(
            decision=picks.row,
            placement=[placements[slot] for slot in picks.slot],
            rank=picks.rank,
            action=[actions[index].name for index in picks.action],
            treatment=[treatments[index].name for index in picks.treatment],
            propensity=picks.propensity,
            context_weight=picks.context_weight,
            value=picks.value,
            lever=picks.lever,
            priority=picks.priority,
            selection_probability=picks.selection_probability,
            predicted=[] if picks.predicted == picks.propensity else picks.predicted,
            shadows=_shadowed(batches) if snapshot.shadows else [],
        ),
        empty=Empty(
            decision=empty.row,
            placement=[placements[slot] for slot in empty.slot],
            reason=[snapshot.no_actions[code].reason for code in empty.code],
        ),
    )


def grouped(decisions: Iterable[Decision], by: Callable[[Decision], object]) -> list[list[Decision]]:
    """Decisions with the same object together, in their order."""
    together: dict[int, list[Decision]] = {}
    for decision in decisions:
        together.setdefault(id(by(decision)), []).append(decision)
    return list(together.values())


def _rows(decisions: Sequence[Decision]) -> list[int]:
    """Where decisions of one batch stand in it."""
    return [decision.row for decision in decisions]


def _numbered_through(batches: Sequence[Sequence[Decision]]) -> tuple[chosen.Picks, chosen.Empty]:
    """What was offered by decisions of some batches, and what stayed empty; a row is the number of the
    decision among all of them."""
    picks, empty, first = chosen.Picks.none(), chosen.Empty.none(), 0
    columns: list[list[Any]] = [*picks[1:], *empty[1:]]
    for decisions in batches:
        offered, left = decisions[0].chosen.among(_rows(decisions))
        picks.row.extend([first + row for row in offered.row])
        empty.row.extend([first + row for row in left.row])
        added: list[list[Any]] = [*offered[1:], *left[1:]]
        for column, more in zip(columns, added, strict=True):
            column += more
        first += len(decisions)
    return picks, empty


def _shadowed(batches: Sequence[Sequence[Decision]]) -> list[dict[str, float]]:
    """What shadows have said of what was offered."""
    said = []
    for decisions in batches:
        rows, first = _rows(decisions), decisions[0]
        picks, _ = first.chosen.among(rows)
        offered = [rows[place] for place in picks.row]
        said += shadowed(first.snapshot.shadows, first.decisions, offered, picks.action)
    return said
