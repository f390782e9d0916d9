"""A catalogue of one limited action, and a worker that chooses it as often as it may.

Run as a program it is one of several workers: `limited.py STORE_URL AT_MOST COUNTS NUMBER EVEN` works until
it is killed and writes how often it has chosen into the file COUNTS, as the double at its NUMBER. It begins
when there is a file like COUNTS, but ending in .span, with the start and the end of the campaign.
"""

import asyncio
import mmap
import struct
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from feature_store.budgets import Budgets
from feature_store.client import connect
from feature_store.schema import FeatureSchema
from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action, Catalogue, Channel, Placement, Treatment
from service.decisioning.exploration import Exploration
from service.decisioning.periods import Campaign, Daily, Period, Span
from service.decisioning.pipeline import Decisions
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import Stage
from service.decisioning.volumes import VolumeLimit
from service.runtime.budgets import Ledger

SCHEMA = FeatureSchema.from_definition([{"name": "age", "type": "number", "source": "profile"}])
ROWS = 8


def limited_snapshot(
    name: str, at_most: int, period: Period, *, even: bool = False, available_without_store: bool = False
) -> Snapshot:
    """One placement on the web with two actions, of which the better one is limited."""
    actions = (
        Action("fibre", "sales", "internet", propensity=0.9),
        Action("tv", "sales", "tv", propensity=0.1),
    )
    channels = (
        Channel("web", "inbound", (Placement("hero", 1),)),
        Channel("app", "inbound", (Placement("top", 1),)),
    )
    treatments = tuple(
        Treatment(f"{action.name}_{channel}", action.name, channel, (place,), b"{}")
        for action in actions
        for channel, place in (("web", "hero"), ("app", "top"))
    )
    limit = VolumeLimit(
        name=name,
        at_most=at_most,
        period=period,
        actions=np.array([True, False]),
        channels=np.array([True, False]),
        even=even,
        available_without_store=available_without_store,
    )
    catalogue = Catalogue(channels, actions, treatments, "v1")
    return Snapshot(catalogue, SCHEMA, np.array([0.9, 0.1]), volumes=(limit,))


def exploring_snapshot(exploration: Exploration) -> Snapshot:
    """The same without a limit, but with something left to chance."""
    return replace(limited_snapshot("none", 1, Daily()), volumes=(), exploration=exploration)


def requests(n: int, channel: int = 0, now: float | None = None) -> Batch:
    limits = np.zeros((n, 2), np.int32)
    limits[:, channel] = 1
    return Batch(
        X=np.full((n, SCHEMA.width), np.nan),
        now=np.full(n, time.time() if now is None else now),
        channel=np.full(n, channel, np.intp),
        limits=limits,
        scored=np.ones(n, np.bool_),
    )


def ignore(stage: Stage) -> None:
    """Time nothing."""


def chosen(decisions: Decisions) -> int:
    """How often the limited action was chosen."""
    return int(np.count_nonzero(decisions.slate.action == 0))


def wait(counts: Path, number: int) -> None:
    """Say that this worker is there, and wait for the word to begin."""
    with counts.open("r+b") as file, mmap.mmap(file.fileno(), 0) as shared:
        struct.pack_into("d", shared, 8 * number, 0.0)
    while not counts.with_suffix(".span").exists():
        time.sleep(0.005)


async def work(url: str, at_most: int, counts: Path, number: int, even: bool) -> None:
    span = Span(*struct.unpack("dd", counts.with_suffix(".span").read_bytes()))
    snapshot = limited_snapshot(counts.stem, at_most, Campaign(span), even=even)
    client = connect(url, timeout=10)
    ledger = Ledger(Budgets(client))
    await ledger.adopt(snapshot)
    ledger.start()
    made = 0
    with counts.open("r+b") as file, mmap.mmap(file.fileno(), 0) as shared:
        while True:
            decisions = ledger.decide(snapshot, requests(ROWS), np.ones(ROWS, np.bool_), ignore)
            made += chosen(decisions)
            struct.pack_into("d", shared, 8 * number, float(made))
            await asyncio.sleep(0.005 if even else 0)


if __name__ == "__main__":
    url, at_most, counts, number, even = sys.argv[1:]
    wait(Path(counts), int(number))
    asyncio.run(work(url, int(at_most), Path(counts), int(number), even == "even"))
