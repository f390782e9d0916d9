"""The gate: a challenger becomes champion if it is better, and nowhere worse, on what neither has seen."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.evaluation.bootstrap import Interval, cluster_sums, resampled
from models.evaluation.estimators import estimates, terms
from models.evaluation.logged import LoggedChoices
from models.evaluation.paired import differences
from models.layout import BUILT_IN
from models.metrics import Metrics
from models.model import PropensityModel
from models.table import TrainingTable
from models.verdict import Comparison, Difference, Verdict

Floats = NDArray[np.float64]

LEAST_DECISIONS = 200
"""Of fewer no interval says anything."""
LEAST_RESPONSES = 30
"""So many of what a model would have chosen, and chance did, have to be responses for a value to be told."""
MOST_SCORED = 400_000
"""Pairs of a decision and an action that are scored for the value, the newest ones."""
ESTIMATORS = ("snips", "dr")
PRIORS = "the declared prior"
"""What has served where there was no model."""

_WORDS = {"log_loss": "log loss", "ece": "ECE", "auc": "AUC", "snips": "value (SNIPS)", "dr": "value (DR)"}
_LESS_IS_BETTER = ("log_loss", "ece")


@dataclass(frozen=True)
class Contender:
    """A model with n decisions as it reads them, n x width."""

    model: PropensityModel
    rows: Floats

    @classmethod
    def of(cls, model: PropensityModel, table: TrainingTable, chosen: NDArray[np.intp]) -> Self:
        """For the chosen rows of a table that has the features that the model reads."""
        rows = table.rows[chosen]
        codes = (model.action_codes, model.channel_codes)
        for column, names, known in zip((-2, -1), (table.actions, table.channels), codes, strict=True):
            own = np.array([known.get(name, np.nan) for name in names])
            told = ~np.isnan(rows[:, column])
            rows[told, column] = own[rows[told, column].astype(np.intp)]
        return cls(model, rows)

    def scores(self) -> Floats:
        """Of the actions that were chosen, shape (n,)."""
        return self.model.score(self.rows)

    def scores_of(self, actions: tuple[str, ...], places: NDArray[np.intp]) -> Floats:
        """Of all these actions at some of the decisions, m x A."""
        rows = self.rows[places]
        found = []
        for action in actions:
            rows[:, -len(BUILT_IN)] = self.model.action_codes.get(action, np.nan)
            found.append(self.model.score(rows))
        return np.stack(found, axis=1)


def first(name: str) -> Verdict:
    """Of a model that has no champion."""
    return Verdict(passed=True, reasons=(f"'{name}' has no champion yet",))


def beside_priors(
    challenger: PropensityModel, table: TrainingTable, priors: Mapping[str, float], *, seed: int = 0
) -> Verdict:
    """Compare a first version with the propensities, by action, that were declared and have served so far, on
    the decisions of a table that are newer than all that it has learned from."""
    newer = _newer(table, _seen_until(challenger))
    labels, customers = table.labels[newer], table.customers[newer]
    if too_few := _too_few(labels, _seen_until(challenger)):
        return Verdict(passed=False, champion=PRIORS, reasons=(too_few,))
    rows = Contender.of(challenger, table, newer)
    declared = np.array([priors[action] for action in table.actions])
    served = declared[table.rows[newer, -len(BUILT_IN)].astype(np.intp)]
    found = differences(labels, rows.scores(), served, customers, seed)
    judged = {name: Difference.of(interval) for name, interval in found.items()}
    ways = {name: _way(name, difference) for name, difference in judged.items()}
    passed = max(ways.values()) > 0 and min(ways.values()) >= 0
    return Verdict(passed=passed, champion=PRIORS, reasons=tuple(_said(judged, ways)))


def unfit(champion: str | None, why: str) -> Verdict:
    """Of a model whose champion can't serve."""
    return Verdict(passed=True, champion=champion, reasons=(f"the champion can't serve any more: {why}",))


def unlike(champion: str) -> Verdict:
    """Of a model of uplift, or one whose champion is: no decision shows what would have come without it."""
    return Verdict(
        passed=True, champion=champion, reasons=("uplift shows in no decision: nothing to compare",)
    )


