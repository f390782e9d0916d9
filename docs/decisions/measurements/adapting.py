"""How soon a propensity follows a true rate that changes, and what that costs where nothing changes.

`python docs/decisions/measurements/adapting.py [RUNS]`: an action whose model was right is shown on, and all
at once responded to at another rate. Printed is after how many responses, and how many of what was shown, its
propensity is within 20 % of the new rate: the median of the runs, and what 9 of 10 runs do with. Beside it,
how many have to be shown without: a model that is trained afresh every day, on a log of 30 days with 10,000
shown in each, and then knows the rate of the log exactly. Then how far a propensity strays whose model is
right, what delayed responses make of a fresh start, and what a batch and a refresh take.
"""

import sys
import time
from collections.abc import Callable, Iterator
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from feature_store.blocks import MOST_BLOCKS, NOTHING, Count, counted
from service.decisioning.adaptation import Adaptation, learned

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 40
NEAR = 0.20
CHANGES = ((0.01, 2.0), (0.01, 0.5), (0.05, 2.0), (0.05, 0.5), (0.05, 4.0), (0.05, 0.25), (0.2, 2.0))
HALF_LIVES = (25.0, 50.0, 100.0)
STEPS_OF_A_RESPONSE = 4
"""Looks at what was learned, by what the model expects."""
DAYS = 30
"""Of the log that a model is trained on."""
A_DAY = 10_000
"""Of what is shown, where a model is trained afresh."""


def adaptation(half_life: float, delay: float = 0.0, channels: int = 1, actions: int = 1) -> Adaptation:
    """Of actions that all follow outcomes."""
    size = channels * actions
    return Adaptation(
        cells=np.arange(1, size + 1, dtype=np.uint64).reshape(channels, actions),
        groups=np.arange(size).reshape(channels, actions),
        half_life=np.full(actions, half_life),
        prior=np.full(actions, 10.0),
        delay=np.full(actions, delay),
        unseen=np.full(actions, np.nan),
    )


def looks(
    how: Adaptation, predicted: float, rates: Iterator[float], rng: np.random.Generator, learns_from: int = 0
) -> Iterator[tuple[float, int, int]]:
    """Look after look, from one on: the correction, and how many were shown and responded to at its rate."""
    blocks, number = NOTHING, max(1, round(1 / predicted / STEPS_OF_A_RESPONSE))
    for look, rate in enumerate(rates):
        responses = int(rng.binomial(number, rate))
        blocks = counted(blocks, [Count(float(look), number, number * predicted, responses)], how.length(0))
        if look >= learns_from:
            found = learned(how, {1: blocks}, np.zeros(1), float(look))
            yield float(found.corrections[0, 0]), number, responses


def until_near(how: Adaptation, predicted: float, times: float, seed: int) -> tuple[int, int]:
    """Responses, and how many were shown, from the change until the propensity is near the new rate."""
    before = round(4 * how.half_life[0]) * STEPS_OF_A_RESPONSE
    rates = chain(repeat(predicted, before), repeat(predicted * times))
    responses = shown = 0
    for correction, number, responded in looks(how, predicted, rates, np.random.default_rng(seed), before):
        responses, shown = responses + responded, shown + number
        if abs(correction / times - 1.0) <= NEAR:
            break
    return responses, shown


def by_training(times: float) -> int:
    """How many are shown from the change until a model that is trained every day is near the new rate."""
    for days in range(1, DAYS + 1):
        share = days / DAYS
        if abs((share * times + 1.0 - share) / times - 1.0) <= NEAR:
            return days * A_DAY
    raise AssertionError("a log of nothing but the new rate shows it")


