"""The slate: candidates into placements, the best first, each action once per answer.

Slots are filled one after another in catalogue order, rank by rank. Of equal priorities the action that
stands first in the catalogue wins, so the order is total and the same on every machine.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import OUTRANKED, STAGES, STILL_IN, Stage
from service.decisioning.treatments import Said

NO_TREATMENT_STAGE = STAGES.index(Stage.TREATMENT)


@dataclass(frozen=True, slots=True)
class Slate:
    """What was chosen, as flat columns in order of (row, slot, rank), and the slots that stay empty.

    row, slot, rank, action, treatment   one entry per chosen action; rank counts from 1
    selection_probability                with which the policy chose this action at this rank's turn
    empty_row, empty_slot, empty_stage   one entry per empty slot; the stage is an index into STAGES
    """

    row: NDArray[np.intp]
    slot: NDArray[np.intp]
    rank: NDArray[np.intp]
    action: NDArray[np.intp]
    treatment: NDArray[np.intp]
    selection_probability: NDArray[np.float64]
    empty_row: NDArray[np.intp]
    empty_slot: NDArray[np.intp]
    empty_stage: NDArray[np.intp]


def fill(
    snapshot: Snapshot,
    batch: Batch,
    removed_by: NDArray[np.int32],
    priority: NDArray[np.float64],
    said: Said | None = None,
) -> Slate:
    """Fill every slot asked for; marks in `removed_by` (in place) the candidates that were outranked.

    `said` has the treatments; without it no rule takes one out.
    """
    said = said or Said(snapshot.catalogue)
    free = removed_by == STILL_IN
    chosen = np.zeros_like(free)
    picks: list[NDArray[np.intp]] = []
    empties: list[NDArray[np.intp]] = []
    for slot in np.flatnonzero(batch.limits.any(axis=0)):
        rows = np.flatnonzero(batch.limits[:, slot])
        picked = _fill_slot(said, batch, int(slot), rows, free & ~chosen, priority)
        chosen[picked[0], picked[3]] = True
        picks.append(picked)
        filled = np.zeros(len(batch), dtype=np.bool_)
        filled[picked[0]] = True
        empty = rows[~filled[rows]]
        empties.append(np.stack([empty, np.full_like(empty, slot)]))
    row, slots, rank, action, treatment = _in_row_order(
        np.concatenate([np.empty((5, 0), np.intp), *picks], axis=1)
    )
    empty_row, empty_slot = _in_row_order(np.concatenate([np.empty((2, 0), np.intp), *empties], axis=1))
    stages = _empty_stages(snapshot, removed_by, empty_row, empty_slot)
    removed_by[free & ~chosen] = OUTRANKED
    certain = np.ones(len(row), dtype=np.float64)
    return Slate(row, slots, rank, action, treatment, certain, empty_row, empty_slot, stages)


def _fill_slot(
    said: Said,
    batch: Batch,
    slot: int,
    rows: NDArray[np.intp],
    free: NDArray[np.bool_],
    priority: NDArray[np.float64],
) -> NDArray[np.intp]:
    """The picks of one slot, 5 x picks: row, slot, rank, action, treatment."""
    treatments = said.in_slot(slot, rows)
    if not treatments.size:
        return np.empty((5, 0), dtype=np.intp)
    score = np.where(free[rows] & (treatments >= 0), priority[rows], -np.inf)
    limits = batch.limits[rows, slot]
    picks: list[NDArray[np.intp]] = []
    for rank in range(int(limits.max())):
        best = score.argmax(axis=1)
        won = np.flatnonzero((score[np.arange(len(rows)), best] > -np.inf) & (limits > rank))
        if not won.size:
            break
        actions = best[won]
        score[won, actions] = -np.inf
        same = np.full_like(won, slot)
        picks.append(
            np.stack([rows[won], same, np.full_like(won, rank + 1), actions, treatments[won, actions]])
        )
    return np.concatenate(picks, axis=1) if picks else np.empty((5, 0), dtype=np.intp)


def _in_row_order(columns: NDArray[np.intp]) -> NDArray[np.intp]:
    """Slots and ranks are already in order: a stable sort by row keeps them so."""
    return columns[:, np.argsort(columns[0], kind="stable")]


def _empty_stages(
    snapshot: Snapshot, removed_by: NDArray[np.int32], rows: NDArray[np.intp], slots: NDArray[np.intp]
) -> NDArray[np.intp]:
    """For each empty slot the furthest stage that any action with a treatment there has reached."""
    said = snapshot.catalogue.slot_treatments[slots] >= 0
    reached = np.where(said, snapshot.removal_stages[removed_by[rows]], -1)
    furthest = reached.max(axis=1, initial=-1)
    return np.where(furthest < 0, NO_TREATMENT_STAGE, furthest)
