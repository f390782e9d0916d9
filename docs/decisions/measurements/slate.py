"""What the rules of an answer cost, and how far a greedy answer is from the best: prints both tables.

python docs/decisions/measurements/slate.py
"""

import sys
import time
from collections.abc import Callable
from itertools import permutations

import numpy as np

from feature_store.schema import FeatureSchema
from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action, Catalogue, Channel, Placement, Treatment
from service.decisioning.slate import fill
from service.decisioning.slate_policy import AnswerLimit, Bundle, SlatePolicy
from service.decisioning.snapshot import Snapshot

SCHEMA = FeatureSchema.from_definition([{"name": "age", "type": "number", "source": "profile"}])
WEB = Channel("web", "inbound", (Placement("hero", 1), Placement("tiles", 3)))


def snapshot(actions: int, policy: SlatePolicy, fits: np.ndarray | None = None) -> Snapshot:
    """A catalogue of that many actions, with treatments for both placements or where they fit (A x 2)."""
    names = [f"a{index:04}" for index in range(actions)]
    places = [
        tuple(p.id for slot, p in enumerate(WEB.placements) if fits is None or fits[index, slot])
        for index in range(actions)
    ]
    catalogue = Catalogue(
        (WEB,),
        tuple(Action(name, "i", "g") for name in names),
        tuple(Treatment(f"t_{n}", n, "web", where, b"{}") for n, where in zip(names, places, strict=True)),
        "v",
    )
    return Snapshot(catalogue, SCHEMA, np.ones(actions), slate_policy=policy)


def batch(n: int) -> Batch:
    """Requests for one action in the hero and three in the tiles."""
    asked = np.tile(np.array([1, 3], np.int32), (n, 1))
    return Batch(np.zeros((n, 1)), np.zeros(n), np.zeros(n, np.intp), asked, np.ones(n, np.bool_))


def policy_of(actions: int, rng: np.random.Generator) -> SlatePolicy:
    """Four limits that each cover a quarter of the actions, three tiers, two bundles."""
    everywhere = np.ones(1, np.bool_)
    limits = [AnswerLimit(f"l{k}", 1 + k % 2, rng.random(actions) < 0.25, everywhere) for k in range(4)]
    return SlatePolicy(
        limits=tuple(limits),
        tiers=rng.integers(0, 3, actions).astype(np.int8),
        bundles=(Bundle("fixed", (3, 7), fixed=True), Bundle("flexible", (11, 13, 17), fixed=False)),
    )


def microseconds(call: Callable[[], object]) -> float:
    """Of the processor, the best of many calls."""
    best = float("inf")
    for _ in range(300):
        begun = time.process_time()
        for _ in range(5):
            call()
        best = min(best, time.process_time() - begun)
    return best / 5 * 1e6


def costs() -> None:
    sys.stdout.write("| actions | batch of | priorities alone | with all rules |\n|---|---|---|---|\n")
    for actions in (50, 1000):
        for n in (1, 16, 64):
            rng = np.random.default_rng(7)
            priority = rng.random((n, actions))
            out = np.where(rng.random((n, actions)) < 0.4, 1, 0).astype(np.int32)
            asked = batch(n)
            figures = []
            for policy in (SlatePolicy(), policy_of(actions, rng)):
                world = snapshot(actions, policy)
                figures.append(microseconds(lambda: fill(world, asked, out.copy(), priority)) / n)  # noqa: B023
            sys.stdout.write(f"| {actions} | {n} | {figures[0]:.1f} | {figures[1]:.1f} |\n")


def best_total(priority: np.ndarray, fits: np.ndarray, limits: tuple[AnswerLimit, ...]) -> float:
    """The highest sum of priorities of any answer that keeps to the limits: one hero and two tiles."""
    best = 0.0
    for chosen in permutations(range(-3, len(priority)), 3):
        if all(a < 0 or fits[a, min(place, 1)] for place, a in enumerate(chosen)):
            real = [action for action in chosen if action >= 0]
            if all(limit.actions[real].sum() <= limit.at_most for limit in limits):
                best = max(best, float(priority[real].sum()))
    return best


def gap(title: str, *, everyone_fits: bool, with_limits: bool) -> None:
    rng = np.random.default_rng(3)
    ratios = []
    for _ in range(400):
        fits = np.ones((7, 2), np.bool_) if everyone_fits else rng.random((7, 2)) < 0.6
        members = rng.random((2, 7)) < 0.5
        limits = tuple(AnswerLimit(f"l{k}", 1, m, np.ones(1, np.bool_)) for k, m in enumerate(members))
        limits = limits if with_limits else ()
        priority = rng.lognormal(0.0, 1.0, 7)
        asked = Batch(
            np.zeros((1, 1)),
            np.zeros(1),
            np.zeros(1, np.intp),
            np.array([[1, 2]], np.int32),
            np.ones(1, np.bool_),
        )
        slate = fill(
            snapshot(7, SlatePolicy(limits=limits), fits),
            asked,
            np.zeros((1, 7), np.int32),
            priority[None, :],
        )
        best = best_total(priority, fits, limits)
        ratios.append(float(priority[slate.action].sum()) / best if best else 1.0)
    found = np.array(ratios)
    share = (found > 1 - 1e-12).mean()
    sys.stdout.write(f"| {title} | {share:.0%} | {found.mean():.3f} | {found.min():.2f} |\n")


if __name__ == "__main__":
    costs()
    sys.stdout.write("\n| | best found | mean share of the best total | least |\n|---|---|---|---|\n")
    gap("all fit everywhere, two overlapping limits", everyone_fits=True, with_limits=True)
    gap("actions fit some placements, no limits", everyone_fits=False, with_limits=False)
    gap("actions fit some placements, two limits", everyone_fits=False, with_limits=True)
