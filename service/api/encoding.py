"""Decisions as JSON, straight from their columns, each encoded once."""

from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET, Raw, UnsetType

from feature_store.feature import iso_timestamp
from service.decisioning.catalogue import Treatment
from service.decisioning.content import rendered
from service.decisioning.explain import Candidate, explain
from service.decisioning.offers import Promise
from service.decisioning.pipeline import Decisions
from service.decisioning.snapshot import Snapshot
from service.runtime.decision import Decision
from service.runtime.tokens import Signer, packed

Explanation = list[Candidate]
encode = msgspec.json.Encoder().encode
NO_OFFER = packed(None)


class _NoAction(msgspec.Struct, gc=False):
    reason: str
    stage: str


class _Bundle(msgspec.Struct, gc=False):
    name: str
    position: int


class _Offer(msgspec.Struct, gc=False):
    name: str
    terms: Raw
    valid_until: str


class _Action(msgspec.Struct, gc=False):
    rank: int
    issue: str
    group: str
    action: str
    treatment: str
    propensity: float
    context_weight: float
    value: float
    lever: float
    priority: float
    selection_probability: float
    bundle: _Bundle | None
    offer: _Offer | None
    content: Raw
    token: str
    reasons: list[str] | UnsetType | None


class _Placement(msgspec.Struct, gc=False):
    id: str
    actions: list[_Action]
    no_action: _NoAction | None


class _Timings(msgspec.Struct, gc=False):
    features: float
    scoring: float
    total: float


class _Answer(msgspec.Struct, gc=False):
    """`schemas.DecisionView` in the form that encodes fastest."""

    decision_id: str
    customer_id: str | None
    anonymous_id: str | None
    channel: str
    placements: list[_Placement]
    arm: str
    experiments: dict[str, str]
    mode: str
    degraded: tuple[str, ...]
    warnings: tuple[str, ...]
    versions: Raw
    timings_ms: _Timings
    explanation: Explanation | UnsetType


class DecisionEncoder:
    """Turns decisions into JSON, with a signed token for every offered action.

    What depends on the snapshot alone is made once for it, and what is gathered from the columns of a batch
    once for that: answers of one batch are encoded one after another.
    """

    def __init__(self, signer: Signer, token_seconds: float) -> None:
        self.sign, self.token_seconds = signer.sign, token_seconds
        self._seal = signer.seal
        self._wording: _Wording | None = None
        self._chosen: _Chosen | None = None

    def encode(self, decision: Decision) -> bytes:
        """The answer to one request."""
        request, snapshot, taken = decision.request, decision.snapshot, decision.decisions
        wording, chosen = self._wording, self._chosen
        if wording is None or wording.snapshot is not snapshot:
            wording = self._wording = _Wording(snapshot)
        if chosen is None or chosen.decisions is not taken:
            chosen = self._chosen = _Chosen(taken)
        explained = _explained(decision)
        filled = self._filled(decision, wording, chosen, explained)
        empty = chosen.empty(decision.row)
        placements = []
        for slot, _ in decision.checked.slots:
            no_action = wording.no_actions[empty[slot]] if slot in empty else None
            placements.append(_Placement(wording.placements[slot], filled.get(slot, []), no_action))
        answer = _Answer(
            decision.decision_id,
            request.customer_id,
            request.anonymous_id,
            request.channel,
            placements,
            decision.arm,
            decision.experiments,  # type: ignore[arg-type]  # encoded as a mapping of any kind is
            decision.mode,
            decision.degraded,
            decision.checked.warnings,
            wording.versions,
            _Timings(
                round(decision.features_seconds * 1000, 3),
                round(decision.scoring_seconds * 1000, 3),
                round(decision.total_seconds * 1000, 3),
            ),
            UNSET if explained is None else explained,
        )
        return encode(answer)

    def _filled(
        self, decision: Decision, wording: "_Wording", chosen: "_Chosen", explained: Explanation | None
    ) -> dict[int, list[_Action]]:
        """The actions of each slot that has some."""
        picks = chosen.picks(decision.row)
        if not picks:
            return {}
        reasons = {candidate.action: candidate.reasons for candidate in explained or ()}
        until = decision.decided_at + self.token_seconds
        whom = packed(decision.decision_id, decision.request.customer_key)
        when = packed(decision.decided_at, until, decision.request.dry_run)
        within = packed(decision.experiments, decision.account_id)
        filled: dict[int, list[_Action]] = {}
        for pick in picks:
            slot, index, treatment, rank, bundle, position, p, c, v, lever, priority, q = pick
            said = wording.said(slot, index, treatment)
            offer = None if chosen.decisions.offered is None else decision.offer(index)
            token = self._seal(
                whom, said.packed, packed(rank, p, q), when,
                NO_OFFER if offer is None else packed(offer.name), within,
            )  # fmt: skip
            action = _Action(
                rank,
                *said.names,
                p,
                c,
                v,
                lever,
                priority,
                q,
                None if bundle < 0 else wording.bundle(bundle, position),
                None if offer is None else _offer(offer),
                said.content if offer is None else wording.content(said, index, offer),
                token,
                UNSET if explained is None else reasons[said.names.action],
            )
            filled.setdefault(slot, []).append(action)
        return filled


