"""The choices of a batch: everybody by their own seed, as their arm explores."""

import numpy as np
import pytest
from numpy.typing import NDArray

from service.decisioning.catalogue import Action
from service.decisioning.choosing import chance
from service.decisioning.conduct import Conduct
from service.decisioning.draws import branch
from service.decisioning.experiments import Arm, Assigned, Experiment, Experiments
from service.decisioning.exploration import Exploration
from service.decisioning.slate import Slate, fill

from .conftest import MakeBatch, MakeSnapshot

ACTIONS = [Action(f"a{index}", "i", "g", propensity=0.1) for index in range(5)]
CONDUCTS = tuple(
    Conduct(exploration=Exploration(method))
    for method in ("none", "thompson", "uniform", "random_propensity")
)
ARMS = tuple(Arm(f"arm{number}", 0.0, 0.0, conduct) for number, conduct in enumerate(CONDUCTS[1:]))
EVERYBODY = np.arange(5.0)


class World:
    """Actions of rising priority; requests of given conducts for all placements of web."""

    def __init__(self, make_snapshot: MakeSnapshot, make_batch: MakeBatch) -> None:
        experiments = Experiments((Experiment("methods", "methods", ARMS),))
        self.snapshot, self.make_batch = make_snapshot(ACTIONS, experiments=experiments), make_batch

    def fill(
        self,
        conduct: list[int],
        scores: NDArray[np.float64],
        seeds: NDArray[np.uint64] | None,
        limits: dict[str, int] | None = None,
    ) -> Slate:
        n = len(conduct)
        batch = self.make_batch(self.snapshot, n, seeds=seeds, limits=limits)
        assigned = Assigned(CONDUCTS, np.array(conduct), np.empty((n, 0), np.intp))
        draws = chance(self.snapshot, batch, assigned, np.full((n, 5), 0.1))
        removed_by = np.where(scores == -np.inf, 1, 0).astype(np.int32)
        return fill(self.snapshot, batch, removed_by, scores, chance=draws)


@pytest.fixture
def world(make_snapshot: MakeSnapshot, make_batch: MakeBatch) -> World:
    return World(make_snapshot, make_batch)


@pytest.mark.parametrize("conduct", [[0], [1] * 4, [3, 0], [0, 1, 2, 3, 3, 2, 1, 0]], ids=str)
@pytest.mark.parametrize("limits", [{"hero": 1}, {"hero": 1, "tiles": 3}, {"tiles": 4}], ids=str)
def test_everybody_chooses_at_their_place_as_they_would_alone(
    world: World, conduct: list[int], limits: dict[str, int]
) -> None:
    seeds = branch(np.arange(len(conduct), dtype=np.uint64), 7)
    scores = EVERYBODY + np.arange(len(conduct))[:, None]
    together = world.fill(conduct, scores, seeds, limits)
    for row in range(len(conduct)):
        alone = world.fill([conduct[row]], scores[[row]], seeds[[row]], limits)
        mine = together.row == row
        for column in ("slot", "rank", "action", "selection_probability", "expected_cost"):
            assert getattr(together, column)[mine].tolist() == getattr(alone, column).tolist()


def test_turns_of_other_slots_and_ranks_are_drawn_anew(world: World) -> None:
    """Uniform choices of the first of each slot are independent, and those of the second of what is left."""
    seeds, alike = branch(np.arange(400, dtype=np.uint64), 1), np.ones((400, 5))
    slates = [
        world.fill([2] * 400, alike, seeds, limits) for limits in ({"hero": 1}, {"tiles": 2}, {"hero": 1})
    ]
    hero, tiles, again = (slate.action[slate.rank == 1] for slate in slates)
    second = slates[1].action[slates[1].rank == 2]
    assert (hero == again).all()
    assert 0.1 < (hero == tiles).mean() < 0.3
    assert 0.1 < (hero == second).mean() < 0.3


def test_without_seeds_nothing_is_left_to_chance(world: World) -> None:
    scores = np.array([[1.0, 3.0, 2.0, 0.0, 0.0]] * 2)
    slate = world.fill([1, 2], scores, None, {"hero": 1})
    assert slate.action.tolist() == [1, 1]
    assert slate.selection_probability.tolist() == [1.0, 1.0]
    assert slate.expected_cost.tolist() == [0.0, 0.0]


def test_turns_at_which_nobody_is_left_are_not_taken(world: World) -> None:
    scores = np.array([[-np.inf] * 5, EVERYBODY, [-np.inf, 1.0, -np.inf, -np.inf, -np.inf]])
    slate = world.fill([1, 2, 2], scores, branch(np.arange(3, dtype=np.uint64), 3), {"tiles": 3})
    assert slate.row.tolist() == [1, 1, 1, 2]
    assert slate.selection_probability.tolist() == [0.2, 0.25, 1 / 3, 1.0]
    assert slate.expected_cost.tolist() == [0.0] * 4
    assert slate.empty_row.tolist() == [0]
