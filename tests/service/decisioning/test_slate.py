"""Laws of the slate, over random priorities and limits."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action, Catalogue, Channel, Placement, Treatment
from service.decisioning.slate import Slate, fill
from service.decisioning.snapshot import Snapshot

from .conftest import SCHEMA

ACTIONS, SLOTS, ROWS = 6, 3, 3

Case = tuple[Snapshot, Batch, NDArray[np.int32], NDArray[np.float64]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A catalogue where random actions fit random placements, and requests with random limits and
    priorities."""
    fits = draw(hnp.arrays(np.bool_, (ACTIONS, SLOTS)))
    channel = Channel("web", "inbound", tuple(Placement(f"p{slot}", 1) for slot in range(SLOTS)))
    actions = tuple(Action(f"a{index}", "i", "g") for index in range(ACTIONS))
    treatments = tuple(
        Treatment(
            f"t{index}", f"a{index}", "web", tuple(f"p{slot}" for slot in np.flatnonzero(fits[index])), b"{}"
        )
        for index in range(ACTIONS)
    )
    snapshot = Snapshot(Catalogue((channel,), actions, treatments, "v"), SCHEMA, np.ones(ACTIONS))
    # few different priorities, so that ties are frequent
    priority = draw(hnp.arrays(np.float64, (ROWS, ACTIONS), elements=st.sampled_from([0.0, 1.0, 2.0, 3.0])))
    removed = draw(hnp.arrays(np.int32, (ROWS, ACTIONS), elements=st.sampled_from([0, 0, 0, 3])))
    limits = draw(hnp.arrays(np.int32, (ROWS, SLOTS), elements=st.integers(0, 3)))
    batch = Batch(
        np.zeros((ROWS, SCHEMA.width)),
        np.zeros(ROWS),
        np.zeros(ROWS, dtype=np.intp),
        limits,
        np.ones(ROWS, dtype=np.bool_),
    )
    return snapshot, batch, removed, priority


def expected(case: Case) -> list[tuple[int, int, int, int]]:
    """The slate by its definition, one request and one rank at a time: (row, slot, rank, action)."""
    snapshot, batch, removed, priority = case
    said = snapshot.catalogue.slot_treatments >= 0
    picks = []
    for row in range(ROWS):
        taken: set[int] = set()
        for slot in range(SLOTS):
            free = [a for a in range(ACTIONS) if removed[row, a] == 0 and said[slot, a] and a not in taken]
            best = sorted(free, key=lambda a: (-priority[row, a], a))[: batch.limits[row, slot]]
            picks += [(row, slot, rank, action) for rank, action in enumerate(best, start=1)]
            taken |= set(best)
    return picks


def chosen(slate: Slate) -> list[tuple[int, int, int, int]]:
    columns = (slate.row, slate.slot, slate.rank, slate.action)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(cases())
def test_the_slate_is_the_best_free_actions_slot_by_slot_and_rank_by_rank(case: Case) -> None:
    snapshot, batch, removed, priority = case
    assert chosen(fill(snapshot, batch, removed.copy(), priority)) == expected(case)


@given(cases())
def test_every_slot_asked_for_is_either_filled_or_empty_with_a_reason(case: Case) -> None:
    snapshot, batch, removed, priority = case
    slate = fill(snapshot, batch, removed.copy(), priority)
    filled = set(zip(slate.row.tolist(), slate.slot.tolist(), strict=True))
    empty = list(zip(slate.empty_row.tolist(), slate.empty_slot.tolist(), strict=True))
    assert filled.isdisjoint(empty)
    assert sorted(filled | set(empty)) == sorted(
        zip(*(c.tolist() for c in np.nonzero(batch.limits)), strict=True)
    )
    assert len(set(empty)) == len(empty) == len(slate.empty_code)


@given(cases())
def test_a_request_gets_the_same_alone_as_in_any_batch(case: Case) -> None:
    snapshot, batch, removed, priority = case
    together = chosen(fill(snapshot, batch, removed.copy(), priority))
    for row in range(ROWS):
        one = Batch(
            batch.X[[row]], batch.now[[row]], batch.channel[[row]], batch.limits[[row]], batch.scored[[row]]
        )
        alone = chosen(fill(snapshot, one, removed[[row]].copy(), priority[[row]]))
        assert [pick[1:] for pick in alone] == [pick[1:] for pick in together if pick[0] == row]
