"""What outcomes teach: a right model is left alone, a wrong one is put right, and what is new learns from its
group."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_store.blocks import NOTHING, Blocks, Count, Length, counted
from service.decisioning.adaptation import STEPS, Adaptation, known, learned, positives
from service.decisioning.batch import Batch
from service.decisioning.propensity import corrected

HALF_LIFE, PRIOR = 50.0, 10.0
NOW = 10_000.0
DAY = 86_400.0
LENGTH = Length(HALF_LIFE / 8, 0.0)

numbers = st.floats(0, 1e4)


def adaptation(actions: int = 3, delay: float = 0.0, **changes: object) -> Adaptation:
    """Of one channel in which all actions are of one group, with the cells 1, 2, 3 and so on."""
    whole = Adaptation(
        cells=np.arange(1, actions + 1, dtype=np.uint64).reshape(1, actions),
        groups=np.zeros((1, actions), np.intp),
        half_life=np.full(actions, HALF_LIFE),
        prior=np.full(actions, PRIOR),
        delay=np.full(actions, delay),
        unseen=np.full(actions, np.nan),
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def cell(*counts: tuple[float, float, float, float]) -> Blocks:
    return counted(NOTHING, [Count(*count) for count in counts], LENGTH)


def corrections(how: Adaptation, cells: Mapping[int, Blocks], now: float = NOW) -> list[float]:
    """Of the actions in the first channel."""
    found = learned(how, cells, np.zeros(how.cells.shape[1]), now)
    return [float(number) for number in found.corrections[0]]


def test_nothing_is_corrected_before_anything_is_counted() -> None:
    assert corrections(adaptation(), {}) == [1.0, 1.0, 1.0]
    assert corrections(adaptation(), {99: cell((0, 100, 5, 50))}) == [1.0, 1.0, 1.0], "of another version"


def test_the_mean_is_that_of_a_gamma_distribution() -> None:
    cells = {1: cell((0, 100, 5.0, 20))}
    found = corrections(adaptation(actions=1), cells)
    assert found == pytest.approx([(PRIOR + 20) / (PRIOR + 5)])


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=4))
def test_a_correction_lies_between_its_groups_and_what_was_observed(pairs: list[tuple[float, float]]) -> None:
    cells = {n: cell((0.0, 1.0, expected, responses)) for n, (expected, responses) in enumerate(pairs, 1)}
    found = corrections(adaptation(len(pairs)), cells)
    for place, (expected, responses) in enumerate(pairs):
        others = [pair for other, pair in enumerate(pairs) if other != place]
        group = (PRIOR + sum(r for _, r in others)) / (PRIOR + sum(e for e, _ in others))
        observed = responses / expected if expected else np.inf if responses else group
        low, high = sorted((group, observed))
        assert low * (1 - 1e-5) - 1e-6 <= found[place] <= high * (1 + 1e-5) + 1e-6
        assert found[place] > 0


@given(st.lists(numbers, min_size=1, max_size=5))
def test_a_model_that_is_right_is_left_alone(expected: list[float]) -> None:
    cells = {n: cell((0.0, 1.0, number, number)) for n, number in enumerate(expected, 1)}
    assert corrections(adaptation(len(expected)), cells) == pytest.approx([1.0] * len(expected), rel=1e-5)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=40), st.integers(0, 39), numbers)
def test_one_more_response_never_makes_a_propensity_fall(
    counts: list[tuple[float, float]], place: int, more: float
) -> None:
    told = [(float(at), 1.0, expected, responses) for at, (expected, responses) in enumerate(counts)]
    better = [*told, (told[place % len(told)][0], 0.0, 0.0, more)]
    before, after = (corrections(adaptation(2), {1: cell(*counts)}) for counts in (told, better))
    assert all(late >= early * (1 - 1e-6) for early, late in zip(before, after, strict=True))


def test_after_a_half_life_of_responses_an_outcome_counts_half() -> None:
    how = adaptation(actions=1)
    old = cell((0.0, 1.0, 10.0, 10.0))
    found = learned(
        how, {1: counted(old, [Count(1.0, 1.0, HALF_LIFE, 0.0)], Length(1.0, 0.0))}, np.zeros(1), NOW
    )
    assert found.responses[0, 0] == pytest.approx(5.0)


def test_what_is_new_begins_at_the_correction_of_its_group() -> None:
    cells = {1: cell((0, 1000, 50.0, 100)), 2: cell((0, 1000, 50.0, 100))}
    *_, new = corrections(adaptation(), cells)
    assert new == pytest.approx((PRIOR + 200) / (PRIOR + 100))
    assert 1.5 < new < 2.0
    elsewhere = adaptation(groups=np.array([[0, 0, 1]]))
    assert corrections(elsewhere, cells)[2] == 1.0


def test_what_no_model_has_seen_begins_at_the_rate_of_its_group() -> None:
    base = 0.20
    cells = {1: cell((0, 4000, 200.0, 200)), 2: cell((0, 4000, 200.0, 200))}  # 5 %, as is predicted
    how = adaptation(unseen=np.array([np.nan, np.nan, base]))
    first, second, new = corrections(how, cells)
    assert [first, second] == pytest.approx([1.0, 1.0])
    assert base * new == pytest.approx(0.05, rel=0.02)


def test_what_follows_nothing_stays_as_predicted() -> None:
    how = adaptation(cells=np.array([[1, 0, 3]], np.uint64))
    assert corrections(how, {1: cell((0, 100, 5, 50))})[1] == 1.0


def test_responses_that_are_still_to_come_are_not_missed() -> None:
    """Of what was decided evenly over a day, with responses after 6 hours on average, a share has come."""
    delay, rate = DAY / 4, 0.1
    at = np.linspace(0.0, DAY, 2001)
    come = 1.0 - np.exp(-(DAY - at) / delay)
    counts = [
        (float(when), 10.0, 10 * rate, 10 * rate * float(share)) for when, share in zip(at, come, strict=True)
    ]
    one = {1: cell(*counts)}
    assert corrections(adaptation(1, delay), one, DAY)[0] == pytest.approx(1.0, abs=0.02)
    assert corrections(adaptation(1), one, DAY)[0] < 0.75, "who does not know of the delay"


def test_who_has_to_wait_for_responses_does_not_forget_before_they_come() -> None:
    """Fifty times as much as the half-life is expected within the delay."""
    delay, how = 3600.0, adaptation(actions=1, delay=3600.0)
    at = np.arange(0.0, 4 * delay, 4.0)
    come = 1.0 - np.exp(-(4 * delay - at) / delay)
    slow = np.where(4 * delay - at < delay / 4, 0.0, come)  # nobody is fast, as the distribution has it
    counts = np.column_stack([at, np.full(len(at), 10.0), np.full(len(at), 3.0), 3.0 * slow])
    blocks = counted(NOTHING, [Count(*count) for count in counts.tolist()], how.length(0))
    assert corrections(how, {1: blocks}, 4 * delay)[0] == pytest.approx(1.0, abs=0.1)


def test_late_responses_of_what_is_long_decided_correct_it() -> None:
    early = cell((0.0, 100, 40.0, 10))
    late = counted(early, [Count(0.0, 0, 0.0, 30)], LENGTH)
    assert corrections(adaptation(1, delay=3600.0), {1: late}, NOW)[0] == pytest.approx(1.0, abs=0.06)


def test_evidence_is_what_models_know_and_what_outcomes_add() -> None:
    found = learned(adaptation(), {1: cell((0, 100, 30, 32))}, np.array([32.0, 0.0, 8.0]), NOW)
    assert positives(found.known[0]).tolist() == [64.0, 1.0, 8.0]


@given(st.floats(1, 1e9))
def test_evidence_is_kept_to_a_step(number: float) -> None:
    assert abs(np.log2(positives(known(np.array([number])))[0] / number)) <= 0.5 / STEPS + 1e-9


def batch(scored: list[bool]) -> Batch:
    n = len(scored)
    found = learned(adaptation(), {1: cell((0, 100, 10, 40))}, np.zeros(3), NOW)
    channel, has_time = np.zeros(n, np.intp), np.array(scored)
    return Batch(
        X=np.empty((n, 0)),
        now=np.zeros(n),
        channel=channel,
        limits=np.ones((n, 1), np.int32),
        scored=has_time,
        corrections=found.for_batch(channel, has_time),
    )


def test_propensities_are_multiplied_and_stay_probabilities() -> None:
    predicted = np.array([[0.1, np.nan, 0.9], [0.1, 0.2, 0.9]])
    P = corrected(predicted, batch([True, True]))
    assert P[0, 0] == pytest.approx(0.1 * (PRIOR + 40) / (PRIOR + 10), rel=1e-6)
    assert np.isnan(P[0, 1])
    assert P[0, 2] == 1.0
    assert predicted[0, 0] == 0.1


def test_a_request_without_time_for_models_is_not_corrected() -> None:
    predicted = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]])
    P = corrected(predicted, batch([False, True]))
    assert P[0].tolist() == predicted[0].tolist()
    assert P[1, 0] > predicted[1, 0]
