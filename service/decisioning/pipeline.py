"""`decide`: the one function that every decision goes through, whether for one request or for millions."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.decisioning.arbitration import Factors, arbitrate
from service.decisioning.batch import Batch
from service.decisioning.choosing import Explorer
from service.decisioning.experiments import Assigned
from service.decisioning.offers import Offered
from service.decisioning.propensity import propensities
from service.decisioning.rulebook import Columns
from service.decisioning.slate import Slate, fill
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import (
    EMERGENCY,
    ENDED,
    EXCLUDED,
    INACTIVE,
    NOT_IN_CHANNEL,
    NOT_IN_PLACEMENT,
    NOT_STARTED,
    STILL_IN,
    Stage,
)
from service.decisioning.treatments import RuledSaid, Said
from service.decisioning.volumes import remove_exhausted

POLICY_STAGES = (
    Stage.ELIGIBILITY,
    Stage.APPLICABILITY,
    Stage.SUITABILITY,
    Stage.CONSENT,
    Stage.CONTACT_POLICY,
)


@dataclass(frozen=True, slots=True)
class Decisions:
    """What `decide` returns for n requests and A actions.

    removed_by  n x A  0 for what was chosen, else the code of the removal (see `Snapshot.removals`)
    factors     n x A  P, C, V, L and the priority that they make
    assigned           the arms of the experiments
    slate              what was chosen
    batch              what was asked
    said               the treatments with which actions could be said
    offered            the offers that the candidates stand on; None where no action has any
    """

    removed_by: NDArray[np.int32]
    factors: Factors
    assigned: Assigned
    slate: Slate
    batch: Batch
    said: Said
    offered: Offered | None = None


def _unobserved(stage: Stage) -> None:
    """The core has no clock: whoever wants to time the stages passes a function of their own."""


def decide(snapshot: Snapshot, batch: Batch, done: Callable[[Stage], None] = _unobserved) -> Decisions:
    """Arbitrate the next best actions of a batch. Pure: the same arguments give the same decisions, bit for
    bit.

    `done` is called after each stage.
    """
    removed_by = np.zeros((len(batch), len(snapshot.catalogue.actions)), dtype=np.int32)
    assigned = snapshot.experiments.assign(batch, snapshot.conduct)
    _availability(snapshot, batch, removed_by)
    done(Stage.AVAILABILITY)
    _remove(removed_by, ~snapshot.catalogue.channel_actions[batch.channel], NOT_IN_CHANNEL)
    done(Stage.CHANNEL)
    computed = snapshot.rulebook.evaluate(batch)
    for stage in POLICY_STAGES:
        _engagement(snapshot, batch, stage, computed, removed_by, assigned)
        if stage is Stage.ELIGIBILITY:
            offered = _offered(snapshot, batch, computed, removed_by)
        done(stage)
    said = _said(snapshot, batch, assigned, computed)
    placeable = said.placeable(batch)
    propensity = propensities(snapshot, batch, (removed_by == STILL_IN) & placeable)
    done(Stage.PROPENSITY)
    said.left(batch, placeable, removed_by)
    _remove(removed_by, ~placeable, NOT_IN_PLACEMENT)
    done(Stage.TREATMENT)
    factors = _arbitrate(snapshot, batch, assigned, computed, propensity)
    _barriers(snapshot, batch, assigned, factors, removed_by)
    assigned.withhold(removed_by, snapshot.first_code("experiments"))
    done(Stage.ARBITRATION)
    explorer = Explorer.of(snapshot, batch, assigned, factors.propensity)
    slate = fill(snapshot, batch, removed_by, factors.priority, said, factors.mandatory, explorer.choose)
    done(Stage.SLATE)
    return Decisions(removed_by, factors, assigned, slate, batch, said, offered)


def _remove(removed_by: NDArray[np.int32], out: NDArray[np.bool_], code: int) -> None:
    """Take out candidates that are still in; the first reason stays."""
    removed_by[out & (removed_by == STILL_IN)] = code


def _availability(snapshot: Snapshot, batch: Batch, removed_by: NDArray[np.int32]) -> None:
    catalogue, now = snapshot.catalogue, batch.now[:, None]
    if snapshot.stopped is not None:
        removed_by[:, snapshot.stopped] = EMERGENCY
    _remove(removed_by, np.broadcast_to(~catalogue.active, removed_by.shape), INACTIVE)
    _remove(removed_by, now < catalogue.starts, NOT_STARTED)
    _remove(removed_by, now >= catalogue.ends, ENDED)
    if batch.excluded is not None:
        _remove(removed_by, batch.excluded, EXCLUDED)


def _engagement(
    snapshot: Snapshot,
    batch: Batch,
    stage: Stage,
    computed: Columns,
    removed_by: NDArray[np.int32],
    assigned: Assigned,
) -> None:
    """Rules and consents of one stage, for the requests for which it speaks."""
    table = snapshot.rulebook.of_actions.get(stage)
    if table is not None:
        table.remove(computed, assigned.hears(stage), removed_by)
    if stage is Stage.CONSENT:
        for position, (code, purpose) in enumerate(snapshot.coded_purposes):
            _remove(removed_by, purpose.refused(position, batch, computed), code)
    if stage is Stage.CONTACT_POLICY:
        snapshot.contact.remove(batch, snapshot.first_code("contact"), removed_by)
        remove_exhausted(snapshot.volumes, snapshot.first_code("volumes"), batch, removed_by)


def _offered(
    snapshot: Snapshot, batch: Batch, computed: Columns, removed_by: NDArray[np.int32]
) -> Offered | None:
    """The offer of every candidate; whoever has offers and may be made none is out."""
    if not snapshot.offers:
        return None
    offered = snapshot.offers.choose(computed, batch.now, removed_by.shape[1], batch.promises)
    snapshot.offers.withhold(offered, removed_by, snapshot.first_code("offers"))
    return offered


def _arbitrate(
    snapshot: Snapshot,
    batch: Batch,
    assigned: Assigned,
    computed: Columns,
    propensity: NDArray[np.float64],
) -> Factors:
    """The factors of every candidate, each request by the arbitration of its arm."""
    parts = [
        (rows, arbitrate(conduct.arbitration, snapshot.catalogue, batch, computed, rows, propensity[rows]))
        for conduct, rows in assigned.of_each()
    ]
    return parts[0][1] if len(parts) == 1 else Factors.joined(parts)


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
            _remove(narrowed, stopped, snapshot.barrier_codes[barrier])
        removed_by[rows] = narrowed


def _said(snapshot: Snapshot, batch: Batch, assigned: Assigned, computed: Columns) -> Said:
    if snapshot.alternatives is None:
        return Said(snapshot.catalogue)
    removed_by = np.zeros((len(batch), len(snapshot.catalogue.treatments)), np.int32)
    for stage, table in snapshot.rulebook.of_treatments.items():
        table.remove(computed, assigned.hears(stage), removed_by)
    snapshot.contact.remove_treatments(batch, snapshot.first_code("contact"), removed_by)
    return RuledSaid(snapshot.catalogue, snapshot.alternatives, removed_by)
