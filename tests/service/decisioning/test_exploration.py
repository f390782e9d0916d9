"""Laws of exploration: what is said of a choice's probability is true, and nothing else has a say in it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.stats import chisquare

from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action, Catalogue, Channel, Placement, Treatment
from service.decisioning.draws import branch, key_of, keys_of, mixed, uniforms
from service.decisioning.exploration import Exploration, Method, ways_of
from service.decisioning.noise import noise, random_noise
from service.decisioning.slate import fill
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import INACTIVE
from service.decisioning.turns import NOBODY, Chance, odds

from .conftest import SCHEMA

DRAWS = 40_000
RANDOM: tuple[Method, ...] = ("epsilon", "softmax", "thompson", "uniform", "random_propensity")
EXPLORATIONS = [
    *(Exploration(method) for method in RANDOM),
    Exploration("epsilon", epsilon=0.3, share=0.4, floor=0.02),
    Exploration("softmax", temperature=0.05, floor=0.01),
    Exploration("softmax", temperature=2.0, share=0.5),
    Exploration("thompson", share=0.2, floor=0.01),
    Exploration("thompson", floor=0.5),
]
EVIDENCE = np.array([200.0, 1.0, 40.0, 1000.0, 10.0, 200.0])
NAMES = ["fibre", "mobile", "tv", "loyalty", "service", "retention"]
PROPENSITY = np.array([0.1, 0.08, 0.11, 0.09, 0.9, 0.1])
SCORES = np.array([1.0, 0.8, 1.1, 0.9, 1.05, 1.0])


@dataclass(frozen=True)
class Draws:
    """What m turns draw with, each of a request of its own."""

    keys: NDArray[np.uint64]
    actions: NDArray[np.uint64]
    propensity: NDArray[np.float64]
    noise: NDArray[np.float64]
    explores: NDArray[np.bool_] | None = None

    def chance(self, exploration: Exploration) -> Chance:
        ways = ways_of([exploration], self.actions, np.zeros(len(self.actions)))
        if exploration.method == "thompson":
            known = self.noise[None].copy()
            ways = ways._replace(noises=known, worst=known[:, :, 0].copy(), best=known[:, :, -1].copy())
        n = len(self.keys)
        explores = np.ones(n, np.bool_) if self.explores is None else self.explores
        return Chance(ways, np.zeros(n, np.intp), self.keys, explores, self.propensity.copy())


def chance_of(keys: NDArray[np.uint64], propensity: NDArray[np.float64] = PROPENSITY) -> Draws:
    """What turns of requests with these seeds draw with, by the first of the names."""
    actions = propensity.shape[-1]
    return Draws(
        keys,
        keys_of(NAMES[:actions]),
        np.broadcast_to(propensity, (len(keys), actions)).copy(),
        noise(EVIDENCE[:actions]),
    )


class Turn(NamedTuple):
    choice: NDArray[np.intp]
    probability: NDArray[np.float64]
    expected_cost: NDArray[np.float64]


def one_place(actions: int) -> Snapshot:
    """A snapshot of so many actions, all in one placement."""
    web = Channel("web", "inbound", (Placement("hero", 1),))
    names = [f"a{number}" for number in range(actions)]
    treatments = tuple(Treatment(f"t_{name}", name, "web", ("hero",), b"{}") for name in names)
    catalogue = Catalogue((web,), tuple(Action(name, "i", "g") for name in names), treatments, "v")
    return Snapshot(catalogue, SCHEMA, np.ones(actions))


def choose(exploration: Exploration, scores: NDArray[np.float64], draws: Draws) -> Turn:
    """One choice for each request, as the slate makes them."""
    n, actions = scores.shape
    ones = np.ones((n, 1), np.int32)
    batch = Batch(np.zeros((n, SCHEMA.width)), np.zeros(n), np.zeros(n, np.intp), ones, np.ones(n, np.bool_))
    removed_by = np.where(scores == -np.inf, INACTIVE, 0).astype(np.int32, order="C")
    slate = fill(one_place(actions), batch, removed_by, scores, chance=draws.chance(exploration))
    turn = Turn(np.full(n, NOBODY), np.ones(n), np.zeros(n))
    for column, found in zip(
        turn, (slate.action, slate.selection_probability, slate.expected_cost), strict=True
    ):
        column[slate.row] = found
    return turn


def told(
    exploration: Exploration, scores: NDArray[np.float64], draws: Draws, row: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """With which probabilities the turn of a request takes each action, and what they draw, A each."""
    probability, drawn = np.empty((2, len(scores)))
    odds(draws.chance(exploration), row, 0, 1, scores, np.arange(len(scores)), probability, drawn)
    return np.where(scores > -np.inf, probability, 0.0), drawn


def distribution(exploration: Exploration, scores: NDArray[np.float64], draws: Draws) -> NDArray[np.float64]:
    """The probability with which each turn takes each action, m x A."""
    return np.array([told(exploration, scores[row], draws, row)[0] for row in range(len(scores))])


def drawn(exploration: Exploration, draws: Draws) -> NDArray[np.float64]:
    scores = np.zeros(len(draws.actions))
    return np.array([told(exploration, scores, draws, row)[1] for row in range(len(draws.keys))])


def keys(number: int, seed: int = 0) -> NDArray[np.uint64]:
    return branch(np.arange(number, dtype=np.uint64), seed)


def repeated(scores: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    return np.broadcast_to(scores, (number, len(scores))).copy()


def assert_frequent(chosen: NDArray[np.intp], stated: NDArray[np.float64]) -> None:
    """Chi-square: what was chosen has the stated probabilities (A). The seeds are fixed, so no luck."""
    counts = np.bincount(chosen, minlength=len(stated))
    possible = stated > 0
    assert not counts[~possible].any()
    if possible.sum() > 1:
        stated = stated[possible] / stated[possible].sum()
        assert chisquare(counts[possible], len(chosen) * stated).pvalue > 1e-3


@pytest.mark.parametrize("exploration", EXPLORATIONS, ids=str)
def test_choices_are_as_frequent_as_their_stated_probabilities(exploration: Exploration) -> None:
    scores, chance = repeated(SCORES, DRAWS), chance_of(keys(DRAWS))
    turn = choose(exploration, scores, chance)
    stated = distribution(exploration, scores[:1], chance_of(keys(1)))[0]
    np.testing.assert_allclose(turn.probability, stated[turn.choice], rtol=1e-12)
    assert_frequent(turn.choice, stated)


@pytest.mark.parametrize("exploration", EXPLORATIONS, ids=str)
def test_the_mean_cost_of_choices_is_the_expected_cost_of_exploring(exploration: Exploration) -> None:
    turn = choose(exploration, repeated(SCORES, DRAWS), chance_of(keys(DRAWS)))
    stated = distribution(exploration, SCORES[None], chance_of(keys(1)))[0]
    expected = stated @ (SCORES.max() - SCORES)
    if exploration.method in ("uniform", "random_propensity"):
        assert not turn.expected_cost.any()
    else:
        assert turn.expected_cost.mean() == pytest.approx(expected, rel=0.05)


def available_scores() -> st.SearchStrategy[NDArray[np.float64]]:
    """Few different scores, so that ties are frequent, and candidates missing here and there."""
    element = st.sampled_from([-np.inf, 0.0, 0.5, 0.98, 1.0, 1.0, 1.02, 30.0, 1e12, 1e-12, 1e-310])
    return hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.just(len(NAMES))), elements=element)


explorations = st.sampled_from([Exploration(), *EXPLORATIONS])


@given(available_scores(), explorations)
def test_the_probabilities_of_a_turn_sum_to_one(
    scores: NDArray[np.float64], exploration: Exploration
) -> None:
    stated = distribution(exploration, scores, chance_of(keys(len(scores))))
    some = (scores > -np.inf).any(axis=1)
    np.testing.assert_allclose(stated.sum(axis=1), some, rtol=1e-9)
    assert (stated >= 0).all()
    assert not stated[scores == -np.inf].any()


@given(available_scores(), explorations, st.integers(0, 50))
def test_no_turn_depends_on_the_others_of_its_batch(
    scores: NDArray[np.float64], exploration: Exploration, seed: int
) -> None:
    together = choose(exploration, scores, chance_of(keys(len(scores), seed)))
    for row in range(len(scores)):
        alone = choose(exploration, scores[[row]], chance_of(keys(len(scores), seed)[[row]]))
        assert together.choice[row] == alone.choice[0]
        assert together.probability[row] == alone.probability[0]
        assert together.expected_cost[row] == alone.expected_cost[0]


@given(available_scores(), explorations, st.integers(0, 50))
def test_an_action_that_is_no_candidate_changes_nothing(
    scores: NDArray[np.float64], exploration: Exploration, seed: int
) -> None:
    with_it = scores.copy()
    with_it[:, 2] = -np.inf
    others = [0, 1, 3, 4, 5]
    chance = chance_of(keys(len(scores), seed))
    without = replace(
        chance,
        actions=chance.actions[others],
        propensity=chance.propensity[:, others],
        noise=chance.noise[others],
    )
    expected = choose(exploration, with_it[:, others], without)
    found = choose(exploration, with_it, chance)
    renumbered = np.where(expected.choice == NOBODY, NOBODY, np.array(others)[expected.choice])
    np.testing.assert_array_equal(found.choice, renumbered)
    np.testing.assert_array_equal(found.probability, expected.probability)


@given(available_scores(), explorations, st.integers(0, 50), st.integers(0, 5))
def test_who_is_not_chosen_has_no_say_in_who_is(
    scores: NDArray[np.float64], exploration: Exploration, seed: int, loser: int
) -> None:
    """With a floor the number of candidates has: it says how often anybody is chosen."""
    unfloored, draws = replace(exploration, floor=0.0), chance_of(keys(len(scores), seed))
    chosen = choose(unfloored, scores, draws).choice
    without = scores.copy()
    without[chosen != loser, loser] = -np.inf
    np.testing.assert_array_equal(choose(unfloored, without, draws).choice, chosen)


@given(available_scores(), explorations, st.integers(0, 50))
def test_only_candidates_are_chosen_and_nothing_where_there_is_none(
    scores: NDArray[np.float64], exploration: Exploration, seed: int
) -> None:
    turn = choose(exploration, scores, chance_of(keys(len(scores), seed)))
    for row, choice in zip(scores, turn.choice, strict=True):
        assert (row[choice] > -np.inf) if choice >= 0 else not (row > -np.inf).any()
    assert (turn.probability[turn.choice >= 0] > 0).all()
    assert (turn.expected_cost >= 0).all()


@given(available_scores(), st.sampled_from(EXPLORATIONS), st.integers(0, 50), st.integers(0, 5))
def test_a_higher_priority_never_makes_a_choice_less_probable(
    scores: NDArray[np.float64], exploration: Exploration, seed: int, action: int
) -> None:
    chance = chance_of(keys(len(scores), seed))
    raised = scores.copy()
    raised[:, action] *= 1.5
    before = distribution(exploration, scores, chance)[:, action]
    after = distribution(exploration, raised, chance)[:, action]
    assert (after >= before - 1e-9).all()


@given(available_scores(), st.integers(0, 50))
def test_thompson_states_what_counting_all_draws_would_find(scores: NDArray[np.float64], seed: int) -> None:
    """Two candidates: all 64 x 64 pairs of draws."""
    pair = scores[:1, :2]
    if not (pair > -np.inf).all():
        return
    chance = chance_of(keys(1, seed), PROPENSITY[:2])
    scaled = pair / 2.0 ** np.frexp(pair.max())[1]
    values = (scaled[0, :, None] * np.minimum(chance.noise, 1 / PROPENSITY[:2, None])).astype(np.float32)
    wins = (values[0][:, None] >= values[1]).mean()
    stated = distribution(Exploration("thompson"), pair, chance)[0]
    np.testing.assert_allclose(stated, [wins, 1 - wins], atol=1e-12)


@pytest.mark.parametrize("method", RANDOM)
def test_the_floor_is_the_least_probability_in_a_turn_that_explores(method: Method) -> None:
    stated = distribution(Exploration(method, floor=0.03), SCORES[None], chance_of(keys(1)))
    assert stated.min() >= 0.03 - 1e-12
    all_alike = distribution(Exploration(method, floor=0.5), SCORES[None], chance_of(keys(1)))
    np.testing.assert_allclose(all_alike, 1 / len(NAMES))


def test_softmax_sees_ratios_and_no_scale() -> None:
    softmax = Exploration("softmax", temperature=0.5)
    stated = distribution(softmax, np.array([[1.0, 2.0, 0.0]]), chance_of(keys(1), PROPENSITY[:3]))
    np.testing.assert_allclose(stated, [[0.2, 0.8, 0.0]])
    large = distribution(softmax, np.array([[1e12, 2e12, 0.0]]), chance_of(keys(1), PROPENSITY[:3]))
    np.testing.assert_allclose(stated, large)


def test_epsilon_leaves_the_rest_to_the_best() -> None:
    stated = distribution(
        Exploration("epsilon", epsilon=0.3), SCORES[None, :3], chance_of(keys(1), PROPENSITY[:3])
    )
    np.testing.assert_allclose(stated, [[0.1, 0.1, 0.8]])


def test_without_exploring_the_first_of_the_best_is_certain() -> None:
    scores = np.array([[1.0, 3.0, 3.0], [-np.inf] * 3])
    turn = choose(Exploration(), scores, chance_of(keys(2), PROPENSITY[:3]))
    assert turn.choice.tolist() == [1, -1]
    assert turn.probability.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("method", RANDOM)
def test_what_cannot_be_paid_for_is_not_explored_but_control_groups_go_on(method: Method) -> None:
    spent = replace(chance_of(keys(200)), explores=np.arange(200) < 100)
    turn = choose(Exploration(method), repeated(SCORES, 200), spent)
    control = method in ("uniform", "random_propensity")
    assert (turn.choice[100:] == SCORES.argmax()).all() != control
    assert (turn.probability[100:] == 1.0).all() != control
    assert (turn.probability[:100] < 1.0).all()


def test_with_200_positives_nine_in_ten_draws_lie_within_a_tenth_of_the_model() -> None:
    known = noise(np.array([200.0]))[0]
    assert (np.abs(known - 1) <= 0.1).mean() == pytest.approx(0.9, abs=1 / 64)
    assert (np.abs(noise(np.array([500.0]))[0] - 1) <= 0.1).mean() > 0.98


@pytest.mark.parametrize("evidence", [0.0, 1.0, 5.0, 10.0, 200.0, 1e6])
def test_draws_keep_the_models_propensity_in_the_mean_and_ascend(evidence: float) -> None:
    drawn = noise(np.array([evidence]))[0]
    assert drawn.mean() == pytest.approx(1.0)
    assert (np.diff(drawn) >= 0).all()
    assert drawn[0] >= 0


def test_what_little_is_known_of_is_tried_more_often() -> None:
    scores = np.array([[1.0, 0.7]])
    chance = chance_of(keys(1), PROPENSITY[:2])
    tried = [
        distribution(Exploration("thompson"), scores, replace(chance, noise=noise(np.array([500.0, known]))))[
            0, 1
        ]
        for known in (1.0, 10.0, 100.0, 1000.0)
    ]
    assert tried == sorted(tried, reverse=True)
    assert tried[0] > 0.2
    assert tried[-1] == 0.0


def test_a_drawn_propensity_is_never_above_one() -> None:
    """Both are certain to be accepted: luck has nothing to add, so only bad luck decides."""
    certain = chance_of(keys(1), np.array([1.0, 1.0]))
    stated = distribution(
        Exploration("thompson"),
        np.array([[1.0, 1.3]]),
        replace(certain, noise=noise(np.array([1000.0, 1000.0]))),
    )
    np.testing.assert_allclose(stated, [[0.0, 1.0]])


@pytest.mark.parametrize("draw", [uniforms, lambda drawn: uniforms(mixed(drawn))])
def test_draws_fill_the_unit_interval_evenly(
    draw: Callable[[NDArray[np.uint64]], NDArray[np.float64]],
) -> None:
    drawn = draw(branch(np.arange(100_000, dtype=np.uint64), 3, 1))
    assert drawn.min() > 0
    assert drawn.max() < 1
    assert chisquare(np.histogram(drawn, 100, (0, 1))[0]).pvalue > 1e-3


def test_draws_for_different_ends_have_nothing_to_do_with_one_another() -> None:
    base = np.arange(20_000, dtype=np.uint64)
    first, second = uniforms(branch(base, 0)), uniforms(branch(base, 1))
    table = np.histogram2d(first, second, bins=10, range=((0, 1), (0, 1)))[0]
    assert chisquare(table.ravel()).pvalue > 1e-3


def test_keys_of_texts_are_the_same_on_every_machine() -> None:
    assert key_of("c1") == 5653263758500360259
    assert branch(keys_of(["c1"]), 1, 2).tolist() == [10802044340914398016]


@pytest.mark.parametrize("exploration", EXPLORATIONS, ids=str)
def test_what_is_chosen_by_draws_is_what_drew_best(exploration: Exploration) -> None:
    scores, chance = repeated(SCORES, 500), chance_of(keys(500))
    found, turn = drawn(exploration, chance), choose(replace(exploration, floor=0.0), scores, chance)
    if exploration.method not in ("thompson", "random_propensity"):
        assert np.isnan(found).all()
        return
    explores = ~np.isnan(found[:, 0])
    assert explores.mean() == pytest.approx(exploration.share, abs=0.1)
    winners = (SCORES / PROPENSITY * found[explores]).argmax(axis=1)
    assert (turn.choice[explores] == winners).all()
    assert (turn.choice[~explores] == SCORES.argmax()).all()


def test_an_action_that_is_out_draws_nothing() -> None:
    out = np.where(np.arange(len(NAMES)) == 2, np.nan, PROPENSITY)
    for method in ("thompson", "random_propensity"):
        assert np.isnan(drawn(Exploration(method), chance_of(keys(3), out))[:, 2]).all()


def test_draws_hang_on_seed_slot_rank_and_action_and_on_nothing_else() -> None:
    """So what was decided by a seed can be decided again."""
    draws, proposal = chance_of(keys(20)), 3
    of_turns = branch(branch(draws.keys, 1), 0, 1)
    hashes = mixed(branch(of_turns, proposal)[:, None] ^ draws.actions)
    everybody = np.zeros((20, len(NAMES)))
    chosen = choose(Exploration("uniform"), everybody, draws).choice
    np.testing.assert_array_equal(chosen, uniforms(hashes).argmax(axis=1))
    levels = (hashes >> np.uint64(58)).astype(np.intp)
    found = drawn(Exploration("random_propensity"), draws)
    np.testing.assert_array_equal(found, (levels + 0.5) / 64)


@pytest.mark.parametrize("method", ["thompson", "random_propensity"])
def test_of_many_rivals_the_probabilities_are_what_counting_values_would_find(method: Method) -> None:
    """Each value that a candidate may draw, against the share of each rival's values below."""
    rng = np.random.default_rng(1)
    actions, exploration = 30, Exploration(method)
    draws = Draws(
        keys(1), keys(actions, 5), rng.uniform(0.01, 0.3, (1, actions)), noise(np.full(actions, 9.0))
    )
    scores = np.round(rng.uniform(0.5, 1.5, actions), 1)
    if method == "thompson":
        worth, multipliers = scores, np.minimum(draws.noise, 1 / draws.propensity[0][:, None])
    else:
        worth, multipliers = scores / draws.propensity[0], random_noise(actions)
    values = (worth[:, None] / 2.0 ** np.frexp(worth.max())[1] * multipliers).astype(np.float32)
    expected = np.zeros(actions)
    for mine in range(actions):
        wins = np.ones(64)
        for rival in set(range(actions)) - {mine}:
            below = (
                values[rival] <= values[mine][:, None]
                if mine < rival
                else values[rival] < values[mine][:, None]
            )
            wins *= below.mean(axis=1)
        expected[mine] = wins.mean()
    np.testing.assert_allclose(told(exploration, scores, draws, 0)[0], expected, rtol=1e-12)
    assert expected.sum() == pytest.approx(1.0)
