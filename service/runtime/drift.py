"""Whether what models meet and say is still what they were trained on.

Now and then the offers of a batch are counted into the bins of their models' references: what was offered is
what training learns from, so the two are alike as long as nothing has changed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from models.reference import Bins, Reference
from service.decisioning.scoring import BoundModel
from service.decisioning.snapshot import Snapshot
from service.observability import metrics
from service.observability.counts import FadingCounts, shared_folder
from service.runtime.decision import Decision

# finding the series of some labels takes the client longer than setting it does
_feature_psi = cache(metrics.FEATURE_PSI.labels)
_missing = cache(metrics.MISSING_SHARE.labels)
_missing_trained = cache(metrics.MISSING_SHARE_TRAINED.labels)

PAUSE = 0.1
"""Seconds between two batches that are counted, so that it costs the same however many there are."""
MOST_OFFERS = 64
"""Of a batch, and of one model: of the one whose turn it is."""
LEAST_OFFERS = 200.0
"""Below which nothing is said: so few are spread by chance."""


@dataclass(frozen=True, slots=True, eq=False)
class _Watched:
    model: BoundModel
    features: tuple[str, ...]
    bins: Bins
    counts: FadingCounts


class Drift:
    """Watches the champions of one snapshot; what challengers decide is another population."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._watched: list[_Watched] = []
        self._next = 0.0

    def adopt(self, snapshot: Snapshot, references: Mapping[str, Reference]) -> None:
        """Watch the models of a snapshot that have a reference, from now on; what was counted of the same
        versions counts on."""
        self._snapshot = snapshot
        counted = {(w.model.name, w.model.version): w.counts for w in self._watched}
        self._watched = [
            _watched(model, references[model.name], counted.get((model.name, model.version)))
            for model in snapshot.models
            if model.name in references
        ]

    def note(self, decisions: Sequence[Decision]) -> None:
        """Look at decisions, at least one, that were made together and are no dry runs."""
        first = decisions[0]
        if first.decided_at < self._next or first.snapshot is not self._snapshot or not self._watched:
            return
        self._next = first.decided_at + PAUSE
        rows = [decision.row for decision in decisions if decision.decisions is first.decisions]
        picks, _ = first.chosen.among(rows)
        offered = np.array([rows[place] for place in picks.row], np.intp)
        actions = np.array(picks.action, np.intp)
        for watched in self._watched:
            mine = np.flatnonzero(watched.model.actions[actions])[:MOST_OFFERS]
            if mine.size:
                values = _values(watched.model, first, offered[mine], actions[mine])
                watched.counts.add(watched.bins.counts(values), first.decided_at)
                self._watched.remove(watched)
                self._watched.append(watched)  # it is the others' turn
                return

    def refresh_metrics(self, now: float) -> None:
        """Say how far from training it is; nothing (NaN) where too little was counted."""
        for watched in self._watched:
            name, bins, counts = watched.model.name, watched.bins, watched.counts.total(now)
            offers = float(counts[-1].sum())
            metrics.DRIFT_OFFERS.labels(name).set(offers)
            enough = offers >= LEAST_OFFERS
            *features, score = bins.instability(counts).tolist() if enough else [math.nan] * len(counts)
            metrics.SCORE_PSI.labels(name).set(score)
            for feature, instability in zip(watched.features, features, strict=True):
                _feature_psi(name, feature).set(instability)
            missing, trained = counts[:-1, -1] / max(1.0, offers), bins.shares[:-1, -1]
            for place in np.flatnonzero((missing > 0.0) | (trained > 0.0)).tolist():
                labels = name, watched.features[place]
                _missing(*labels).set(missing[place] if enough else math.nan)
                _missing_trained(*labels).set(trained[place])


def _watched(model: BoundModel, reference: Reference, counts: FadingCounts | None) -> _Watched:
    bins = reference.bins
    if counts is None:
        counts = FadingCounts(f"drift_{model.name}_{model.version}", bins.shape, shared_folder())
    return _Watched(model, tuple(reference.features), bins, counts)


def _values(
    model: BoundModel, decision: Decision, rows: NDArray[np.intp], actions: NDArray[np.intp]
) -> NDArray[np.float64]:
    """What the model reads of k offers, and what it says of them: k x (features + 1)."""
    inputs = model.inputs(decision.decisions.batch, rows, actions)
    scores = model.calibration.apply(model.scorer.margins(inputs))
    return np.column_stack([inputs[:, : len(model.layout.columns)], scores])
