"""What offers cost: deciding with them, and keeping those that are new.

python docs/decisions/measurements/offers.py [ROUNDS]
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from feature_store.embedded import EmbeddedStore
from feature_store.offers import KeptOffer
from feature_store.schema import FeatureSchema
from feature_store.store import CustomerStore, connect
from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action, Catalogue, Channel, Placement, Treatment
from service.decisioning.offers import Offer, OfferBook, Promises
from service.decisioning.pipeline import decide
from service.decisioning.rulebook import RuleBook
from service.decisioning.rules import Compiler, ProgramBuilder
from service.decisioning.snapshot import Snapshot

ACTIONS, OFFERING, ROWS = 50, 10, 16
DAY = 86_400.0
SCHEMA = FeatureSchema.from_definition([{"name": "tenure", "type": "number", "source": "profile"}])


def snapshot(offering: int) -> Snapshot:
    """50 actions for one placement of three, of which the first ones have three offers each."""
    names = [f"action_{number:02}" for number in range(ACTIONS)]
    actions = tuple(Action(name, "sales", "all", propensity=0.1) for name in names)
    treatments = tuple(Treatment(name, name, "web", ("tiles",), b"{}") for name in names)
    catalogue = Catalogue((Channel("web", "inbound", (Placement("tiles", 3),)),), actions, treatments, "v1")
    compiler, builder = Compiler(SCHEMA), ProgramBuilder()
    offers = tuple(
        Offer(action, f"offer_{number}", b'{"price":39.99}', DAY, place)
        for action in range(offering)
        for number, place in enumerate(
            [
                builder.true(compiler.flag(f"customer.tenure > {action + 20}.0").node),
                builder.true(compiler.flag(f"customer.tenure > {action + 5}.0").node),
                None,
            ]
        )
    )
    return Snapshot(
        catalogue,
        SCHEMA,
        np.full(ACTIONS, 0.1),
        rules=RuleBook(builder.build()),
        offers=OfferBook(offers),
    )


def batch(of: Snapshot, *, promised: bool) -> Batch:
    """Requests, of whom each third has been promised something."""
    rows = np.arange(0, ROWS, 3)
    promises = Promises(
        rows=rows,
        actions=np.zeros(len(rows), np.intp),
        names=np.full(len(rows), b"offer_0"),
        terms=np.full(len(rows), b'{"price":39.99}'),
        valid_until=np.full(len(rows), DAY),
        sayable=np.ones(len(rows), np.bool_),
    )
    return Batch(
        X=np.linspace(0, 60, ROWS)[:, None],
        now=np.zeros(ROWS),
        channel=np.zeros(ROWS, np.intp),
        limits=np.full((ROWS, 1), 3, np.int32),
        scored=np.ones(ROWS, np.bool_),
        promises=promises if promised else None,
    )


def deciding(asked: dict[str, tuple[Snapshot, Batch]], rounds: int) -> dict[str, float]:
    """Microseconds of CPU a decision: the best of some rounds, which take turns."""
    best = dict.fromkeys(asked, np.inf)
    for _ in range(rounds):
        for what, (of, batched) in asked.items():
            started = time.process_time()
            for _ in range(100):
                decide(of, batched)
            best[what] = min(best[what], time.process_time() - started)
    return {what: seconds / 100 / ROWS * 1e6 for what, seconds in best.items()}


async def keeping(url: str, rounds: int, *, new: bool) -> float:
    """Microseconds a customer for keeping one offer each, in round trips of as many as a batch has rows."""
    store = CustomerStore(connect(url), SCHEMA)
    best = np.inf
    for number in range(rounds):
        made = [
            {f"{number if new else 0}-{trip}-{row}": [_offer()] for row in range(ROWS)} for trip in range(100)
        ]
        started = time.perf_counter()
        for offers in made:
            await store.keep_offers(offers, 0.0)
        best = min(best, time.perf_counter() - started)
    await store.close()
    return best / 100 / ROWS * 1e6


def _offer() -> KeptOffer:
    return KeptOffer(
        action="action_00",
        name="offer_0",
        terms=b'{"price":39.99}',
        valid_until=DAY,
        made_at=0.0,
        decision_id="0" * 36,
        channel="web",
    )


def main() -> None:
    """Print microseconds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    without, with_offers = snapshot(0), snapshot(OFFERING)
    figures = deciding(
        {
            "deciding, no offers": (without, batch(without, promised=False)),
            "deciding, offers": (with_offers, batch(with_offers, promised=False)),
            "deciding, offers, promises": (with_offers, batch(with_offers, promised=True)),
        },
        rounds,
    )
    with tempfile.TemporaryDirectory() as folder, EmbeddedStore(Path(folder)) as server:
        figures["keeping a new offer"] = asyncio.run(keeping(server.url, rounds, new=True))
        figures["finding one that is kept"] = asyncio.run(keeping(server.url, rounds, new=False))
    for what, microseconds in figures.items():
        sys.stdout.write(f"{what:30}{microseconds:8.1f}\n")


if __name__ == "__main__":
    main()
