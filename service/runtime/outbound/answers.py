"""Answers as rows of a table: one for each chosen action, and one for each placement that stays empty."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from service.decisioning.content import rendered
from service.decisioning.experiments import Assigned, arm_of
from service.decisioning.offers import Offered
from service.decisioning.pipeline import Decisions
from service.decisioning.slate import Slate
from service.decisioning.snapshot import Snapshot

Positions = NDArray[np.intp]
Columns = Mapping[str, NDArray[Any]]

NOTHING = -1
"""In the place of a position where there is nothing to name."""
NOBODY = -1
"""In the place of the number of a customer."""

OF_ACTION = ("issue", "group", "action", "treatment", "content", "bundle", "offer", "offer_terms")
OF_EMPTY = ("no_action_reason", "no_action_stage")
OF_DECISION = ("arm", "experiments", "mode", "degraded")
NAMED = ("channel", "placement", *OF_ACTION, *OF_EMPTY, *OF_DECISION)
"""The columns that have few different texts."""
FACTORS = ("propensity", "context_weight", "value", "lever", "priority")


class Names:
    """Texts in the order in which they were first met."""

    def __init__(self) -> None:
        self._positions: dict[str, int] = {}

    def position(self, text: str) -> int:
        """Where a text stands; a new one comes last."""
        return self._positions.setdefault(text, len(self._positions))

    @property
    def texts(self) -> list[str]:
        """All of them."""
        return list(self._positions)


class Answers:
    """Collects the decisions of one snapshot, batch by batch, as columns."""

    def __init__(self, snapshot: Snapshot) -> None:
        catalogue, said = snapshot.catalogue, snapshot.catalogue.treatments
        self._snapshot = snapshot
        self._names = {name: Names() for name in NAMED}
        self._of_action = {
            "issue": self._stand("issue", [action.issue for action in catalogue.actions]),
            "group": self._stand("group", [action.group for action in catalogue.actions]),
            "action": self._stand("action", [action.name for action in catalogue.actions]),
        }
        self._of_treatment = {
            "treatment": self._stand("treatment", [treatment.name for treatment in said]),
            "content": self._stand("content", [treatment.content.decode() for treatment in said]),
        }
        self._of_slot = {
            "channel": self._stand("channel", [slot.channel for slot in catalogue.slots]),
            "placement": self._stand("placement", [slot.placement.id for slot in catalogue.slots]),
        }
        self._of_code = {
            "no_action_reason": self._stand("no_action_reason", [why.reason for why in snapshot.no_actions]),
            "no_action_stage": self._stand(
                "no_action_stage", [str(why.stage) for why in snapshot.no_actions]
            ),
        }
        self._bundles = self._stand("bundle", [bundle.name for bundle in snapshot.slate_policy.bundles])
        self._parts: list[dict[str, NDArray[Any]]] = []

    def add(
        self,
        decisions: Decisions,
        customers: Positions,
        degraded: Sequence[tuple[str, ...]] | None = None,
    ) -> None:
        """Take in decisions for the customers of these numbers; of the rows that are `NOBODY`'s nothing is
        taken. `degraded` has for each row what was missing; None: nothing was, for nobody."""
        slate = decisions.slate
        picked = self._picked(decisions)
        empty = self._empty(slate, picked)
        of_decision = self._of_decisions(decisions, degraded)
        row, slot = np.append(slate.row, slate.empty_row), np.append(slate.slot, slate.empty_slot)
        columns = {name: np.append(picked[name], empty[name]) for name in picked}
        columns |= {name: positions[row] for name, positions in of_decision.items()}
        columns |= {name: positions[slot] for name, positions in self._of_slot.items()}
        columns |= {"customer": customers[row], "slot": slot}
        if (customers == NOBODY).any():
            taken = columns["customer"] != NOBODY
            columns = {name: column[taken] for name, column in columns.items()}
        self._parts.append(columns)

    @cached_property
    def columns(self) -> Columns:
        """What was taken in: positions of names, and numbers, in order of (customer, slot, rank)."""
        columns = {name: np.concatenate([part[name] for part in self._parts]) for name in self._parts[0]}
        # a slot is filled or empty: the ranks in it, in order already, stay so
        order = np.lexsort((columns.pop("slot"), columns["customer"]))
        return {name: column[order] for name, column in columns.items()}

    def texts(self, name: str) -> list[str]:
        """The texts that the positions of a column mean."""
        return self._names[name].texts

    def _stand(self, name: str, texts: Sequence[str]) -> Positions:
        return np.array([self._names[name].position(text) for text in texts], np.intp)

    def _picked(self, decisions: Decisions) -> dict[str, NDArray[Any]]:
        """The columns of what was chosen."""
        slate, factors = decisions.slate, decisions.factors
        at = slate.row, slate.action
        columns: dict[str, NDArray[Any]] = {name: getattr(factors, name)[at] for name in FACTORS}
        columns |= {name: positions[slate.action] for name, positions in self._of_action.items()}
        columns |= {name: positions[slate.treatment] for name, positions in self._of_treatment.items()}
        nothing = np.full(len(slate.row), NOTHING)
        columns["rank"], columns["selection_probability"] = slate.rank, slate.selection_probability
        columns["bundle_position"] = slate.position
        columns["bundle"] = np.append(self._bundles, NOTHING)[slate.bundle]
        columns |= dict.fromkeys((*OF_EMPTY, "offer", "offer_terms"), nothing)
        columns["offer_valid_until"] = np.full(len(slate.row), np.nan)
        if decisions.offered is not None:
            self._put_offers(columns, slate, decisions.offered)
        return columns

    def _put_offers(self, columns: dict[str, NDArray[Any]], slate: Slate, offered: Offered) -> None:
        """The offers of those chosen actions that are made on one, and what the treatments say with them."""
        offer, terms, content = (columns[name].copy() for name in ("offer", "offer_terms", "content"))
        treatments, named = self._snapshot.catalogue.treatments, self._snapshot.offers.named
        for pick in np.flatnonzero(offered.numbers[slate.row, slate.action] >= 0).tolist():
            action = int(slate.action[pick])
            promise = offered.of(int(slate.row[pick]), action)
            if promise is None:
                continue
            offer[pick] = self._names["offer"].position(promise.name)
            terms[pick] = self._names["offer_terms"].position(promise.terms.decode())
            columns["offer_valid_until"][pick] = promise.valid_until
            if named.get(action):
                said = rendered(treatments[int(slate.treatment[pick])].content, promise.terms)
                content[pick] = self._names["content"].position(said.decode())
        columns |= {"offer": offer, "offer_terms": terms, "content": content}

    def _empty(self, slate: Slate, like: Columns) -> dict[str, NDArray[Any]]:
        """The same columns of what stays empty."""
        columns: dict[str, NDArray[Any]] = {
            name: np.full(len(slate.empty_row), np.nan if column.dtype.kind == "f" else NOTHING)
            for name, column in like.items()
        }
        return columns | {name: positions[slate.empty_code] for name, positions in self._of_code.items()}

    def _of_decisions(
        self, decisions: Decisions, degraded: Sequence[tuple[str, ...]] | None
    ) -> dict[str, Positions]:
        """What is said of each decision as a whole, by request."""
        n = len(decisions.batch)
        full, missing, fallback = self._stand("mode", ["full", "degraded", "fallback"]).tolist()
        modes, what = np.full(n, full), np.full(n, self._names["degraded"].position("[]"))
        rows = [row for row, one in enumerate(degraded or ()) if one]
        if degraded is not None and rows:
            modes[rows] = missing
            what[rows] = self._stand("degraded", [_json(degraded[row]) for row in rows])
        modes[self._fallback(decisions)] = fallback
        return self._of_arms(decisions.assigned) | {"mode": modes, "degraded": what}

    def _of_arms(self, assigned: Assigned) -> dict[str, Positions]:
        """The arms of each request, worded once for all who share them."""
        met: dict[bytes, int] = {}
        alike = [met.setdefault(arms.tobytes(), row) for row, arms in enumerate(assigned.arms)]
        rows = list(met.values())
        arms = [self._snapshot.experiments.arms(assigned, row) for row in rows]
        arm: Positions = np.empty(len(alike), np.intp)
        experiments: Positions = np.empty_like(arm)
        arm[rows] = self._stand("arm", [arm_of(each) for each in arms])
        experiments[rows] = self._stand("experiments", [_json(each) for each in arms])
        return {"arm": arm[alike], "experiments": experiments[alike]}

    def _fallback(self, decisions: Decisions) -> NDArray[np.bool_]:
        """n: whether there is something in the answer, and nothing but fallbacks."""
        fallbacks, slate, n = self._snapshot.catalogue.fallbacks, decisions.slate, len(decisions.batch)
        if fallbacks is None:
            return np.zeros(n, np.bool_)
        chosen = np.bincount(slate.row, minlength=n)
        found: NDArray[np.bool_] = np.bincount(slate.row, fallbacks[slate.action], minlength=n) == chosen
        return found & (chosen > 0)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