def judge(
    challenger: PropensityModel,
    champion: PropensityModel,
    table: TrainingTable,
    champions_table: TrainingTable,
    *,
    seed: int = 0,
) -> Verdict:
    """Compare two models on the decisions of a table that are newer than all that either has learned from;
    the tables have the same decisions, each with the features that its model reads."""
    since = max(_seen_until(model) for model in (challenger, champion))
    newer = _newer(table, since)
    labels, customers = table.labels[newer], table.customers[newer]
    if too_few := _too_few(labels, since):
        return Verdict(passed=False, champion=champion.version, reasons=(too_few,))
    rivals = Contender.of(challenger, table, newer), Contender.of(champion, champions_table, newer)
    one, other = (rival.scores() for rival in rivals)
    found = differences(labels, one, other, customers, seed)
    values = _values(table, newer, *rivals, seed)
    comparison = Comparison(
        since=since,
        decisions=len(labels),
        customers=len(np.unique(customers)),
        challenger=Metrics.measure(labels, one),
        champion=Metrics.measure(labels, other),
        differences={name: Difference.of(interval) for name, interval in found.items()},
        values={name: Difference.of(interval) for name, interval in values.items()},
    )
    return _decided(champion.version, comparison)


def _newer(table: TrainingTable, since: datetime) -> NDArray[np.intp]:
    """The decisions after a moment, the oldest first."""
    newer = np.flatnonzero(table.now > since.timestamp())
    return newer[np.argsort(table.now[newer], kind="stable")]


def _too_few(labels: Floats, since: datetime) -> str:
    """What is missing for a comparison; empty where nothing is."""
    responses = int(labels.sum())
    if len(labels) >= LEAST_DECISIONS and 0 < responses < len(labels):
        return ""
    return (
        f"only {len(labels)} decisions, {responses} with a response, are newer than what both have "
        f"learned from (until {since:%Y-%m-%d %H:%M} UTC): {LEAST_DECISIONS} are needed, some with and "
        "some without"
    )


def _seen_until(model: PropensityModel) -> datetime:
    data = model.manifest.data
    return data.seen_until or data.last_decision


def _decided(champion: str, comparison: Comparison) -> Verdict:
    judged = {**comparison.differences, **comparison.values}
    ways = {name: _way(name, difference) for name, difference in judged.items()}
    better = [name for name in comparison.differences if ways[name] > 0]
    worse = [name for name in judged if ways[name] < 0]
    return Verdict(
        passed=bool(better) and not worse,
        champion=champion,
        reasons=tuple(_reasons(judged, ways)),
        comparison=comparison,
    )


def _way(name: str, difference: Difference) -> int:
    """1 where the challenger is better for sure, -1 where it is worse, 0 where it may be either."""
    up, down = difference.low > 0, difference.high < 0
    return (int(down) - int(up)) if name in _LESS_IS_BETTER else (int(up) - int(down))


def _said(judged: Mapping[str, Difference], ways: Mapping[str, int]) -> Iterator[str]:
    said = {1: "better", 0: "no difference for sure", -1: "worse"}
    for name, difference in judged.items():
        yield f"{_WORDS[name]} {difference}: {said[ways[name]]}"


def _reasons(judged: Mapping[str, Difference], ways: Mapping[str, int]) -> Iterator[str]:
    yield from _said(judged, ways)
    if not any(name in judged for name in ESTIMATORS):
        yield "value: not told, chance chose too few of the actions that the models rank first"


def _values(
    table: TrainingTable, newer: NDArray[np.intp], challenger: Contender, champion: Contender, seed: int
) -> Mapping[str, Interval]:
    """By how much more responses the challenger would earn for each decision than the champion, if the action
    that it ranks first were chosen, each turn by itself.

    An action is taken to be possible wherever its channel has had it. The doubly robust estimate takes the
    mean of both models for what a choice is worth, which favours neither.
    """
    codes, chances = table.rows[newer, -len(BUILT_IN) :], table.chances[newer]
    usable = np.flatnonzero(~np.isnan(codes).any(axis=1) & ~np.isnan(chances))
    usable = usable[-MOST_SCORED // len(table.actions) :]
    if not (chances[usable] < 1.0).any():
        return {}
    actions, channels = codes[usable].astype(np.intp).T
    possible = np.zeros((len(table.channels), len(table.actions)), np.bool_)
    possible[channels, actions] = True
    scores = [rival.scores_of(table.actions, usable) for rival in (challenger, champion)]
    expected = (scores[0] + scores[1]) / 2.0
    each = np.arange(len(usable))
    found = []
    for score in scores:
        best = np.where(possible[channels], score, -1.0).argmax(axis=1)
        logged = LoggedChoices.single(
            table.labels[newer[usable]],
            np.where(best == actions, 1.0 / chances[usable], 0.0),
            table.customers[newer[usable]],
            predicted=expected[each, actions],
            expected=expected[each, best],
        )
        if np.count_nonzero(logged.weights * logged.rewards) < LEAST_RESPONSES:
            return {}
        sums = cluster_sums(terms(logged, np.inf), logged.clusters)
        found.append((estimates(sums.sum(axis=0)), estimates(resampled(sums, seed))))
    (one, drawn), (other, drawn_too) = found
    return {name: Interval.of(one[name] - other[name], drawn[name] - drawn_too[name]) for name in ESTIMATORS}
