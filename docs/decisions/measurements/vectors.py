"""What it costs to get the features of a batch of customers into one matrix, by several ways.

`python docs/decisions/measurements/vectors.py [CUSTOMERS]`: microseconds a batch, on an embedded store.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import numpy as np
from redis.asyncio import Redis

from feature_store.codec import Codec
from feature_store.embedded import EmbeddedStore
from feature_store.keys import customer_keys
from feature_store.schema import FeatureSchema, Source
from feature_store.store import CustomerStore, connect

TELCO = Path(__file__).resolve().parents[3] / "examples" / "telco"
STORED = (Source.PROFILE, Source.BEHAVIOUR)
ROUNDS = 300
WARM_UP = 20


async def microseconds(work: Callable[[], Awaitable[object]]) -> float:
    """The median time of one call."""
    times = []
    for _ in range(WARM_UP + ROUNDS):
        started = time.perf_counter()
        await work()
        times.append(time.perf_counter() - started)
    return float(np.median(times[WARM_UP:])) * 1e6


def values(schema: FeatureSchema, count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Random customers as rows of X: every feature is known."""
    rng = np.random.default_rng(1)
    X = np.full((count, schema.width), np.nan)
    for feature in (f for source in STORED for f in schema.by_source(source)):
        high = len(feature.levels) or 2
        X[:, schema.slice(feature.name)] = rng.integers(0, high, (count, feature.width))
    return X


class People:
    """The same random customers in every form that is measured."""

    def __init__(self, count: int) -> None:
        self.schema = FeatureSchema.load(TELCO / "features.yaml")
        self.X, self.now = values(self.schema, count), time.time()
        self.ids = [f"c{row}" for row in range(count)]
        self.codecs = [Codec(self.schema, source) for source in STORED]
        self.vectors = [codec.encode(self.X, self.now) for codec in self.codecs]
        self.maps = [self._map(row) for row in range(count)]
        self.packed = [msgspec.msgpack.encode(entry) for entry in self.maps]
        self.fields = [
            {name: msgspec.json.encode(value) for name, value in entry.items()} for entry in self.maps
        ]

    def _map(self, row: int) -> dict[str, object]:
        return self.schema.decode(self.X[row], Source.PROFILE) | self.schema.decode(
            self.X[row], Source.BEHAVIOUR
        )

    def matrix(self) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """An X to decode into."""
        return np.full(self.X.shape, np.nan)


async def reading(people: People, url: str) -> dict[str, float]:
    """Round trips to the store, without decoding, and then what a decision does, with it."""
    client, usual = connect(url), Redis.from_url(url)
    store = CustomerStore(client, people.schema)
    await store.write(people.ids, people.X, None, people.now)
    for name, fields in zip(people.ids, people.fields, strict=True):
        await usual.hset(f"fields:{name}", mapping=fields)

    async def this_client() -> None:
        await client.read(customer_keys(people.ids), (b"p", b"b"))

    async def pipeline() -> None:
        async with usual.pipeline(transaction=False) as pipe:
            for name in people.ids:
                pipe.hmget(f"arb:{{{name}}}", "p", "b")
            await pipe.execute()

    async def field_per_feature() -> None:
        async with usual.pipeline(transaction=False) as pipe:
            for name in people.ids:
                pipe.hgetall(f"fields:{name}")
            await pipe.execute()

    async def whole() -> None:
        await store.read(people.ids, people.now)

    found = {
        "read: vectors, this client": await microseconds(this_client),
        "read: vectors, pipeline of redis-py": await microseconds(pipeline),
        "read: a field per feature, pipeline of redis-py": await microseconds(field_per_feature),
        "read and decode, as decisions do": await microseconds(whole),
    }
    await store.close()
    await usual.aclose()
    return found


async def decoding(people: People) -> dict[str, float]:
    """From bytes to rows of X."""

    async def vectors() -> None:
        X = people.matrix()
        for codec, blobs in zip(people.codecs, people.vectors, strict=True):
            codec.decode(blobs, X, people.now)

    async def maps() -> None:
        X = people.matrix()
        for row, blob in zip(X, people.packed, strict=True):
            people.schema.encode(msgspec.msgpack.decode(blob), row, STORED)

    return {
        "decode: vectors": await microseconds(vectors),
        "decode: a MessagePack map per customer": await microseconds(maps),
    }


def sizes(people: People) -> dict[str, float]:
    """Bytes of one customer, keys of the store left out."""
    fields = [sum(len(name) + len(value) for name, value in entry.items()) for entry in people.fields]
    return {
        "bytes a customer: vectors": float(sum(len(blobs[0]) for blobs in people.vectors)),
        "bytes a customer: a MessagePack map": float(np.mean([len(blob) for blob in people.packed])),
        "bytes a customer: a field per feature": float(np.mean(fields)),
    }


def main() -> None:
    people = People(int(sys.argv[1]) if len(sys.argv) > 1 else 64)
    with tempfile.TemporaryDirectory() as folder, EmbeddedStore(Path(folder)) as server:
        found = asyncio.run(reading(people, server.url)) | asyncio.run(decoding(people)) | sizes(people)
    for name, value in found.items():
        sys.stdout.write(f"{name:50} {value:8,.0f}\n")


if __name__ == "__main__":
    main()
