"""What contact policies cost: the bare core, then ten policies over histories, by their length.

python docs/decisions/measurements/contact.py
"""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from feature_store.history import RECORD, name_hash
from feature_store.schema import FeatureSchema
from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action, Catalogue, Channel, Placement, Treatment
from service.decisioning.contact import Contact
from service.decisioning.counting import Counting, Per, Scope
from service.decisioning.explain import explain
from service.decisioning.frequency import Cap, Frequency, Gap, Pause
from service.decisioning.pipeline import decide
from service.decisioning.snapshot import Snapshot
from service.decisioning.touches import Touches, Vocabulary

DAY = 86_400.0
NOW = 1_800_000_000.0
OUTCOMES = ("impression", "click", "accept", "reject")
ROWS, ROUNDS = 64, 200


def catalogue(actions: int) -> Catalogue:
    issues = 5
    found = sorted(
        (
            Action(f"action_{n}", f"issue_{n % issues}", f"group_{n % (3 * issues)}", propensity=0.1)
            for n in range(actions)
        ),
        key=lambda action: (action.issue, action.group, action.name),
    )
    said = tuple(Treatment(f"{a.name}_web", a.name, "web", ("hero",), b"{}") for a in found)
    return Catalogue((Channel("web", "inbound", (Placement("hero", 3),)),), tuple(found), said, "v1")


def policies(of: Catalogue) -> Contact:
    vocabulary = Vocabulary.of(of, OUTCOMES)

    def counting(per: Per, *outcomes: str, issue: str | None = None) -> Counting:
        return Counting.of(of, vocabulary, outcomes, per, Scope(issue=issue))

    common = {"meaning": "", "suppress": False}
    found: list[Frequency] = [
        Cap(name="c1", counting=counting("action", "impression"), within=7 * DAY, at_most=3, **common),
        Cap(name="c2", counting=counting("group", "impression"), within=DAY, at_most=5, **common),
        Cap(name="c3", counting=counting("issue", "impression"), within=30 * DAY, at_most=40, **common),
        Cap(name="c4", counting=counting("everything", "impression"), within=DAY, at_most=20, **common),
        Cap(name="c5", counting=counting("channel", "impression"), within=7 * DAY, at_most=60, **common),
        Cap(name="c6", counting=counting("action", "click"), within=DAY, at_most=2, **common),
        Gap(name="g1", counting=counting("action", "impression"), within=60.0, **common),
        Pause(
            name="p1", counting=counting("action", "reject"), within=np.inf, after=1, pause=9 * DAY, **common
        ),
        Pause(name="p2", counting=counting("group", "reject"), within=30 * DAY, after=2, pause=DAY, **common),
        Pause(name="p3", counting=counting("action", "impression"), within=DAY, after=4, pause=DAY, **common),
    ]
    return Contact(tuple(found), (), vocabulary)


def histories(of: Catalogue, each: int) -> Touches:
    random = np.random.default_rng(1)
    records = np.zeros(ROWS * each, RECORD)
    ages = -np.sort(-random.exponential(20 * DAY, (ROWS, each)))
    records["time"] = NOW - ages.ravel()  # oldest first, as they are kept
    records["outcome"] = random.choice(
        [name_hash(o) for o in OUTCOMES], len(records), p=[0.8, 0.15, 0.02, 0.03]
    )
    records["channel"] = name_hash("web")
    for record, index in zip(records, random.integers(0, len(of.actions), len(records)), strict=True):
        action = of.actions[index]
        for kind, name in (("issue", action.issue), ("group", action.group), ("action", action.name)):
            record[kind] = name_hash(name)
        record["treatment"] = name_hash(f"{action.name}_web")
    rows = np.repeat(np.arange(ROWS), each)
    return Touches(records, rows, np.full(len(rows), np.inf), np.full(ROWS, -np.inf))


def microseconds(run: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        run()
        times.append(time.process_time() - started)
    return float(np.median(times)) * 1e6


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def main() -> None:
    schema = FeatureSchema.from_definition([{"name": "age", "type": "number", "source": "profile"}])
    say(f"one batch of {ROWS} requests, microseconds of CPU (median of {ROUNDS})")
    for actions in (50, 1000):
        of = catalogue(actions)
        priors = np.full(actions, 0.1)
        bare, full = Snapshot(of, schema, priors), Snapshot(of, schema, priors, contact=policies(of))
        batch = Batch(
            X=np.full((ROWS, 1), np.nan),
            now=np.full(ROWS, NOW),
            channel=np.zeros(ROWS, np.intp),
            limits=np.full((ROWS, 1), 3, np.int32),
            scored=np.ones(ROWS, np.bool_),
        )
        say(f"{actions} actions: without policies {microseconds(lambda: decide(bare, batch)):.0f}")  # noqa: B023
        say(f"    ten policies, nobody has a history: {microseconds(lambda: decide(full, batch)):.0f}")  # noqa: B023
        for each in (10, 50, 200, 1000):
            touches = histories(of, each)

            def fresh() -> Batch:  # a batch remembers what was counted of it
                return replace(batch, touches=replace(touches))  # noqa: B023

            taken = microseconds(lambda: decide(full, fresh()))  # noqa: B023
            say(f"    {each} records each: {taken:.0f}")
        decisions = decide(full, fresh())
        taken = microseconds(lambda: explain(full, decisions, 0, everything=True))  # noqa: B023
        say(f"    explain=full of one request with {each} records: {taken:.0f}")


if __name__ == "__main__":
    main()
