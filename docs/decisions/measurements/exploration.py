"""What leaving a choice to chance costs, with its exact probability.

python docs/decisions/measurements/exploration.py [ROUNDS]
"""

import sys
import time
from dataclasses import replace

import numpy as np
from service.decisioning.proposals import noise

from service.decisioning.choosing import Explored, Way
from service.decisioning.draws import branch, keys_of
from service.decisioning.exploration import Chance, Exploration, Exploring, Method

TURNS, OUT = 64, 0.4
METHODS: tuple[Method, ...] = ("none", "epsilon", "softmax", "thompson", "uniform", "random_propensity")


def choose(exploration: Exploration, scores: np.ndarray, chance: Chance, noise: np.ndarray) -> None:
    """One choice for each turn, with its probability."""
    every = np.arange(TURNS)
    choices = Explored([Way(Exploring(exploration, replace(chance), noise))], every, scores)
    choices.take(every, scores)
    choices.stated()


def seconds(method: Method, scores: np.ndarray, chance: Chance, noise: np.ndarray, rounds: int) -> float:
    """CPU seconds of one turn."""
    exploration = Exploration(method, floor=0.001)
    choose(exploration, scores, chance, noise)
    before = time.process_time()
    for _ in range(rounds):
        choose(exploration, scores, chance, noise)
    return (time.process_time() - before) / rounds / len(scores)


def main(rounds: int = 100) -> None:
    """Print the microseconds of a turn in batches of 64, by method, actions and positives known of each."""
    for actions in (50, 1000):
        generator = np.random.default_rng(0)
        propensity = generator.uniform(0.01, 0.2, (TURNS, actions))
        scores = propensity * generator.uniform(20, 200, propensity.shape)
        scores[generator.random(scores.shape) < OUT] = -np.inf
        for positives in (200, 10):
            chance = Chance(
                branch(np.arange(TURNS, dtype=np.uint64), 1),
                np.arange(TURNS),
                keys_of([f"a{number}" for number in range(actions)]),
                propensity,
            )
            known = noise(np.full(actions, positives))
            for method in METHODS if positives == 200 else ("thompson",):
                cost = seconds(method, scores, chance, known, max(1, rounds * 50 // actions))
                sys.stdout.write(
                    f"{actions:5} actions, {positives:3} positives, {method:18} {cost * 1e6:9.2f}\n"
                )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
