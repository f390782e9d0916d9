"""Logged decisions and outcomes, drawn by a policy whose selection probabilities are known exactly."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from feature_store.arrow import arrow_columns, named, times
from feature_store.schema import FeatureSchema, Source
from service.world.offers import Offers, Placement
from service.world.tables import CELLS, OUTCOMES, decisions_schema, numbered

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

Response = Callable[[Floats, Placement, Indices], Floats]
"""True probabilities of a positive outcome (m,), of X (m, width), a placement and actions (m,)."""
Preference = Callable[[Floats, Placement, Indices], Floats]
"""Weights >= 0 (n, k) with which the logging policy prefers treatments (k,) for X (n, width)."""


@dataclass(frozen=True)
class Visits:
    """Requests in the order of their numbers, each for one placement."""

    number: NDArray[np.int64]
    """Numbers of the decisions, unique over the whole history."""
    customer: Indices
    """The customers' rows in the population's X."""
    at: Floats
    placement: Indices
    context: Floats
    """Context features alone, in the columns of `context_schema`, shape (n, its width)."""

    def __len__(self) -> int:
        return len(self.number)

    def blocks(self, size: int) -> "Iterator[Visits]":
        """The visits in blocks of up to `size`, in order."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield Visits(
                self.number[part],
                self.customer[part],
                self.at[part],
                self.placement[part],
                self.context[part],
            )


@dataclass(frozen=True)
class Reaction:
    """What customers do in one channel with an action of one model: chances relative to the true probability.

    The largest of those that are positive outcomes of the model must be 1: then the chance of a positive
    outcome is the true probability exactly.
    """

    final: str
    clicks: float
    finals: float = 1.0
    refusal: str = "dismiss"
    refusals: float = 0.03
    delay: float = 600.0
    """Median seconds until the final outcome."""


Reactions = Callable[[str, str | None], Reaction]
"""The reaction in a channel to an action of a model."""


@dataclass(frozen=True)
class Shown:
    """One row for each action shown."""

    number: NDArray[np.int64]
    customer: Indices
    at: Floats
    placement: Indices
    treatment: Indices
    rank: NDArray[np.int32]
    selection_probability: Floats
    true_probability: Floats
    context: Floats


@dataclass(frozen=True)
class Happened:
    """Outcomes: `row` is that of what was shown, `outcome` a position in `names`, `value` NaN where it has
    none; those of a row stand together, the earliest first."""

    names: list[str]
    row: Indices
    outcome: Indices
    at: Floats
    value: Floats


