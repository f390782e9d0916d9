"""What all the policies of examples/telco cost together, beside the bare core, and what they leave to say.

python docs/decisions/measurements/policies.py [CUSTOMERS]

The bare core scores every action that the channel and the placements have, and fills the slots by P x V x L.
The full one has the same models, and reads of each customer a contact history of some 20 records, that of the
account, consents, promises and what volume limits have left. Microseconds of CPU a decision, without HTTP and
store.
"""

import cProfile
import pstats
import sys
import tempfile
import time
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from rules import prepared

from feature_store.history import RECORD, name_hash
from service.decisioning.arbitration import Arbitration
from service.decisioning.batch import Batch
from service.decisioning.contact import Contact
from service.decisioning.experiments import Experiments
from service.decisioning.exploration import Exploration
from service.decisioning.offers import OfferBook, Promises
from service.decisioning.pipeline import decide
from service.decisioning.rulebook import RuleBook
from service.decisioning.rules import Program
from service.decisioning.slate_policy import SlatePolicy
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import Stage
from service.decisioning.touches import Touches
from service.decisioning.volumes import UNLIMITED

ROUNDS = 7
BATCHES = {1: 100, 16: 40, 64: 20}  # how many of each size
TOUCHES = 20
DAYS = 60.0
HOUR = 3_600.0
OUTCOMES = {"impression": 0.80, "click": 0.08, "dismiss": 0.05, "reject": 0.04, "accept": 0.03}

BARE = {
    "rules": RuleBook(Program()),
    "purposes": (),
    "contact": Contact(),
    "arbitration": Arbitration(),
    "exploration": Exploration(),
    "experiments": Experiments(),
    "volumes": (),
    "offers": OfferBook(),
    "slate_policy": SlatePolicy(),
    "wordings": (),
}


def without(full: Snapshot) -> dict[str, Snapshot]:
    """The full snapshot without one part each; the formulas stay where the rules go."""
    unruled = replace(full.rules, rules=())
    return {
        "rules and consent": replace(full, rules=unruled, purposes=()),
        "contact policies": replace(full, contact=Contact()),
        "formulas, weights, thresholds, mandatory": replace(full, arbitration=Arbitration()),
        "exploration": replace(full, exploration=Exploration()),
        "experiments": replace(full, experiments=Experiments()),
        "volume limits": replace(full, volumes=()),
        "offers": replace(full, offers=OfferBook()),
        "limits, tiers, bundles": replace(full, slate_policy=SlatePolicy()),
    }


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def touches(snapshot: Snapshot, rng: np.random.Generator, n: int, now: float) -> Touches:
    """Histories of some 20 records over two months, the later the more frequent."""
    catalogue = snapshot.catalogue
    rows = np.repeat(np.arange(n), rng.poisson(TOUCHES, n))
    said = rng.integers(0, len(catalogue.treatments), len(rows))
    records = np.zeros(len(rows), RECORD)
    records["time"] = now - DAYS * 86_400.0 * rng.random(len(rows)) ** 2
    actions = [catalogue.actions[catalogue.action_index[t.action]] for t in catalogue.treatments]
    for kind, names in {
        "channel": [t.channel for t in catalogue.treatments],
        "issue": [action.issue for action in actions],
        "group": [action.group for action in actions],
        "action": [action.name for action in actions],
        "treatment": [t.name for t in catalogue.treatments],
    }.items():
        records[kind] = np.array([name_hash(name) for name in names], np.uint32)[said]
    hashes = np.array([name_hash(name) for name in OUTCOMES], np.uint32)
    records["outcome"] = rng.choice(hashes, len(rows), p=list(OUTCOMES.values()))
    return Touches(records, rows, np.full(len(rows), np.inf), np.full(n, -np.inf))


def promises(snapshot: Snapshot, rng: np.random.Generator, n: int, now: float) -> Promises | None:
    """Every fifth customer was promised something."""
    rows = np.flatnonzero(rng.random(n) < 0.2)
    if not len(rows):
        return None
    offers = snapshot.offers.offers
    of = [offers[number] for number in rng.integers(0, len(offers), len(rows))]
    return Promises(
        rows,
        np.array([offer.action for offer in of], np.intp),
        np.array([offer.name.encode() for offer in of]),
        np.array([offer.terms for offer in of]),
        np.full(len(rows), now + 86_400.0),
        np.ones(len(rows), np.bool_),
    )


def batch(
    snapshot: Snapshot, X: np.ndarray, channel: np.ndarray, now: float, rng: np.random.Generator
) -> Batch:
    """Requests for all placements of a channel each, with everything that is known of real ones."""
    catalogue, n = snapshot.catalogue, len(X)
    limits = np.zeros((n, len(catalogue.slots)), np.int32)
    for row, index in enumerate(channel):
        for slot in catalogue.channel_slots[catalogue.channels[index].name]:
            limits[row, slot] = catalogue.slots[slot].placement.limit
    keys = rng.integers(0, 2**63, (3, n)).astype(np.uint64)
    known = rng.choice(np.array([-1, 0, 1], np.int8), (n, len(snapshot.purposes), len(catalogue.channels)))
    return Batch(
        X=X,
        now=np.full(n, now),
        channel=channel,
        limits=limits,
        scored=np.ones(n, np.bool_),
        consents=known,
        seeds=keys[0],
        units=keys[1],
        account_units=keys[2],
        touches=touches(snapshot, rng, n, now),
        account_touches=touches(snapshot, rng, n, now),
        promises=promises(snapshot, rng, n, now),
        budgets=np.where(rng.random((n, len(snapshot.volumes))) < 0.05, 0, UNLIMITED).astype(np.int32),
    )


