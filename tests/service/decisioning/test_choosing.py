"""The choices of a batch: everybody by their own seed, as their arm explores."""

import numpy as np
import pytest
from numpy.typing import NDArray

from service.decisioning.catalogue import Action
from service.decisioning.choosing import Explorer
from service.decisioning.conduct import Conduct
from service.decisioning.draws import branch
from service.decisioning.experiments import Assigned
from service.decisioning.exploration import Exploration
from service.decisioning.turns import Turns

from .conftest import MakeBatch, MakeSnapshot

Column = NDArray[np.intp]

ACTIONS = [Action(f"a{index}", "i", "g", propensity=0.1) for index in range(5)]


def turns_at(rows: Column, slots: Column, ranks: Column) -> Turns:
    """One turn of each row, at a slot and a rank."""
    at, one = np.arange(len(rows)), np.ones(len(rows), np.intp)
    return Turns(
        row=rows,
        slot=slots,
        end=at + 1,
        visit=at,
        rank=ranks,
        left=one,
        first=at,
        stop=at + 1,
        siblings=at[:, None],
    )


CONDUCTS = tuple(
    Conduct(exploration=Exploration(method))
    for method in ("none", "thompson", "uniform", "random_propensity")
)


def explorer(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch, seeds: np.ndarray, conduct: list[int]
) -> Explorer:
    snapshot = make_snapshot(ACTIONS)
    batch = make_batch(snapshot, len(seeds), seeds=seeds)
    assigned = Assigned(CONDUCTS, np.array(conduct), np.empty((len(seeds), 0), np.intp))
    return Explorer.of(snapshot, batch, assigned, np.full((len(seeds), 5), 0.1))


@pytest.mark.parametrize("conduct", [[0], [1] * 4, [3, 0], [0, 1, 2, 3, 3, 2, 1, 0]], ids=str)
@pytest.mark.parametrize(("slots", "ranks"), [(1, 1), (3, 3), (1, 4)])
def test_everybody_chooses_at_their_place_as_they_would_alone(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch, conduct: list[int], slots: int, ranks: int
) -> None:
    seeds = branch(np.arange(len(conduct), dtype=np.uint64), 7)
    scores = np.arange(5.0) + np.arange(len(conduct))[:, None]
    together = explorer(make_snapshot, make_batch, seeds, conduct)
    rows = np.arange(len(conduct))[::-1]
    slot, rank = np.arange(len(rows)) % slots, np.arange(len(rows)) % ranks + 1
    choices = together.choose(turns_at(rows, slot[rows], rank[rows]), scores[rows])
    half = len(rows) // 2
    choice = np.concatenate(
        [choices.take(turns, scores[rows[turns]]) for turns in np.split(np.arange(len(rows)), [half])]
    )
    probability, cost = choices.stated()
    for place, row in enumerate(rows.tolist()):
        alone = explorer(make_snapshot, make_batch, seeds[[row]], [conduct[row]])
        expected = alone.choose(turns_at(np.array([0]), slot[[row]], rank[[row]]), scores[[row]])
        assert choice[place] == expected.take(np.array([0]), scores[[row]])[0]
        stated = expected.stated()
        assert probability[place] == stated[0][0]
        assert cost[place] == stated[1][0]


def test_turns_of_other_slots_and_ranks_are_drawn_anew(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    seeds = branch(np.arange(200, dtype=np.uint64), 1)
    choosing = explorer(make_snapshot, make_batch, seeds, [2] * 200)
    alike = np.ones((200, 5))
    choices = [
        choosing.choose(turns_at(np.arange(200), np.full(200, slot), np.full(200, rank)), alike).take(
            np.arange(200), alike
        )
        for slot, rank in ((0, 1), (0, 2), (1, 1), (0, 1))
    ]
    assert (choices[0] == choices[3]).all()
    for other in choices[1:3]:
        assert 0.1 < (choices[0] == other).mean() < 0.3


def test_without_seeds_nothing_is_left_to_chance(make_snapshot: MakeSnapshot, make_batch: MakeBatch) -> None:
    snapshot = make_snapshot(ACTIONS)
    batch = make_batch(snapshot, 2)
    assigned = Assigned(CONDUCTS, np.array([1, 2]), np.empty((2, 0), np.intp))
    scores = np.array([[1.0, 3.0, 2.0, 0.0, 0.0]] * 2)
    choices = Explorer.of(snapshot, batch, assigned, np.full((2, 5), 0.1)).choose(
        turns_at(np.arange(2), np.zeros(2, np.intp), np.ones(2, np.intp)), scores
    )
    chosen = choices.take(np.arange(2), scores)
    probability, cost = choices.stated()
    assert chosen.tolist() == [1, 1]
    assert probability.tolist() == [1.0, 1.0]
    assert cost.tolist() == [0.0, 0.0]


def test_turns_that_were_not_taken_are_certain_and_cost_nothing(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    seeds = branch(np.arange(4, dtype=np.uint64), 3)
    choices = explorer(make_snapshot, make_batch, seeds, [1, 1, 2, 2]).choose(
        turns_at(np.arange(4), np.zeros(4, np.intp), np.ones(4, np.intp)), np.ones((4, 5))
    )
    none, some = np.full((1, 5), -np.inf), np.arange(5.0)[None]
    assert choices.take(np.array([1]), none).tolist() == [-1]
    assert choices.take(np.array([2, 3]), np.concatenate([none, some])).tolist()[0] == -1
    probability, cost = choices.stated()
    assert probability.tolist() == [1.0, 1.0, 1.0, 0.2]
    assert cost.tolist() == [0.0] * 4