@dataclass(frozen=True)
class Recorder:
    """Turns visits into the rows of decisions.parquet and outcomes.parquet."""

    schema: FeatureSchema
    offers: Offers
    response: Response
    reactions: Reactions
    preference: Preference | None = None
    """None: uniformly random over the treatments that are live."""

    @cached_property
    def context_schema(self) -> FeatureSchema:
        """The context features alone."""
        return FeatureSchema(self.schema.by_source(Source.CONTEXT))

    @cached_property
    def context_columns(self) -> Indices:
        """Where the columns of `context_schema` are in X."""
        names = [feature.name for feature in self.context_schema.features]
        return np.concatenate([np.arange(self.schema.width)[self.schema.slice(name)] for name in names])

    def record(
        self, rng: np.random.Generator, X: Floats, customer_ids: "pa.Array[Any]", visits: Visits
    ) -> tuple[pa.Table, pa.Table]:
        """Decisions and outcomes of the visits of a population with features X (customers, schema.width)."""
        pieces = [self._show(rng, X, visits, rows) for rows in self._pieces(visits) if len(rows)] or [
            self._show(rng, X, visits, np.empty(0, np.intp))
        ]
        columns = {
            name: np.concatenate([getattr(piece, name) for piece in pieces])
            for name in Shown.__dataclass_fields__
        }
        order = np.lexsort((columns["rank"], columns["number"]))
        shown = Shown(**{name: values[order] for name, values in columns.items()})
        return self._decisions(shown, customer_ids), self._outcomes(rng, shown)

    def _pieces(self, visits: Visits) -> Iterator[Indices]:
        for position, placement in enumerate(self.offers.placements):
            rows = np.flatnonzero(visits.placement == position)
            cells = max(self.schema.width, len(self.offers.shown_in(placement)), 1)
            step = max(CELLS // cells, 1)
            for start in range(0, len(rows), step):
                yield rows[start : start + step]

    def _show(self, rng: np.random.Generator, X: Floats, visits: Visits, rows: Indices) -> Shown:
        """Choose for visits that are all to one placement."""
        position = int(visits.placement[rows[0]]) if len(rows) else 0
        placement = self.offers.placements[position]
        treatments = self.offers.shown_in(placement)
        seen = X[visits.customer[rows]]
        seen[:, self.context_columns] = visits.context[rows]
        weights = self.offers.live(treatments, visits.at[rows]).astype(np.float64)
        if self.preference is not None:
            weights *= self.preference(seen, placement, treatments)
        picks, probabilities = choose(rng, weights, placement.limit)
        visit, slot = np.nonzero(picks >= 0)
        treatment = treatments[picks[visit, slot]]
        truth = self.response(seen[visit], placement, self.offers.action_of[treatment])
        shown = rows[visit]
        return Shown(
            number=visits.number[shown],
            customer=visits.customer[shown],
            at=visits.at[shown],
            placement=np.full(len(shown), position, np.intp),
            treatment=treatment,
            rank=(slot + 1).astype(np.int32),
            selection_probability=probabilities[visit, slot],
            true_probability=truth,
            context=visits.context[shown],
        )

    def _decisions(self, shown: Shown, customer_ids: "pa.Array[Any]") -> pa.Table:
        offers = self.offers
        action = offers.action_of[shown.treatment]
        columns = [
            numbered("d", shown.number),
            named(customer_ids, shown.customer),
            times(shown.at),
            named([placement.channel for placement in offers.placements], shown.placement),
            named([placement.name for placement in offers.placements], shown.placement),
            named([action.issue for action in offers.actions], action),
            named([action.group for action in offers.actions], action),
            named([action.name for action in offers.actions], action),
            named([treatment.name for treatment in offers.treatments], shown.treatment),
            pa.array(shown.rank),
            pa.array(offers.propensities[action]),
            pa.array(shown.selection_probability),
            *arrow_columns(shown.context, self.context_schema, self.context_schema.features),
            pa.array(shown.true_probability),
        ]
        return pa.Table.from_arrays(columns, schema=decisions_schema(self.schema))

    def react(self, rng: np.random.Generator, shown: Shown) -> "Happened":
        """What comes of what was shown."""
        draws = _Reactions.of(self, shown)
        n = len(shown.number)
        luck = rng.random(n)
        clicked = luck < shown.true_probability * draws.clicks
        final = luck < shown.true_probability * draws.finals
        refused = ~clicked & ~final & (rng.random(n) < draws.refusals)
        action = self.offers.action_of[shown.treatment]
        worth = np.round(self.offers.values[action] * rng.lognormal(-0.02, 0.2, n), 2)
        nothing = np.full(n, np.nan)
        soon = np.minimum(rng.lognormal(0.0, 0.8, n), 20.0)
        parts = [
            (np.ones(n, bool), np.zeros(n, np.intp), rng.random(n) * 2, nothing),
            (clicked, np.ones(n, np.intp), 2 + soon * np.minimum(draws.delay * 0.1, 60), nothing),
            (final, draws.final, 4 + np.minimum(draws.delay * (1 + soon), 172_000), worth),
            (refused, draws.refusal, 3 + soon * np.minimum(draws.delay, 120), nothing),
        ]
        row = np.concatenate([np.flatnonzero(happened) for happened, *_ in parts])
        outcome = np.concatenate([code[happened] for happened, code, *_ in parts])
        after = np.concatenate([delay[happened] for happened, _, delay, _ in parts])
        value = np.concatenate([worth[happened] for happened, *_, worth in parts])
        order = np.lexsort((after, row))
        at = np.round(shown.at[row] + after, 3)
        return Happened(draws.names, row[order], outcome[order], at[order], value[order])

    def _outcomes(self, rng: np.random.Generator, shown: Shown) -> pa.Table:
        happened = self.react(rng, shown)
        action = self.offers.action_of[shown.treatment[happened.row]]
        columns = [
            numbered("d", shown.number[happened.row]),
            named([action.name for action in self.offers.actions], action),
            named(happened.names, happened.outcome),
            times(happened.at),
            pa.array(happened.value, mask=np.isnan(happened.value)),
        ]
        return pa.Table.from_arrays(columns, schema=OUTCOMES)


@dataclass(frozen=True)
class _Reactions:
    """Each row's reaction, as columns."""

    names: list[str]
    clicks: Floats
    finals: Floats
    refusals: Floats
    delay: Floats
    final: Indices
    refusal: Indices

    @classmethod
    def of(cls, recorder: Recorder, shown: Shown) -> "_Reactions":
        offers = recorder.offers
        table = [
            recorder.reactions(treatment.channel, offers.actions[treatment.action].model)
            for treatment in offers.treatments
        ]
        names = ["impression", "click"]
        names += sorted({name for entry in table for name in (entry.final, entry.refusal)} - {*names})
        rows = shown.treatment
        return cls(
            names=names,
            clicks=np.array([entry.clicks for entry in table])[rows],
            finals=np.array([entry.finals for entry in table])[rows],
            refusals=np.array([entry.refusals for entry in table])[rows],
            delay=np.array([entry.delay for entry in table])[rows],
            final=np.array([names.index(entry.final) for entry in table], np.intp)[rows],
            refusal=np.array([names.index(entry.refusal) for entry in table], np.intp)[rows],
        )


def choose(rng: np.random.Generator, weights: Floats, limit: int) -> tuple[Indices, Floats]:
    """Draw up to `limit` candidates for each row, without replacement, in proportion to their weights.

    `weights` is (n, k), 0 for what can't be chosen. Returns picks (n, limit), -1 where nothing is left, and
    the probability of each pick at its turn, given the picks before it (n, limit). The draw is a race of
    exponential clocks with the weights as rates, which is the Plackett-Luce model.
    """
    n, k = weights.shape
    picks = np.full((n, limit), -1, np.intp)
    probabilities = np.full((n, limit), np.nan)
    with np.errstate(divide="ignore"):
        clocks = rng.standard_exponential((n, k)) / weights
    left = weights.copy()
    rows = np.arange(n)
    for rank in range(min(limit, k)):
        pick = clocks.argmin(axis=1)
        chosen = left[rows, pick]
        possible = chosen > 0
        picks[possible, rank] = pick[possible]
        probabilities[possible, rank] = chosen[possible] / left[possible].sum(axis=1)
        left[rows, pick] = 0.0
        clocks[rows, pick] = np.inf
    return picks, probabilities
