"""How many responses models have promised of what was offered, and how many have come: if the two grow apart,
propensities do not mean any more what they say."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from feature_store.outcomes import Outcome
from models.label_rules import IMPRESSION
from models.spec import ModelSpec
from service.decisioning.challengers import TRIAL
from service.decisioning.snapshot import Snapshot
from service.observability import metrics
from service.runtime.decision import Decision

REMEMBERED = 50_000
"""Offers of which it is known that they were responded to: accepted and then bought is one response."""

Labels = tuple[str, str, str]
"""Model, version and channel."""

_expected = cache(metrics.MODEL_EXPECTED_RESPONSES.labels)


class _Table(NamedTuple):
    """The labels under which a snapshot's offers promise responses, and by slot and action which of them; the
    number of labels where none."""

    labels: list[Labels]
    places: list[list[int]]


class Responses:
    """Counts both by model, version and channel, of models that predict responses.

    What a model promises is what it has predicted, before outcomes correct it: else they would hide that it
    is wrong. In a channel that reports impressions a response is promised by what was seen, else by what was
    offered.
    """

    def __init__(self) -> None:
        self._models: Mapping[str, str] = {}
        self._versions: Mapping[str, str] = {}
        self._positive: Mapping[str, Collection[str]] = {}
        self._by_impressions: frozenset[str] = frozenset()
        self._tables: WeakKeyDictionary[Snapshot, _Table] = WeakKeyDictionary()
        self._responded: dict[tuple[str, str], None] = {}

    def adopt(self, snapshot: Snapshot, specs: Mapping[str, ModelSpec]) -> None:
        """Count by the models of a snapshot from now on. What models of uplift say is no share of
        responses."""
        actions, models = snapshot.catalogue.actions, snapshot.models
        self._positive = {m.name: specs[m.name].positive for m in models if specs[m.name].control is None}
        self._models = {
            actions[index].name: model.name
            for model in models
            if model.name in self._positive
            for index in np.flatnonzero(model.actions).tolist()
        }
        self._versions = snapshot.model_versions
        self._tables.clear()
        self._by_impressions = frozenset(c.name for c in snapshot.catalogue.channels if c.reports_impressions)

    def offered(self, together: Iterable[Sequence[Decision]]) -> None:
        """Count what was offered, by decisions that were made together."""
        promised: dict[Snapshot, list[float]] = {}
        for decisions in together:
            snapshot = decisions[0].snapshot
            table = self._tables.get(snapshot) or self._table(snapshot)
            sums = promised.setdefault(snapshot, [0.0] * (len(table.labels) + 1))
            picks, _ = decisions[0].chosen.among([decision.row for decision in decisions])
            for slot, action, predicted in zip(picks.slot, picks.action, picks.predicted, strict=True):
                sums[table.places[slot][action]] += predicted
        for snapshot, sums in promised.items():
            for labels, responses in zip(self._tables[snapshot].labels, sums, strict=False):
                if responses:
                    _expected(*labels).inc(responses)

    def _table(self, snapshot: Snapshot) -> "_Table":
        """Under which labels a snapshot's offers promise something."""
        catalogue, versions = snapshot.catalogue, snapshot.model_versions
        models = [self._models.get(action.name) for action in catalogue.actions]
        channels = [None if s.channel in self._by_impressions else s.channel for s in catalogue.slots]
        labels = [
            (m, versions[m], c) for m in self._positive if m in versions for c in dict.fromkeys(channels) if c
        ]
        found = {(model, channel): place for place, (model, _, channel) in enumerate(labels)}
        places = [[found.get((m or "", c or ""), len(labels)) for m in models] for c in channels]
        table = self._tables[snapshot] = _Table(labels, places)
        return table

    def reported(self, outcomes: Iterable[Outcome]) -> None:
        """Count new outcomes. Without a challenger they go to the version that serves now."""
        for outcome in outcomes:
            model = self._models.get(outcome.action)
            if model is None:
                continue
            version = outcome.experiments.get(TRIAL + model, self._versions[model])
            labels = model, version, outcome.channel
            if outcome.outcome == IMPRESSION and outcome.channel in self._by_impressions:
                _expected(*labels).inc(outcome.predicted or outcome.propensity)
            if outcome.outcome in self._positive[model] and self._is_first(outcome):
                metrics.MODEL_RESPONSES.labels(*labels).inc()

    def _is_first(self, outcome: Outcome) -> bool:
        """Whether nothing is known of a response to the same offer."""
        offer = outcome.decision_id, outcome.action
        if offer in self._responded:
            return False
        if len(self._responded) >= REMEMBERED:
            del self._responded[next(iter(self._responded))]
        self._responded[offer] = None
        return True
