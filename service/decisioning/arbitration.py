"""Arbitration: priority = P x C x V x L, each factor of which can be switched off."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class ContextWeight:
    """`percent` more (or less) weight for some actions (A, bool) where every (column of X, value) pair
    holds."""

    when: tuple[tuple[int, float], ...]
    actions: NDArray[np.bool_]
    percent: float


@dataclass(frozen=True, slots=True)
class Arbitration:
    """The switch of each factor of the priority; one that is off counts as 1. Context weights feed C."""

    propensity: bool = True
    context_weight: bool = True
    value: bool = True
    lever: bool = True
    context_weights: tuple[ContextWeight, ...] = ()


@dataclass(frozen=True, slots=True)
class Factors:
    """What makes the priority of every candidate, n x A each; propensity and priority are NaN for who was out
    before. A factor that is switched off is there as it is, and counts as 1 in the priority."""

    propensity: NDArray[np.float64]
    context_weight: NDArray[np.float64]
    value: NDArray[np.float64]
    lever: NDArray[np.float64]
    priority: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: "Sequence[tuple[NDArray[np.intp], Factors]]") -> "Factors":
        """The factors of disjoint rows as those of all rows."""
        order = np.argsort(np.concatenate([rows for rows, _ in parts]), kind="stable")
        return cls(
            *(
                np.concatenate([getattr(factors, field.name) for _, factors in parts])[order]
                for field in fields(cls)
            )
        )


def arbitrate(
    arbitration: Arbitration,
    catalogue: Catalogue,
    batch: Batch,
    rows: NDArray[np.intp],
    propensity: NDArray[np.float64],
) -> Factors:
    """The factors of every candidate of some rows of a batch.

    `propensity` is m x A for the m rows, NaN for who is out.
    """
    context_weight = _context_weights(arbitration, batch.X[rows], propensity.shape[1])
    value = np.broadcast_to(catalogue.values, propensity.shape)
    lever = np.broadcast_to(catalogue.levers, propensity.shape)
    priority = propensity if arbitration.propensity else np.where(np.isnan(propensity), np.nan, 1.0)
    priority = priority * context_weight
    if arbitration.value:
        priority *= value
    if arbitration.lever:
        priority *= lever
    return Factors(propensity, context_weight, value, lever, priority)


def _context_weights(arbitration: Arbitration, X: NDArray[np.float64], actions: int) -> NDArray[np.float64]:
    """C of every action, m x A: 1 + the sum of the matching context weights / 100, never below 0."""
    percent = np.zeros((len(X), actions), dtype=np.float64)
    if arbitration.context_weight:
        for weight in arbitration.context_weights:
            matches = np.ones(len(X), dtype=np.bool_)
            for column, value in weight.when:
                matches &= X[:, column] == value
            if matches.any():
                percent += np.where(matches[:, None] & weight.actions, weight.percent, 0.0)
    return np.maximum(1.0 + percent / 100.0, 0.0)
