"""`decide`: the one function that every decision goes through, whether for one request or for millions."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.decisioning.arbitration import Factors, arbitrate
from service.decisioning.batch import Batch
from service.decisioning.choosing import chance
from service.decisioning.experiments import Assigned
from service.decisioning.offers import Offered
from service.decisioning.propensity import corrected, propensities
from service.decisioning.removal import remove
from service.decisioning.rules.program import Columns
from service.decisioning.slate import Slate, fill
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import (
    ENDED,
    EXCLUDED,
    NOT_IN_CHANNEL,
    NOT_STARTED,
    STILL_IN,
    Stage,
)
from service.decisioning.treatments import RuledSaid, Said
from service.decisioning.volumes import remove_exhausted

ENGAGEMENT = (Stage.ELIGIBILITY, Stage.APPLICABILITY, Stage.SUITABILITY)
"""Stages whose rules are evaluated together."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """What `decide` returns for n requests and A actions.

    removed_by  n x A  0 for what was chosen, else the code of the removal (see `Snapshot.removals`)
    factors     n x A  P, C, V, L and the priority that they make
    predicted   n x A  P before it was corrected by outcomes
    assigned           the arms of the experiments
    slate              what was chosen
    batch              what was asked, with what is derived from it
    said               the treatments with which actions could be said
    offered            the offers that the candidates stand on; None where no action has any
    fallback    n      for whom there is something, and nothing but fallbacks; None where no action is one
    """

    removed_by: NDArray[np.int32]
    factors: Factors
    predicted: NDArray[np.float64]
    assigned: Assigned
    slate: Slate
    batch: Batch
    said: Said
    offered: Offered | None = None
    fallback: NDArray[np.bool_] | None = None


def _unobserved(stage: Stage) -> None:
    """The core has no clock: whoever wants to time the stages passes a function of their own."""


def decide(snapshot: Snapshot, batch: Batch, done: Callable[[Stage], None] = _unobserved) -> Decisions:
    """Arbitrate the next best actions of a batch. Pure: the same arguments give the same decisions, bit for
    bit.

    `done` is called after each stage.
    """
    batch = snapshot.derived.complete(batch)
    assigned = snapshot.experiments.assign(batch, snapshot.conduct)
    removed_by = _opened(snapshot, batch)
    done(Stage.AVAILABILITY)
    done(Stage.CHANNEL)
    computed = snapshot.rulebook.evaluate(batch)
    snapshot.rulebook.of_actions.remove(computed, assigned, removed_by)
    offered = _offered(snapshot, batch, computed, removed_by)
    for stage in ENGAGEMENT:
        done(stage)
    for position, (code, purpose) in enumerate(snapshot.coded_purposes):
        purpose.remove(position, batch, computed, code, removed_by)
    done(Stage.CONSENT)
    snapshot.contact.remove(batch, snapshot.first_code("contact"), removed_by)
    remove_exhausted(snapshot.volumes, snapshot.first_code("volumes"), batch, removed_by)
    done(Stage.CONTACT_POLICY)
    said = _said(snapshot, batch, assigned, computed)
    said.remove(batch.limits, removed_by)  # before propensities, which take out nobody: fewer are asked for
    predicted = propensities(snapshot, batch, removed_by == STILL_IN)
    propensity = corrected(predicted, batch)
    done(Stage.PROPENSITY)
    done(Stage.TREATMENT)
    factors = _arbitrate(snapshot, batch, assigned, computed, propensity)
    _barriers(snapshot, batch, assigned, factors, removed_by)
    assigned.withhold(removed_by, snapshot.first_code("experiments"))
    done(Stage.ARBITRATION)
    draws = chance(snapshot, batch, assigned, factors.propensity)
    slate = fill(snapshot, batch, removed_by, factors.priority, said, factors.mandatory, draws)
    done(Stage.SLATE)
    fallback = _fallback(snapshot, slate, len(batch))
    return Decisions(removed_by, factors, predicted, assigned, slate, batch, said, offered, fallback)


def _opened(snapshot: Snapshot, batch: Batch) -> NDArray[np.int32]:
    """Who is available and has something to say in the channel: `removed_by` at its beginning, n x A."""
    removed_by = snapshot.opening.take(batch.channel, axis=0)
    if batch.excluded is not None:
        asked = (removed_by == STILL_IN) | (removed_by == NOT_IN_CHANNEL)
        np.copyto(removed_by, EXCLUDED, where=batch.excluded & asked)
    if snapshot.dated.size:
        now, catalogue, dated = batch.now[:, None], snapshot.catalogue, snapshot.dated
        ended = np.where(now >= catalogue.ends[dated], ENDED, removed_by[:, dated])
        removed_by[:, dated] = np.where(now < catalogue.starts[dated], NOT_STARTED, ended)
    return removed_by


def _offered(
    snapshot: Snapshot, batch: Batch, computed: Columns, removed_by: NDArray[np.int32]
) -> Offered | None:
    """The offer of every candidate; whoever has offers and may be made none is out."""
    if not snapshot.offers:
        return None
    offered = snapshot.offers.choose(computed, batch.now, removed_by.shape[1], batch.promises)
    snapshot.offers.withhold(offered, removed_by, snapshot.first_code("offers"), snapshot.eligible)
    return offered


def _arbitrate(
    snapshot: Snapshot,
    batch: Batch,
    assigned: Assigned,
    computed: Columns,
    propensity: NDArray[np.float64],
) -> Factors:
    """The factors of every candidate, each request by the arbitration of its arm."""
    everybody = slice(None)
    factors = arbitrate(
        assigned.conducts[0].arbitration, snapshot.catalogue, batch, computed, everybody, propensity
    )
    for conduct, rows in assigned.of_arms():
        theirs = arbitrate(conduct.arbitration, snapshot.catalogue, batch, computed, rows, propensity[rows])
        factors = factors.with_rows(rows, theirs)
    return factors


def _barriers(
    snapshot: Snapshot, batch: Batch, assigned: Assigned, factors: Factors, removed_by: NDArray[np.int32]
) -> None:
    """Take out who does not reach what has to be reached. What is mandatory passes."""
    for conduct, rows in assigned.of_each():
        barriers = [b for b in conduct.arbitration.barriers if b.removal.stage not in conduct.skips]
        if not barriers:
            continue
        narrowed, channel = removed_by[rows], batch.channel[rows]
        propensity, priority = factors.propensity[rows], factors.priority[rows]
        for barrier in barriers:
            stopped = barrier.stops(propensity, priority, channel)
            if factors.mandatory is not None:
                stopped &= ~factors.mandatory[rows]
            remove(narrowed, stopped, snapshot.barrier_codes[barrier])
        removed_by[rows] = narrowed


def _said(snapshot: Snapshot, batch: Batch, assigned: Assigned, computed: Columns) -> Said:
    if snapshot.alternatives is None:
        return Said(snapshot.catalogue)
    removed_by = np.zeros((len(batch), len(snapshot.catalogue.treatments)), np.int32)
    snapshot.rulebook.of_treatments.remove(computed, assigned, removed_by)
    snapshot.contact.remove_treatments(batch, snapshot.first_code("contact"), removed_by)
    return RuledSaid(snapshot.catalogue, snapshot.alternatives, removed_by)


def _fallback(snapshot: Snapshot, slate: Slate, n: int) -> NDArray[np.bool_] | None:
    """For which of n requests nothing but fallbacks were chosen."""
    fallbacks = snapshot.catalogue.fallbacks
    if fallbacks is None:
        return None
    chosen = np.bincount(slate.row, minlength=n)
    last_resort = np.bincount(slate.row[fallbacks[slate.action]], minlength=n)
    found: NDArray[np.bool_] = (chosen > 0) & (chosen == last_resort)
    return found
