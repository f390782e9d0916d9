"""What a company has said to its customers so far, and what they have said to being advertised to."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from feature_store.client import Command, connect
from feature_store.consents import DENIED, GRANTED
from feature_store.consents import RECORD as CONSENT
from feature_store.history import RECORD, name_hash
from feature_store.keys import HISTORY, customer_key
from service.world.offers import Offers

TOUCHES = 20
"""Records of a customer, on average."""
DAYS = 60.0
OUTCOMES = {"impression": 0.80, "click": 0.08, "dismiss": 0.05, "reject": 0.04, "accept": 0.03}
REFUSALS = 0.05
"""The share of customers who want no advertising on the site."""
CHUNK = 10_000
TIMEOUT = 30.0


def write_contacts(world: Path, redis_url: str, seed: int = 0) -> None:
    """Give every customer of a world a history of contacts up to now, and a consent."""
    asyncio.run(_write(world, redis_url, np.random.default_rng(seed)))


async def _write(world: Path, redis_url: str, rng: np.random.Generator) -> None:
    offers = Offers.load(world)
    client = connect(redis_url, timeout=TIMEOUT)
    try:
        for batch in pq.ParquetFile(world / "customers.parquet").iter_batches(CHUNK, columns=["customer_id"]):
            ids = [str(customer_id) for customer_id in batch["customer_id"].to_pylist()]
            histories, consents = _histories(offers, rng, len(ids)), _consents(rng, len(ids))
            commands: list[Command] = [
                ("HSET", customer_key(customer_id), HISTORY, history, b"c", consent)
                for customer_id, history, consent in zip(ids, histories, consents, strict=True)
            ]
            for reply in await client.run_at_once(commands, TIMEOUT):
                if isinstance(reply, Exception):
                    raise reply
    finally:
        await client.close()


def _histories(offers: Offers, rng: np.random.Generator, customers: int) -> Iterator[bytes]:
    """The packed records of each customer."""
    records, counts = draw_histories(offers, rng, customers, time.time())
    ends = np.cumsum(counts)
    return (records[end - count : end].tobytes() for count, end in zip(counts, ends, strict=True))


def draw_histories(
    offers: Offers, rng: np.random.Generator, customers: int, now: float
) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Records of contacts up to `now`, customer by customer and oldest first, the later the more frequent;
    and how many each customer has."""
    counts = rng.poisson(TOUCHES, customers)
    said = rng.integers(0, len(offers.treatments), counts.sum())
    actions = [offers.actions[treatment.action] for treatment in offers.treatments]
    records = np.zeros(len(said), RECORD)
    records["value"] = np.nan
    for kind, names in {
        "channel": [treatment.channel for treatment in offers.treatments],
        "issue": [action.issue for action in actions],
        "group": [action.group for action in actions],
        "action": [action.name for action in actions],
        "treatment": [treatment.name for treatment in offers.treatments],
    }.items():
        records[kind] = np.array([name_hash(name) for name in names], np.uint32)[said]
    hashes = np.array([name_hash(name) for name in OUTCOMES], np.uint32)
    records["outcome"] = rng.choice(hashes, len(said), p=list(OUTCOMES.values()))
    ages = DAYS * 86_400.0 * rng.random(len(said)) ** 2
    owner = np.repeat(np.arange(customers), counts)
    records["time"] = now - ages[np.lexsort((-ages, owner))]
    return records, counts


def _consents(rng: np.random.Generator, customers: int) -> Iterator[bytes]:
    record = np.zeros(2, CONSENT)
    record["purpose"], record["channel"] = name_hash("marketing"), name_hash("web")
    record["state"], record["time"] = (GRANTED, DENIED), time.time()
    granted, denied = record[:1].tobytes(), record[1:].tobytes()
    return (denied if refuses else granted for refuses in rng.random(customers) < REFUSALS)
