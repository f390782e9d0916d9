"""Deciding for customers of the telco workspace, and reading the answers as a marketer would."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feature_store.history import RECORD, name_hash
from feature_store.schema import Source
from service.decisioning.batch import Batch
from service.decisioning.explain import Candidate, explain
from service.decisioning.pipeline import Decisions, decide
from service.decisioning.snapshot import Snapshot
from service.decisioning.touches import Touches
from service.decisioning.volumes import UNLIMITED
from service.workspace.loading import LoadedModels, Workspace, compile_snapshot

ADULT = {"age": 40, "is_account_holder": True, "products": ["internet", "mobile", "tv"]}
SELLING = {"sales", "upsell", "cross_sell"}
TODAY = 1_795_000_000.0  # Wednesday, 18 November 2026, 12:06 in Brussels
HOUR, DAY = 3_600.0, 86_400.0


class Touch(NamedTuple):
    """Something in a customer's contact history."""

    at: float
    outcome: str
    channel: str
    action: str


@dataclass(frozen=True)
class Answer:
    """What one customer is offered."""

    snapshot: Snapshot
    decisions: Decisions

    @property
    def placements(self) -> dict[str, list[str]]:
        """The names of the actions, by placement."""
        catalogue, slate = self.snapshot.catalogue, self.decisions.slate
        found: dict[str, list[str]] = {}
        for slot, action in zip(slate.slot.tolist(), slate.action.tolist(), strict=True):
            found.setdefault(catalogue.slots[slot].placement.id, []).append(catalogue.actions[action].name)
        return found

    @property
    def actions(self) -> set[str]:
        """Their names."""
        return {name for names in self.placements.values() for name in names}

    @property
    def issues(self) -> set[str]:
        """What they are about."""
        catalogue = self.snapshot.catalogue
        return {catalogue.actions[catalogue.action_index[name]].issue for name in self.actions}

    @property
    def candidates(self) -> dict[str, Candidate]:
        """What there is to say of every action."""
        found = explain(self.snapshot, self.decisions, 0, everything=True)
        return {candidate.action: candidate for candidate in found}

    @property
    def rules(self) -> dict[str, str | None]:
        """What took each action out; None for what was chosen."""
        return {name: candidate.rule for name, candidate in self.candidates.items()}

    def worth(self, action: str, factor: str = "priority") -> float:
        """A factor of an action."""
        column = getattr(self.decisions.factors, factor)
        return float(column[0, self.snapshot.catalogue.action_index[action]])


def unlearned(workspace: Workspace) -> Snapshot:
    """The workspace as it decides on declared propensities."""
    catalogue = workspace.catalogue
    actions = tuple(replace(action, model=None) for action in catalogue.actions)
    files = replace(workspace.files, catalogue=replace(catalogue, actions=actions))
    return compile_snapshot(replace(workspace, files=files), models=LoadedModels({}, {}))


def requests(
    snapshot: Snapshot, X: NDArray[np.float64], channel: str, now: float = TODAY, **columns: Any
) -> Batch:
    """Requests of customers (n x F) for all placements of a channel."""
    catalogue = snapshot.catalogue
    limits = np.zeros((len(X), len(catalogue.slots)), np.int32)
    for slot in catalogue.channel_slots[channel]:
        limits[:, slot] = catalogue.slots[slot].placement.limit
    index = np.full(len(X), catalogue.channel_index[channel])
    filled = np.where(np.isnan(X), snapshot.schema.defaults, X)
    scored = np.zeros(len(X), np.bool_)
    return Batch(filled, np.full(len(X), now), index, limits, scored, **columns)


def ask(
    snapshot: Snapshot,
    channel: str = "web",
    *,
    now: float = TODAY,
    history: Sequence[Touch] = (),
    of_account: Sequence[Touch] = (),
    spent: Sequence[str] = (),
    **values: Any,
) -> Answer:
    """What an adult, of whom `values` are known, is offered. `spent` names exhausted volume limits."""
    X = np.full((1, snapshot.schema.width), np.nan)
    assert not snapshot.schema.encode({**ADULT, **values}, X[0], tuple(Source))
    names = [limit.name for limit in snapshot.volumes]
    assert set(spent) <= set(names)
    budgets = np.array([[0 if name in spent else UNLIMITED for name in names]], np.int32)
    batch = requests(
        snapshot,
        X,
        channel,
        now,
        touches=touches(snapshot, history),
        account_touches=touches(snapshot, of_account),
        budgets=budgets if spent else None,
    )
    return Answer(snapshot, decide(snapshot, batch))


def touches(snapshot: Snapshot, history: Sequence[Touch], row: int = 0, of: int = 1) -> Touches:
    """The history of one of `of` requests."""
    catalogue = snapshot.catalogue
    said = {(one.action, one.channel): one.name for one in reversed(catalogue.treatments)}
    records = np.zeros(len(history), RECORD)
    for record, touch in zip(records, history, strict=True):
        action = catalogue.actions[catalogue.action_index[touch.action]]
        names = {
            "outcome": touch.outcome,
            "channel": touch.channel,
            "issue": action.issue,
            "group": action.group,
            "action": action.name,
            "treatment": said[touch.action, touch.channel],
        }
        record["time"] = touch.at
        for kind, name in names.items():
            record[kind] = name_hash(name)
    rows = np.full(len(history), row, np.intp)
    return Touches(records, rows, np.full(len(history), np.inf), np.full(of, -np.inf))
