"""What reading a batch of customers costs, of the service's processor time and of the store's.

`python docs/decisions/measurements/reading.py [ROUNDS]`: microseconds of CPU a batch, on an embedded store.
The customers are telco's, each with 20 records of contacts and a consent; everything is read that a decision
reads.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import uvloop

from feature_store import history
from feature_store.consents import Consent
from feature_store.contacts import FIELDS
from feature_store.embedded import EmbeddedStore
from feature_store.keys import customer_key
from feature_store.schema import FeatureSchema, Source
from feature_store.store import CustomerStore, connect

TELCO = Path(__file__).resolve().parents[3] / "examples" / "telco"
STORED = (Source.PROFILE, Source.BEHAVIOUR)
CUSTOMERS = 4_000
RECORDS = 20
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 7
BATCHES = {1: 2_000, 16: 600, 64: 250}
NOW = time.time()


def values(schema: FeatureSchema) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Random customers as rows of X: every feature is known."""
    rng = np.random.default_rng(1)
    X = np.full((CUSTOMERS, schema.width), np.nan)
    for feature in (f for source in STORED for f in schema.by_source(source)):
        high = len(feature.levels) or 2
        X[:, schema.slice(feature.name)] = rng.integers(0, high, (CUSTOMERS, feature.width))
    return X


async def fill(store: CustomerStore, ids: list[str]) -> None:
    """Customers with everything."""
    await store.write(ids, values(store.schema), None, NOW)
    names = ("impression", "web", "sales", "internet", "fibre_500", "fibre_hero")
    touches = b"".join(history.pack(NOW - 1000 * back, None, *names) for back in range(RECORDS, 0, -1))
    consent = Consent("marketing", "web", 1).record(NOW)
    for start in range(0, len(ids), 1_000):
        keys = map(customer_key, ids[start : start + 1_000])
        await store.client.run([("HSET", key, "h", touches, "n", RECORDS, "c", consent) for key in keys], 30)


async def costs(store: CustomerStore, ids: list[str], size: int, server: psutil.Process) -> Iterator[float]:
    """Microseconds a batch of this process, and of the server's: the least of some rounds."""
    rng = np.random.default_rng(2)
    batches = [[ids[row] for row in rng.integers(0, len(ids), size)] for _ in range(BATCHES[size])]
    found = []
    for _ in range(ROUNDS):
        mine, theirs = time.process_time(), sum(server.cpu_times()[:2])
        for batch in batches:
            await store.read(batch, NOW, FIELDS)
        found.append((time.process_time() - mine, sum(server.cpu_times()[:2]) - theirs))
    return (min(times) / len(batches) * 1e6 for times in zip(*found, strict=True))


async def measure(url: str, server: psutil.Process) -> None:
    """Print a line for each size of batches."""
    store = CustomerStore(connect(url), FeatureSchema.load(TELCO / "features.yaml"))
    ids = [f"c{row}" for row in range(CUSTOMERS)]
    await fill(store, ids)
    for size in BATCHES:
        mine, theirs = await costs(store, ids, size, server)
        sys.stdout.write(f"batch of {size:3}: service {mine:6.0f}, store {theirs:6.0f}\n")
    await store.close()


def main() -> None:
    """Measure with a store of its own."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedStore(Path(folder)) as started:
        server = psutil.Process(int((Path(folder) / "store.pid").read_text()))
        uvloop.run(measure(started.url, server))


if __name__ == "__main__":
    main()