def strays(how: Adaptation, predicted: float, seed: int) -> NDArray[np.float64]:
    """The corrections of a right model."""
    number = round(20 * how.half_life[0]) * STEPS_OF_A_RESPONSE
    found = looks(how, predicted, repeat(predicted, number), np.random.default_rng(seed), number // 4)
    return np.array([correction for correction, _, _ in found])


def changes() -> None:
    """The table of changes."""
    sys.stdout.write(
        "rate      to  half-life  responses (9 of 10)      shown (9 of 10)   by training daily\n"
    )
    for rate, times in CHANGES:
        for half_life in HALF_LIVES:
            found = np.array([until_near(adaptation(half_life), rate, times, seed) for seed in range(RUNS)])
            (responses, shown), (most, most_shown) = np.median(found, 0), np.quantile(found, 0.9, 0)
            sys.stdout.write(
                f"{rate:4.0%} {rate * times:7.2%} {half_life:10.0f} {responses:10.0f} ({most:5.0f}) "
                f"{shown:12,.0f} ({most_shown:7,.0f}) {by_training(times):19,}\n"
            )


def steady() -> None:
    """What it costs where nothing changes."""
    for half_life in HALF_LIVES:
        found = np.concatenate(
            [strays(adaptation(half_life), 0.05, seed) for seed in range(max(1, RUNS // 20))]
        )
        near = np.mean(np.abs(found - 1.0) <= NEAR)
        sys.stdout.write(
            f"a right model, half-life {half_life:3.0f}: the correction is {found.mean():.3f} on average, "
            f"strays by {found.std():.3f}, and is within 20 % for {near:.1%} of the time\n"
        )


def delayed() -> None:
    """What is learned in the first hours of a right model whose responses take an hour on average."""
    rng, rate, a_second, hour = np.random.default_rng(0), 0.05, 5, 3600
    at = np.arange(4 * hour * a_second) / a_second
    came = np.where(rng.random(len(at)) < rate, at + rng.exponential(hour, len(at)), np.inf)
    for hours in (0.25, 0.5, 1, 2, 4):
        now = hours * hour
        shown, responded = at[at < now], at[came < now]
        for delay in (0.0, float(hour)):
            how = adaptation(50.0, delay)
            counts = [Count(one, 1.0, rate, 0.0) for one in shown] + [
                Count(one, 0, 0, 1) for one in responded
            ]
            found = learned(how, {1: counted(NOTHING, counts, how.length(0))}, np.zeros(1), now)
            sys.stdout.write(
                f"{hours:4} h after a fresh start, a delay of {delay:4.0f} s declared: "
                f"{found.corrections[0, 0]:.2f}\n"
            )


def costs(actions: int, channels: int) -> None:
    """Processor time of a batch and of a refresh."""
    how, rng = adaptation(50.0, 60.0, channels, actions), np.random.default_rng(0)
    counts = [Count(float(moment), 100, 5.0, 5.0) for moment in range(2 * MOST_BLOCKS)]
    cells = dict.fromkeys(how.places, counted(NOTHING, counts, how.length(0)))
    found, P = learned(how, cells, np.zeros(actions), 64.0), rng.random((64, actions))
    refresh = least(lambda: learned(how, cells, np.zeros(actions), 64.0), 20)

    def batch(n: int) -> float:
        channel, scored = rng.integers(0, channels, n), np.ones(n, np.bool_)
        return least(lambda: np.minimum(P[:n] * found.for_batch(channel, scored), 1.0), 1000)

    for n in (1, 64):
        sys.stdout.write(f"{n:2} x {actions:4}: {batch(n) * 1e6:6.1f} us a batch\n")
    sys.stdout.write(f"{channels} channels x {actions:4}: a refresh takes {refresh * 1e3:.1f} ms\n")


def least(do: Callable[[], object], times: int) -> float:
    """The least processor time of some rounds, in seconds for each call."""
    found = []
    for _ in range(7):
        started = time.process_time()
        for _ in range(times):
            do()
        found.append((time.process_time() - started) / times)
    return min(found)


if __name__ == "__main__":
    changes()
    steady()
    delayed()
    costs(50, 3)
    costs(1000, 4)
