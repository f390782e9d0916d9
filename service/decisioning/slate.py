"""The slate: candidates into placements, the best first.

The placements of an answer are filled jointly: slot after slot in catalogue order, rank by rank, all sharing
the rules of the slate. At each turn mandatory actions come first, then tier after tier, then the highest
priority; of equal ones the action that stands first in the catalogue, so that the order is total and the same
on every machine. Fallbacks come in a second round, for the slots that are still empty.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.decisioning import turns
from service.decisioning.batch import Batch
from service.decisioning.choosing import no_chance
from service.decisioning.contest import contest
from service.decisioning.snapshot import Snapshot
from service.decisioning.treatments import Said
from service.decisioning.turns import Asked, Chance


@dataclass(frozen=True, slots=True)
class Slate:
    """What was chosen, as flat columns in order of (row, slot, rank), and the slots that stay empty.

    row, slot, rank, action, treatment   one entry per chosen action; rank counts from 1
    bundle, position                     the bundle that it stands in, -1 for none, and its place there from 1
    selection_probability                with which the policy chose this action at this rank's turn
    expected_cost                        the priority that leaving this turn to chance gave up
    empty_row, empty_slot, empty_code    one entry per empty slot; the code of the removal (see
                                         `Snapshot.removals`) by which the last of its candidates went
    """

    row: NDArray[np.intp]
    slot: NDArray[np.intp]
    rank: NDArray[np.intp]
    action: NDArray[np.intp]
    treatment: NDArray[np.intp]
    bundle: NDArray[np.intp]
    position: NDArray[np.intp]
    selection_probability: NDArray[np.float64]
    expected_cost: NDArray[np.float64]
    empty_row: NDArray[np.intp]
    empty_slot: NDArray[np.intp]
    empty_code: NDArray[np.intp]


def fill(
    snapshot: Snapshot,
    batch: Batch,
    removed_by: NDArray[np.int32],
    priority: NDArray[np.float64],
    said: Said | None = None,
    mandatory: NDArray[np.bool_] | None = None,
    chance: Chance | None = None,
) -> Slate:
    """Fill every slot asked for; marks in `removed_by` (in place) the candidates that were not chosen.

    `said` has the treatments; without it no rule takes one out. `mandatory` (n x A) says who comes first of
    all. Without `chance` everybody takes the best.
    """
    snapshot.slate_rules.drop_incomplete(removed_by)
    catalogue, priority = snapshot.catalogue, np.ascontiguousarray(priority)
    treatments = (said or Said(catalogue)).tables()
    limits = np.array(batch.limits)  # of our own: a record's can't be written to, which is another type
    asked = Asked(limits, removed_by, priority, catalogue.is_fallback, *treatments)
    rules, chance = contest(snapshot, batch, mandatory), chance or no_chance(snapshot, priority)
    outcome = turns.fill(asked, rules, chance, snapshot.slate_reasons)
    return Slate(*outcome.picks, *outcome.stated, *outcome.empty)
