"""Decisions as JSON, straight from their columns."""

from typing import Any

import msgspec

from feature_store.feature import iso_timestamp
from service.decisioning.catalogue import Treatment
from service.decisioning.content import rendered
from service.decisioning.explain import Candidate, explain
from service.decisioning.offers import Promise
from service.decisioning.slate import Slate
from service.decisioning.snapshot import Snapshot
from service.runtime.decision import Decision
from service.runtime.tokens import Grant, Signer

JSON_TYPE = "application/json"
Explanation = list[Candidate]
encode = msgspec.json.Encoder().encode


class DecisionEncoder:
    """Turns decisions into their JSON documents, with a signed token for every offered action."""

    def __init__(self, signer: Signer, token_seconds: float) -> None:
        self.sign, self.token_seconds = signer.sign, token_seconds

    def document(self, decision: Decision) -> dict[str, Any]:
        """The answer to one request, ready to be encoded; the treatments' content is JSON already."""
        request, snapshot = decision.request, decision.snapshot
        explained = _explained(decision)
        filled, empty = self._filled(decision, explained), _empty(decision)
        document: dict[str, Any] = {
            "decision_id": decision.decision_id,
            "customer_id": request.customer_id,
            "anonymous_id": request.anonymous_id,
            "channel": request.channel,
            "placements": [
                {
                    "id": snapshot.catalogue.slots[slot].placement.id,
                    "actions": filled.get(slot, []),
                    "no_action": empty.get(slot),
                }
                for slot, _ in decision.checked.slots
            ],
            "arm": decision.arm,
            "experiments": decision.experiments,
            "mode": decision.mode,
            "degraded": decision.degraded,
            "warnings": decision.checked.warnings,
            "versions": snapshot.versions,
            "timings_ms": {
                "features": round(decision.features_seconds * 1000, 3),
                "scoring": round(decision.scoring_seconds * 1000, 3),
                "total": round(decision.total_seconds * 1000, 3),
            },
        }
        if explained is not None:
            document["explanation"] = explained
        return document

    def _filled(
        self, decision: Decision, explained: list[Candidate] | None
    ) -> dict[int, list[dict[str, Any]]]:
        """The actions of each slot that has some."""
        slate, catalogue, row = decision.decisions.slate, decision.snapshot.catalogue, decision.row
        filled: dict[int, list[dict[str, Any]]] = {}
        reasons = {candidate.action: candidate.reasons for candidate in explained or ()}
        first, last = slate.row.searchsorted([row, row + 1]).tolist()
        for pick in range(first, last):
            slot, index = int(slate.slot[pick]), int(slate.action[pick])
            action, treatment = catalogue.actions[index], catalogue.treatments[int(slate.treatment[pick])]
            propensity = float(decision.decisions.factors.propensity[row, index])
            probability = float(slate.selection_probability[pick])
            offer = decision.offer(index)
            grant = Grant(
                decision_id=decision.decision_id,
                customer=decision.request.customer_key,
                account=decision.account_id,
                channel=decision.request.channel,
                placement=catalogue.slots[slot].placement.id,
                issue=action.issue,
                group=action.group,
                action=action.name,
                treatment=treatment.name,
                rank=int(slate.rank[pick]),
                propensity=propensity,
                selection_probability=probability,
                decided_at=decision.decided_at,
                expires_at=decision.decided_at + self.token_seconds,
                dry_run=decision.request.dry_run,
                offer=offer.name if offer else None,
                experiments=dict(decision.experiments),
            )
            filled.setdefault(slot, []).append(
                {
                    "rank": grant.rank,
                    "issue": action.issue,
                    "group": action.group,
                    "action": action.name,
                    "treatment": treatment.name,
                    "propensity": propensity,
                    "context_weight": float(decision.decisions.factors.context_weight[row, index]),
                    "value": float(decision.decisions.factors.value[row, index]),
                    "lever": float(decision.decisions.factors.lever[row, index]),
                    "priority": float(decision.decisions.factors.priority[row, index]),
                    "selection_probability": probability,
                    "bundle": _bundle(decision.snapshot, slate, pick),
                    "offer": _offer(offer) if offer else None,
                    "content": msgspec.Raw(_content(decision.snapshot, index, treatment, offer)),
                    "token": self.sign(grant),
                    **({} if explained is None else {"reasons": reasons[action.name]}),
                }
            )
        return filled


def _bundle(snapshot: Snapshot, slate: Slate, pick: int) -> dict[str, Any] | None:
    """The bundle that a chosen action stands in, and its place there."""
    number = int(slate.bundle[pick])
    if number < 0:
        return None
    bundle = snapshot.slate_policy.bundles[number]
    return {"name": bundle.name, "position": int(slate.position[pick])}


def _offer(offer: Promise) -> dict[str, Any]:
    return {
        "name": offer.name,
        "terms": msgspec.Raw(offer.terms),
        "valid_until": iso_timestamp(offer.valid_until),
    }


def _content(snapshot: Snapshot, action: int, treatment: Treatment, offer: Promise | None) -> bytes:
    """What a treatment says, with the terms that it names."""
    if offer is None or not snapshot.offers.named.get(action):
        return treatment.content
    return rendered(treatment.content, offer.terms)


def _empty(decision: Decision) -> dict[int, dict[str, str]]:
    """Why each slot without an action has none."""
    slate = decision.decisions.slate
    first, last = slate.empty_row.searchsorted([decision.row, decision.row + 1]).tolist()
    empty = {}
    for index in range(first, last):
        no_action = decision.snapshot.no_actions[int(slate.empty_code[index])]
        empty[int(slate.empty_slot[index])] = {"reason": no_action.reason, "stage": str(no_action.stage)}
    return empty


def _explained(decision: Decision) -> Explanation | None:
    """Why, where the request asks for it."""
    asked = decision.request.explain
    if asked == "none":
        return None
    return explain(decision.snapshot, decision.decisions, decision.row, everything=asked == "full")
