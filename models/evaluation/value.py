"""What a policy would have been worth, how sure that is, and what speaks against believing it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from models.errors import ModelError
from models.evaluation.bootstrap import Interval, cluster_sums, resampled
from models.evaluation.estimators import (
    ESTIMATORS,
    LOGGED,
    SUMS,
    best_switch,
    effective_sample_size,
    estimates,
    terms,
)
from models.evaluation.logged import Floats, LoggedChoices

LEAST_EFFECTIVE = 0.05
"""The share of the log that the effective sample size has to be."""
FEW = 10
"""The choices with the greatest contributions,"""
LARGE_PART = 0.5
"""and the part of the value that must not come from them."""
LEAST_ANSWERED = 30
"""So many rewards that count at all are needed for an interval that holds what it promises."""


class NothingLogged(ModelError):
    """There is no choice to evaluate by."""


@dataclass(frozen=True)
class Evaluation:
    """The value of a policy for each logged choice.

    values     by estimator, in the order of `ESTIMATORS`
    gains      the differences to what was logged, by estimator; drawn together, so that they share their luck
    logged     what the logged choices have earned
    choices    how many there are, `customers` of how many customers
    effective  how many choices of equal weight would say as much
    switch     beyond which weight switch-DR takes the model
    warnings   why not to believe it, the gravest first
    """

    values: Mapping[str, Interval]
    gains: Mapping[str, Interval]
    logged: Interval
    choices: int
    customers: int
    effective: float
    switch: float
    warnings: tuple[str, ...]


def evaluate(logged: LoggedChoices, *, seed: int = 0) -> Evaluation:
    """Estimate the value of the policy with intervals. The same log and seed give the same intervals.

    Raises:
        NothingLogged: there is no choice in the log.
    """
    if not len(logged):
        raise NothingLogged("there is no logged choice to evaluate by")
    switch = best_switch(logged)
    sums = cluster_sums(terms(logged, switch), logged.clusters)
    redrawn = resampled(sums, seed)
    found, drawn = estimates(sums.sum(axis=0)), estimates(redrawn)
    weight = Interval.of(_weight(sums.sum(axis=0)), _weight(redrawn))
    return Evaluation(
        values={name: Interval.of(found[name], drawn[name]) for name in ESTIMATORS},
        gains={
            name: Interval.of(found[name] - found[LOGGED], drawn[name] - drawn[LOGGED]) for name in ESTIMATORS
        },
        logged=Interval.of(found[LOGGED], drawn[LOGGED]),
        choices=len(logged),
        customers=len(sums),
        effective=effective_sample_size(logged.weights),
        switch=switch,
        warnings=tuple(_warnings(logged, weight)),
    )


def _weight(sums: Floats) -> Floats:
    """The weights, relative to what they are due to be where the log tries all that the policy does."""
    weights, due = sums[..., SUMS.index("weights")], np.asarray(sums[..., SUMS.index("due")])
    return np.divide(weights, due, out=np.ones_like(due), where=due > 0)


def _warnings(logged: LoggedChoices, weight: Interval) -> Iterator[str]:
    if weight.high < 1.0:
        yield (
            f"the log lacks support: it never tries about {1.0 - weight.value:.0%} of what this policy would "
            "choose; IPS takes that for worth nothing, the others guess it"
        )
    elif weight.low > 1.0:
        yield (
            f"the weights are {weight.value:.2f} in the mean, not 1: the logged selection probabilities are "
            "not those that the choices were made with"
        )
    effective = effective_sample_size(logged.weights)
    if effective < LEAST_EFFECTIVE * len(logged):
        yield (
            f"the weights are too large (up to {logged.weights.max():,.0f}): {len(logged):,} choices say as "
            f"much as {effective:,.0f} of equal weight; log with more exploration, or try a smaller change"
        )
    worth = np.abs(logged.weights * logged.rewards)
    answered = int(np.count_nonzero(worth))
    if answered < LEAST_ANSWERED:
        yield f"only {answered} rewards count: intervals of so few are too narrow"
    most = np.sort(worth)[::-1][:FEW]
    if most.sum() > LARGE_PART * worth.sum():
        yield f"{most.sum() / worth.sum():.0%} of the value comes from {len(most)} of the choices"
