"""Arbitration: priority = P x C x V x L, each factor of which can be switched off."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.decisioning.barriers import Barrier
from service.decisioning.batch import Batch, Rows
from service.decisioning.catalogue import Catalogue
from service.decisioning.quantities import Formula, Quantity, computed_numbers
from service.decisioning.rules.program import Columns
from service.decisioning.spreading import spread, with_rows
from service.decisioning.valuation import Valuation


@dataclass(frozen=True, slots=True, eq=False)
class ContextWeight:
    """`percent` more (or less) weight for some actions (A, bool) where the condition at place `when` of the
    rules' columns holds (None: always) and in some channels (C, bool; None: in all). A percent that can't be
    computed weighs nothing."""

    when: int | None
    actions: NDArray[np.bool_]
    percent: Quantity
    channels: NDArray[np.bool_] | None = None

    def percents(self, batch: Batch, computed: Columns, rows: Rows) -> NDArray[np.float64] | None:
        """The percent for each of m rows, 0 where the condition does not hold; None where it does nowhere."""
        holds = np.ones(len(batch), np.bool_) if self.when is None else computed[self.when]
        if self.channels is not None and holds.any():
            holds = holds & self.channels[batch.channel]
        if not holds.any():
            return None
        if isinstance(self.percent, Formula):
            return np.where(holds[rows], computed_numbers([self.percent], computed, rows)[0][:, 0], 0.0)
        return np.where(holds[rows], self.percent, 0.0)


@dataclass(frozen=True, slots=True)
class Mandate:
    """An action that comes before all others, always or where the condition at place `when` holds."""

    action: int
    when: int | None = None


@dataclass(frozen=True)
class Arbitration:
    """How candidates are weighed against one another.

    propensity, context_weight, value, lever   the switch of each factor; one that is off counts as 1
    context_weights    feed C
    valuation          makes V
    levers             A, in place of the catalogue's; None: as the catalogue has them
    barriers           what a candidate has to reach: thresholds, and the worth of doing nothing
    mandates           who comes before all priorities
    """

    propensity: bool = True
    context_weight: bool = True
    value: bool = True
    lever: bool = True
    context_weights: tuple[ContextWeight, ...] = ()
    valuation: Valuation = field(default_factory=Valuation)
    levers: NDArray[np.float64] | None = None
    barriers: tuple[Barrier, ...] = ()
    mandates: tuple[Mandate, ...] = ()

    @cached_property
    def weighed(self) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        """Which of w context weights meet (w x g) in each of g kinds of actions that all the same ones are
        for, and the kind of each action (A): there are fewer kinds than actions, so they are added up by
        kind."""
        covered = np.array([weight.actions for weight in self.context_weights])
        kinds, kind = np.unique(covered, axis=1, return_inverse=True)
        return kinds, kind.reshape(-1)


@dataclass(frozen=True, slots=True)
class Factors:
    """What makes the priority of every candidate, n x A each; propensity and priority are NaN for who was out
    before. A factor that is switched off is there as it is, and counts as 1 in the priority.

    value            V as it counts: scaled, where the workspace scales
    raw_value        V before it is scaled: business_value + benefit weight * customer_value, at least 0
    mandatory        who comes before all priorities; None: nobody
    assumed          where a declared number stands in for a value that could not be computed; None: nowhere
    """

    propensity: NDArray[np.float64]
    context_weight: NDArray[np.float64]
    value: NDArray[np.float64]
    lever: NDArray[np.float64]
    priority: NDArray[np.float64]
    raw_value: NDArray[np.float64]
    business_value: NDArray[np.float64]
    customer_value: NDArray[np.float64]
    mandatory: NDArray[np.bool_] | None = None
    assumed: NDArray[np.bool_] | None = None

    def with_rows(self, rows: NDArray[np.intp], others: "Factors") -> "Factors":
        """These factors, with those of some rows replaced by `others` (m x A), which are made of the same
        propensities."""
        joined: dict[str, Any] = {"propensity": self.propensity}
        for each in fields(self)[1:]:
            mine, theirs = getattr(self, each.name), getattr(others, each.name)
            if mine is None and theirs is None:
                continue
            mine = np.zeros(self.priority.shape, np.bool_) if mine is None else mine
            theirs = np.zeros(others.priority.shape, np.bool_) if theirs is None else theirs
            joined[each.name] = with_rows(mine, rows, theirs)
        return Factors(**joined)


def arbitrate(
    arbitration: Arbitration,
    catalogue: Catalogue,
    batch: Batch,
    computed: Columns,
    rows: Rows,
    propensity: NDArray[np.float64],
) -> Factors:
    """The factors of every candidate of some rows of a batch.

    `propensity` is m x A for the m rows, NaN for who is out; `computed` has the rules' columns for the batch.
    """
    n = len(propensity)
    context_weight = _context_weights(arbitration, batch, computed, rows)
    values = arbitration.valuation.values(catalogue, computed, rows, n)
    levers = catalogue.levers if arbitration.levers is None else arbitration.levers
    priority = propensity if arbitration.propensity else np.where(np.isnan(propensity), np.nan, 1.0)
    for factor in (
        context_weight,
        values.scaled if arbitration.value else None,
        levers if arbitration.lever else None,
    ):
        if factor is not None:
            priority = priority * factor
    return Factors(
        propensity=propensity,
        context_weight=spread(catalogue.ones, n) if context_weight is None else context_weight,
        value=values.scaled,
        lever=spread(levers, n),
        priority=priority,
        raw_value=values.raw,
        business_value=values.business,
        customer_value=values.customer,
        mandatory=_mandatory(arbitration.mandates, computed, rows, propensity.shape),
        assumed=values.assumed,
    )


def _context_weights(
    arbitration: Arbitration, batch: Batch, computed: Columns, rows: Rows
) -> NDArray[np.float64] | None:
    """C of every action, m x A: 1 + the sum of the matching context weights / 100, never below 0. None where
    none matches."""
    total: NDArray[np.float64] | None = None
    for number, weight in enumerate(arbitration.context_weights if arbitration.context_weight else ()):
        percents = weight.percents(batch, computed, rows)
        if percents is not None:
            kinds, _ = arbitration.weighed
            total = np.zeros((len(percents), kinds.shape[1])) if total is None else total
            total += np.where(kinds[number], percents[:, None], 0.0)
    if total is None:
        return None
    by_kind = np.maximum(1.0 + total / 100.0, 0.0)
    return by_kind[:, arbitration.weighed[1]]


def _mandatory(
    mandates: Sequence[Mandate], computed: Columns, rows: Rows, shape: tuple[int, ...]
) -> NDArray[np.bool_] | None:
    if not mandates:
        return None
    mandatory = np.zeros(shape, dtype=np.bool_)
    for mandate in mandates:
        mandatory[:, mandate.action] = True if mandate.when is None else computed[mandate.when][rows]
    return mandatory if mandatory.any() else None
