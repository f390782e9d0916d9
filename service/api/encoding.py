"""Decisions as JSON, straight from their columns, each encoded once."""

from typing import NamedTuple
from weakref import WeakKeyDictionary

import msgspec
from msgspec import UNSET, Raw, UnsetType

from feature_store.feature import iso_timestamp
from service.decisioning.adaptation import NOWHERE
from service.decisioning.catalogue import Treatment
from service.decisioning.content import rendered
from service.decisioning.explain import Candidate, explain
from service.decisioning.offers import Promise
from service.decisioning.snapshot import Snapshot
from service.runtime.decision import Decision
from service.runtime.tokens import Signer, packed

Explanation = list[Candidate]
encode = msgspec.json.Encoder().encode


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
    """`views.DecisionView` in the form that encodes fastest."""

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

    What depends on the snapshot alone is made once for it.
    """

    def __init__(self, signer: Signer, token_seconds: float) -> None:
        self.sign, self.token_seconds = signer.sign, token_seconds
        self._seal = signer.seal
        self._wordings: WeakKeyDictionary[Snapshot, _Wording] = WeakKeyDictionary()

    def encode(self, decision: Decision) -> bytes:
        """The answer to one request."""
        request, snapshot = decision.request, decision.snapshot
        wording = self._wordings.get(snapshot)
        if wording is None:
            wording = self._wordings[snapshot] = _Wording(snapshot)
        explained = _explained(decision)
        filled = self._filled(decision, wording, explained)
        empty = decision.chosen.empty_of(decision.row)
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
                _milliseconds(decision.features_seconds),
                _milliseconds(decision.scoring_seconds),
                _milliseconds(decision.total_seconds),
            ),
            UNSET if explained is None else explained,
        )
        return encode(answer)

    def _filled(
        self, decision: Decision, wording: "_Wording", explained: Explanation | None
    ) -> dict[int, list[_Action]]:
        """The actions of each slot that has some."""
        picks = decision.chosen.picks_of(decision.row)
        if not picks:
            return {}
        reasons = (
            {} if explained is None else {candidate.action: candidate.reasons for candidate in explained}
        )
        at, dry_run = decision.decided_at, decision.request.dry_run
        until, offers = at + self.token_seconds, decision.decisions.offered is not None
        whom = packed(decision.decision_id, decision.request.customer_key)
        experiments, account, follows = decision.experiments, decision.account_id, decision.scored
        filled: dict[int, list[_Action]] = {}
        for (
            _,
            slot,
            index,
            treatment,
            rank,
            bundle,
            position,
            p,
            predicted,
            c,
            v,
            lever,
            priority,
            q,
        ) in picks:
            said = wording.said(slot, index, treatment)
            offer = decision.offer(index) if offers else None
            basis = (said.cell, predicted) if follows and said.cell != NOWHERE else None
            promised = None if offer is None else offer.name
            rest = packed(rank, p, q, at, until, dry_run, promised, experiments, account, basis)
            token = self._seal(whom, said.packed, rest)
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


class _Names(NamedTuple):
    issue: str
    group: str
    action: str
    treatment: str


class _Said(NamedTuple):
    """What is the same whenever a treatment is said in a slot; `packed` is its part of a grant, and `cell`
    where its outcomes are counted."""

    names: _Names
    treatment: Treatment
    content: Raw
    packed: bytes
    cell: int


class _Wording:
    """What answers take from a snapshot, in the form in which they need it. It does not hold the snapshot,
    which goes when nobody decides by it any more."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._catalogue, self._offers = snapshot.catalogue, snapshot.offers
        self._adaptation = snapshot.adaptation
        self._bundles = snapshot.slate_policy.bundles
        self.versions = Raw(encode(snapshot.versions))
        self.placements = snapshot.catalogue.placement_ids
        self.no_actions = [_NoAction(no.reason, str(no.stage)) for no in snapshot.no_actions]
        self._said: dict[tuple[int, int], _Said] = {}

    def said(self, slot: int, action: int, treatment: int) -> _Said:
        """An action said by a treatment in a slot; made at its first use."""
        said = self._said.get((slot, treatment))
        if said is None:
            said = self._said[slot, treatment] = self._make(slot, action, treatment)
        return said

    def _make(self, slot: int, action: int, treatment: int) -> _Said:
        catalogue = self._catalogue
        where, what, how = catalogue.slots[slot], catalogue.actions[action], catalogue.treatments[treatment]
        names = _Names(what.issue, what.group, what.name, how.name)
        adaptation, channel = self._adaptation, catalogue.channel_index[where.channel]
        cell = NOWHERE if adaptation is None else adaptation.numbers[channel][action]
        return _Said(names, how, Raw(how.content), packed(where.channel, where.placement.id, *names), cell)

    def content(self, said: _Said, action: int, offer: Promise) -> Raw:
        """What a treatment says, with the terms that it names."""
        if not self._offers.named.get(action):
            return said.content
        return Raw(rendered(said.treatment.content, offer.terms))

    def bundle(self, number: int, position: int) -> _Bundle:
        """The bundle that a chosen action stands in, and its place there."""
        return _Bundle(self._bundles[number].name, position)


def _offer(offer: Promise) -> _Offer:
    return _Offer(offer.name, Raw(offer.terms), iso_timestamp(offer.valid_until))


def _milliseconds(seconds: float) -> float:
    """With three places: `round` takes four times as long."""
    return int(seconds * 1e6 + 0.5) / 1000.0


def _explained(decision: Decision) -> Explanation | None:
    """Why, where the request asks for it."""
    asked = decision.request.explain
    if asked == "none":
        return None
    return explain(decision.snapshot, decision.decisions, decision.row, everything=asked == "full")
