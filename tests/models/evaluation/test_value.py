"""The estimators against a truth that is known, and the laws that they obey."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.evaluation.bootstrap import cluster_sums, resampled
from models.evaluation.estimators import best_switch, effective_sample_size, estimates, terms
from models.evaluation.logged import LoggedChoices
from models.evaluation.value import NothingLogged, evaluate

Floats = NDArray[np.float64]
ACTIONS = 5


class World:
    """Contexts with a number x; rewards 0 or 1 of each action with probability q(x, a). The log tries the
    first so many actions."""

    def __init__(self, seed: int, n: int = 4_000, tried: int = ACTIONS) -> None:
        rng = np.random.default_rng(seed)
        self.x = rng.normal(size=n)
        slopes, levels = np.linspace(-1.5, 1.5, ACTIONS), np.linspace(-2.0, -0.5, ACTIONS)
        self.q = 1 / (1 + np.exp(-(self.x[:, None] * slopes + levels)))
        self.live = _softmax(0.3 * self.x[:, None] * slopes[::-1] - 1e3 * (np.arange(ACTIONS) >= tried))
        self.policy = _softmax(self.x[:, None] * slopes)
        self.action = (self.live.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
        at = np.arange(n), self.action
        self.rewards = (rng.random(n) < self.q[at]).astype(float)
        self.weights = self.policy[at] / self.live[at]

    @property
    def truth(self) -> float:
        return float((self.policy * self.q).sum(axis=1).mean())

    def logged(self, model: Floats | None = None, clusters: NDArray[np.intp] | None = None) -> LoggedChoices:
        """With a model of rewards (n x A), or none."""
        model = np.zeros_like(self.q) if model is None else model
        predicted = model[np.arange(len(self.x)), self.action]
        expected = (self.policy * model).sum(axis=1)
        return LoggedChoices.single(
            self.rewards, self.weights, clusters, predicted=predicted, expected=expected
        )


def _softmax(scores: Floats) -> Floats:
    found: Floats = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return found


def _values(logged: LoggedChoices, switch: float = np.inf) -> dict[str, float]:
    found = estimates(terms(logged, switch).sum(axis=0))
    return {name: float(value) for name, value in found.items()}


def test_estimates_are_right_in_the_mean() -> None:
    errors: dict[str, list[float]] = {}
    for seed in range(200):
        world = World(seed, 1_000)
        wrong = np.full_like(world.q, 0.5)  # a model that knows nothing
        for name, value in _values(world.logged(wrong)).items():
            errors.setdefault(name, []).append(value - world.truth)
    for name in ("ips", "snips", "dr"):
        spread = np.std(errors[name]) / np.sqrt(200)
        assert abs(np.mean(errors[name])) < 3 * spread + (0.002 if name == "snips" else 0.0), name
    assert abs(np.mean(errors["direct"])) > 0.05  # it believes the model


def test_a_good_model_makes_the_doubly_robust_estimate_surer() -> None:
    ips, dr = [], []
    for seed in range(100):
        world = World(seed, 1_000)
        found = _values(world.logged(world.q))
        ips.append(found["ips"] - world.truth)
        dr.append(found["dr"] - world.truth)
    assert np.std(dr) < 0.9 * np.std(ips)


def test_intervals_hold_what_they_promise() -> None:
    held = {"ips": 0, "snips": 0, "dr": 0}
    expected = World(10_000, 200_000).truth
    for seed in range(100):
        world = World(seed, 500)
        values = evaluate(world.logged(), seed=seed).values
        for name in held:
            held[name] += values[name].low <= expected <= values[name].high
    assert min(held.values()) >= 88, held


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(-5, 5))
def test_a_reward_for_everybody_moves_the_value_by_as_much(seed: int, more: float) -> None:
    world = World(seed, 200)
    before = _values(world.logged(world.q))
    world.rewards = world.rewards + more
    after = _values(world.logged(world.q + more))
    for name in ("snips", "direct", "dr", "logged"):
        assert after[name] == pytest.approx(before[name] + more, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 100))
def test_estimates_are_in_the_unit_of_the_rewards(seed: int, unit: float) -> None:
    world = World(seed, 200)
    before = _values(world.logged(world.q))
    world.rewards = world.rewards * unit
    assert _values(world.logged(world.q * unit)) == pytest.approx(
        {name: value * unit for name, value in before.items()}
    )


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50))
def test_the_policy_that_was_live_is_worth_what_was_logged(rewards: list[float]) -> None:
    logged = LoggedChoices.single(np.array(rewards), np.ones(len(rewards)))
    found = evaluate(logged)
    for name in ("ips", "snips", "dr"):
        assert found.values[name].value == pytest.approx(np.mean(rewards))
        assert found.gains[name].low == pytest.approx(0, abs=1e-9)
        assert found.gains[name].high == pytest.approx(0, abs=1e-9)
    assert found.effective == pytest.approx(len(rewards))


def test_switching_nowhere_is_doubly_robust_and_everywhere_is_direct() -> None:
    world = World(1)
    logged = world.logged(world.q)
    assert _values(logged, np.inf)["switch_dr"] == _values(logged)["dr"]
    assert _values(logged, -1.0)["switch_dr"] == _values(logged)["direct"]
    assert 0 < best_switch(logged) <= world.weights.max()


def test_customers_are_drawn_as_a_whole() -> None:
    rng = np.random.default_rng(0)
    values, customers = rng.normal(size=(300, 1)), rng.integers(0, 20, 300)
    sums = cluster_sums(values, customers)
    assert sums.shape == (20, 1)
    assert sums.sum() == pytest.approx(values.sum())
    same = cluster_sums(np.repeat(values, 5, axis=0), np.repeat(np.arange(300), 5))
    alone = cluster_sums(np.repeat(values, 5, axis=0), np.arange(1_500))
    assert resampled(same, 0).std() > 2 * resampled(alone, 0).std()


def test_what_is_left_empty_is_worth_nothing() -> None:
    world = World(3)
    empty = np.arange(len(world.x)) % 2 == 0
    whole = world.logged()
    half = LoggedChoices(
        rewards=whole.rewards,
        weights=np.where(empty, 0.0, whole.weights),
        reach=whole.reach,
        covered=np.where(empty, 0.0, 1.0),
        predicted=whole.predicted,
        expected=whole.expected,
        clusters=whole.clusters,
    )
    found = evaluate(half)
    assert found.values["ips"].value == pytest.approx(world.truth / 2, abs=0.02)
    assert found.values["snips"].value == pytest.approx(world.truth / 2, abs=0.02)
    assert not found.warnings


def test_second_turns_count_by_how_the_first_one_went() -> None:
    """Two turns, the second one better after action 1 at the first: the policy always takes 1."""
    rng = np.random.default_rng(4)
    n = 20_000
    first, second = rng.integers(0, 2, n), rng.integers(0, 2, n)
    rewards = np.column_stack([0.1 * first, 0.2 + 0.5 * (first & second)])
    weights = np.column_stack([2.0 * first, 4.0 * (first & second)])
    reach = np.column_stack([np.ones(n), weights[:, 0]])
    one, none = np.ones(2 * n), np.zeros(2 * n)
    logged = LoggedChoices(
        rewards.ravel(), weights.ravel(), reach.ravel(), one, none, none, np.arange(n).repeat(2)
    )
    assert evaluate(logged).values["ips"].value == pytest.approx((0.1 + 0.7) / 2, abs=0.01)
    assert evaluate(logged).values["snips"].value == pytest.approx((0.1 + 0.7) / 2, abs=0.03)


def test_missing_support_is_told() -> None:
    world = World(5, tried=ACTIONS - 1)
    (warning,) = evaluate(world.logged()).warnings
    found = re.match(r"the log lacks support: it never tries about (\d+)% of what", warning)
    assert found
    assert int(found[1]) / 100 == pytest.approx(world.policy[:, -1].mean(), abs=0.03)


def test_weights_that_are_too_large_are_told() -> None:
    weights = np.zeros(1_000)
    weights[0] = 1_000.0
    found = evaluate(LoggedChoices.single(np.ones(1_000), weights))
    assert any("weights are too large (up to 1,000)" in warning for warning in found.warnings)
    assert any("only 1 rewards count" in warning for warning in found.warnings)
    assert found.effective == 1.0


def test_probabilities_that_are_not_those_of_the_log_are_told() -> None:
    world = World(6)
    found = evaluate(LoggedChoices.single(world.rewards, 1.5 * world.weights))
    assert any("are not those that the choices were made with" in warning for warning in found.warnings)


def test_a_value_that_few_choices_make_is_told() -> None:
    rewards = np.ones(2_000)
    rewards[:10] = 1_000.0
    found = evaluate(LoggedChoices.single(rewards, np.ones(2_000)))
    assert any("83% of the value comes from 10 of the choices" in warning for warning in found.warnings)


def test_an_empty_log_is_refused() -> None:
    with pytest.raises(NothingLogged, match="no logged choice"):
        evaluate(LoggedChoices.single(np.empty(0), np.empty(0)))


def test_nothing_weighs_nothing() -> None:
    assert effective_sample_size(np.zeros(3)) == 0.0