def read(snapshot: Snapshot, asked: Batch) -> Batch:
    """A batch with the columns that a service reads for a snapshot, and nothing computed of them yet."""
    return replace(
        asked,
        consents=asked.consents if snapshot.purposes else None,
        seeds=asked.seeds if snapshot.leaves_to_chance else None,
        units=asked.units if snapshot.experiments.needs_units else None,
        account_units=asked.account_units if snapshot.experiments.needs_accounts else None,
        touches=replace(asked.touches) if snapshot.contact.reads_customers else None,
        account_touches=replace(asked.account_touches) if snapshot.contact.reads_accounts else None,
        promises=asked.promises if snapshot.offers else None,
        budgets=asked.budgets if snapshot.volumes else None,
    )


def microseconds(snapshots: dict[str, Snapshot], batches: list[Batch]) -> dict[str, float]:
    """The median round's mean time of a decision. The rounds take turns: a busy machine slows all of them."""
    times: dict[str, list[float]] = {name: [] for name in snapshots}
    for _ in range(ROUNDS):
        for name, snapshot in snapshots.items():
            asked = [read(snapshot, one) for one in batches]
            started = time.process_time()
            for one in asked:
                decide(snapshot, one)
            times[name].append(time.process_time() - started)
    decisions = sum(len(one) for one in batches)
    return {name: float(np.median(found)) / decisions * 1e6 for name, found in times.items()}


def cost(full: Snapshot, X: np.ndarray, now: float) -> None:
    """Print what a decision costs, full and bare, and what the full one saves without each part."""
    bare = replace(full, **BARE)
    rng = np.random.default_rng(1)
    for size, number in BATCHES.items():
        channels = len(full.catalogue.channels)
        batches = [
            batch(full, X[rng.integers(0, len(X), size)], rng.integers(0, channels, size), now, rng)
            for _ in range(number)
        ]
        found = microseconds({"full": full, "bare": bare, **without(full)}, batches)
        of_full, of_bare = found.pop("full"), found.pop("bare")
        say(f"batch of {size}: {of_full:.1f} us full, {of_bare:.1f} bare: {of_full / of_bare:.2f}")
        say("  by part: " + ", ".join(f"{part} {of_full - rest:.1f}" for part, rest in found.items()))
        stages(full, batches)


def stages(snapshot: Snapshot, batches: list[Batch]) -> None:
    """Print where the time of full decisions goes."""
    spent: Counter[str] = Counter()
    for one in batches:
        last = time.perf_counter()

        def done(stage: Stage) -> None:
            nonlocal last
            spent[stage.value] += (now := time.perf_counter()) - last
            last = now

        decide(snapshot, one, done)
    decisions = sum(len(one) for one in batches)
    found = (f"{name} {seconds / decisions * 1e6:.0f}" for name, seconds in spent.most_common())
    say("  by stage: " + ", ".join(found))


def profile(full: Snapshot, X: np.ndarray, now: float, size: int = 64) -> None:
    """Print which functions take the time of full decisions."""
    rng = np.random.default_rng(1)
    channels = len(full.catalogue.channels)
    batches = [
        batch(full, X[rng.integers(0, len(X), size)], rng.integers(0, channels, size), now, rng)
        for _ in range(BATCHES[size])
    ]
    with cProfile.Profile() as profiler:
        for one in batches:
            decide(full, one)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def reach(full: Snapshot, X: np.ndarray, now: float) -> None:
    """Print for each channel who gets nothing, without a history and with one, and what is offered most."""
    rng = np.random.default_rng(2)
    for index, channel in enumerate(full.catalogue.channels):
        asked = batch(full, X, np.full(len(X), index, np.intp), now, rng)
        fresh = replace(asked, **{f.name: None for f in fields(Batch)[5:] if f.name != "seeds"})
        empty = []
        for one in (fresh, asked):
            got = np.zeros(len(X), np.bool_)
            got[decide(full, one).slate.row] = True
            empty.append(1 - got.mean())
        slate = decide(full, fresh).slate
        most = Counter(full.catalogue.actions[action].name for action in slate.action.tolist()).most_common(6)
        named = ", ".join(f"{name} {count / len(X):.0%}" for name, count in most)
        say(f"{channel.name}: {empty[0]:.2%} have nothing, with a history {empty[1]:.2%}; {named}")


def main() -> None:
    """Print all of it."""
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as folder:
        full, X, now = prepared(Path(folder) / "telco", customers)
    now += 12 * HOUR - now % (24 * HOUR)  # by day: at night no push message is sent
    reach(full, X, now)
    cost(full, X, now)
    profile(full, X, now)


if __name__ == "__main__":
    main()