class _Chosen:
    """What was chosen for a batch, gathered for all of its requests at once."""

    def __init__(self, decisions: Decisions) -> None:
        slate, factors = decisions.slate, decisions.factors
        self.decisions = decisions
        rows = np.arange(len(decisions.batch) + 1)
        self._first: list[int] = slate.row.searchsorted(rows).tolist()
        self._first_empty: list[int] = slate.empty_row.searchsorted(rows).tolist()
        self._empty = list(zip(slate.empty_slot.tolist(), slate.empty_code.tolist(), strict=True))
        picks = slate.slot, slate.action, slate.treatment, slate.rank, slate.bundle, slate.position
        at = slate.row, slate.action
        numbers = (
            factors.propensity[at], factors.context_weight[at], factors.value[at], factors.lever[at],
            factors.priority[at], slate.selection_probability,
        )  # fmt: skip
        self._picks: list[Any] = list(zip(*(c.tolist() for c in (*picks, *numbers)), strict=True))

    def picks(self, row: int) -> list[Any]:
        """What was chosen for a request: of each pick its slot, action, treatment, rank, bundle and position,
        then P, C, V, L and their priority, and the probability of its selection."""
        return self._picks[self._first[row] : self._first[row + 1]]

    def empty(self, row: int) -> dict[int, int]:
        """By slot without an action the code of the removal that left it so."""
        return dict(self._empty[self._first_empty[row] : self._first_empty[row + 1]])


class _Names(NamedTuple):
    issue: str
    group: str
    action: str
    treatment: str


class _Said(NamedTuple):
    """What is the same whenever a treatment is said in a slot; `packed` is its part of a grant."""

    names: _Names
    treatment: Treatment
    content: Raw
    packed: bytes


class _Wording:
    """What answers take from a snapshot, in the form in which they need it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.versions = Raw(encode(snapshot.versions))
        self.placements = [slot.placement.id for slot in snapshot.catalogue.slots]
        self.no_actions = [_NoAction(no.reason, str(no.stage)) for no in snapshot.no_actions]
        self._said: dict[tuple[int, int], _Said] = {}

    def said(self, slot: int, action: int, treatment: int) -> _Said:
        """An action said by a treatment in a slot; made at its first use."""
        said = self._said.get((slot, treatment))
        if said is None:
            said = self._said[slot, treatment] = self._make(slot, action, treatment)
        return said

    def _make(self, slot: int, action: int, treatment: int) -> _Said:
        catalogue = self.snapshot.catalogue
        where, what, how = catalogue.slots[slot], catalogue.actions[action], catalogue.treatments[treatment]
        names = _Names(what.issue, what.group, what.name, how.name)
        return _Said(names, how, Raw(how.content), packed(where.channel, where.placement.id, *names))

    def content(self, said: _Said, action: int, offer: Promise) -> Raw:
        """What a treatment says, with the terms that it names."""
        if not self.snapshot.offers.named.get(action):
            return said.content
        return Raw(rendered(said.treatment.content, offer.terms))

    def bundle(self, number: int, position: int) -> _Bundle:
        """The bundle that a chosen action stands in, and its place there."""
        return _Bundle(self.snapshot.slate_policy.bundles[number].name, position)


def _offer(offer: Promise) -> _Offer:
    return _Offer(offer.name, Raw(offer.terms), iso_timestamp(offer.valid_until))


def _explained(decision: Decision) -> Explanation | None:
    """Why, where the request asks for it."""
    asked = decision.request.explain
    if asked == "none":
        return None
    return explain(decision.snapshot, decision.decisions, decision.row, everything=asked == "full")
