"""What leaving a choice to chance costs, with its exact probability.

python docs/decisions/measurements/exploration.py [ROUNDS]
"""

import sys
import time

import numpy as np

from feature_store.schema import FeatureSchema
from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action, Catalogue, Channel, Placement, Treatment
from service.decisioning.exploration import Exploration, Method, ways_of
from service.decisioning.slate import fill
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import INACTIVE
from service.decisioning.turns import METHODS, Chance

TURNS, OUT = 64, 0.4
SCHEMA = FeatureSchema.from_definition([{"name": "age", "type": "number", "source": "profile"}])
WEB = Channel("web", "inbound", (Placement("hero", 1),))


def snapshot(actions: int) -> Snapshot:
    """A catalogue of so many actions, all in one placement."""
    names = [f"a{number:04}" for number in range(actions)]
    treatments = tuple(Treatment(f"t_{name}", name, "web", ("hero",), b"{}") for name in names)
    catalogue = Catalogue((WEB,), tuple(Action(name, "i", "g") for name in names), treatments, "v")
    return Snapshot(catalogue, SCHEMA, np.ones(actions))


def seconds(method: Method, actions: int, positives: int, rounds: int) -> float:
    """CPU seconds of one turn, of which so many positives are known of each action."""
    world, rng = snapshot(actions), np.random.default_rng(0)
    propensity = rng.uniform(0.01, 0.2, (TURNS, actions))
    priority = propensity * rng.uniform(20, 200, propensity.shape)
    removed_by = np.where(rng.random(priority.shape) < OUT, INACTIVE, 0).astype(np.int32)
    ones = np.ones((TURNS, 1), np.int32)
    batch = Batch(np.zeros((TURNS, 1)), np.zeros(TURNS), np.zeros(TURNS, np.intp), ones, ones[:, 0] > 0)
    exploration = Exploration(method, floor=0.001)
    ways = ways_of([exploration], world.catalogue.action_keys, np.full(actions, float(positives)))
    seeds = np.arange(TURNS, dtype=np.uint64)
    chance = Chance(ways, np.zeros(TURNS, np.intp), seeds, np.ones(TURNS, np.bool_), propensity)
    best = np.inf
    for _ in range(rounds):
        begun = time.process_time()
        fill(world, batch, removed_by.copy(), priority, chance=chance)
        best = min(best, time.process_time() - begun)
    return float(best) / TURNS


def main(rounds: int = 100) -> None:
    """Print the microseconds of a turn in batches of 64, by method, actions and positives known of each."""
    for actions in (50, 1000):
        for positives in (200, 10):
            for method in METHODS if positives == 200 else ("thompson",):
                cost = seconds(method, actions, positives, rounds)
                sys.stdout.write(
                    f"{actions:5} actions, {positives:3} positives, {method:18} {cost * 1e6:9.2f}\n"
                )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
