"""The vectors of a batch of customers as rows of X, by whatever definition they were written."""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import reduce
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feature_store.client import Client
from feature_store.codec import Codec, Decoded
from feature_store.schema import FeatureSchema, Source
from feature_store.server import StoreUnavailable

Floats = NDArray[np.float64]

_ASK_AGAIN = 30.0
"""Seconds after which a definition that was not in the store is looked for again."""


class VectorRows(NamedTuple):
    """A batch of customers: `X` (n, schema.width), when each was written last (n,) or NaN, the rows that have
    vectors which can't be read, and why."""

    X: Floats
    assembled_at: Floats
    unreadable: list[int]
    faults: tuple[str, ...]


class Vectors:
    """Decodes what the codecs of a schema have written; definitions of others are looked up in the store."""

    def __init__(self, client: Client, schema: FeatureSchema, codecs: Mapping[Source, Codec]) -> None:
        self._client = client
        self._codecs = tuple(codecs.values())
        self._width = schema.width
        self._asked: dict[str, float] = {}

    async def rows(self, vectors: Sequence[Sequence[bytes | None]], now: float) -> VectorRows:
        """The rows of X of a batch, by source in the order of the codecs; NaN where nothing is stored or it
        is too old at `now`."""
        X = np.empty((len(vectors[0]), self._width))
        X.fill(np.nan)
        times: list[Floats] = []
        unreadable: list[int] = []
        faults: list[str] = []
        for codec, blobs in zip(self._codecs, vectors, strict=True):
            decoded = await self.decode(codec, blobs, X, now)
            times.append(decoded.assembled_at)
            if decoded.unknown or decoded.broken:
                faults += _faults(codec, decoded)
                unreadable += [*decoded.broken, *chain.from_iterable(decoded.unknown.values())]
        return VectorRows(X, reduce(np.fmax, times), unreadable, tuple(faults))

    async def decode(self, codec: Codec, blobs: Sequence[bytes | None], X: Floats, now: float) -> Decoded:
        """Like `codec.decode`, when it has learned what it can."""
        decoded = codec.decode(blobs, X, now)
        if decoded.unknown and await self._learn(codec, decoded.unknown):
            decoded = codec.decode(blobs, X, now)
        return decoded

    async def read(self, codec: Codec, blob: bytes) -> tuple[Floats, NDArray[np.uint32]] | None:
        """Like `codec.read`.

        Raises:
            StoreUnavailable: its definition could not be found; a moment later it may be.
        """
        decoded = await self.decode(codec, [blob], np.empty((1, self._width)), -np.inf)
        if decoded.unknown:
            raise StoreUnavailable(f"can't change what can't be read: {_faults(codec, decoded)[0]}")
        return codec.read(blob)

    async def _learn(self, codec: Codec, fingerprints: Collection[str]) -> bool:
        """Look up definitions that the codec has not met; whether it knows more than before."""
        moment = time.monotonic()
        wanted = [name for name in fingerprints if self._asked.get(name, -_ASK_AGAIN) + _ASK_AGAIN <= moment]
        if not wanted:
            return False
        try:
            replies = await self._client.run([("GET", schema_key(name)) for name in wanted])
        except StoreUnavailable:
            return False
        learned = False
        for name, reply in zip(wanted, replies, strict=True):
            if isinstance(reply, Exception):
                continue
            self._asked[name] = moment
            if reply is not None:
                # ValueError and its like: not a definition that this version can use
                with suppress(ValueError, KeyError, TypeError):
                    codec.learn(json.loads(reply))
                    learned = True
        return learned


def schema_key(fingerprint: str) -> str:
    """Where the definition of vectors is kept for those who meet them later."""
    return f"arb:schema:{fingerprint}"


def _faults(codec: Codec, decoded: Decoded) -> list[str]:
    faults = [
        f"{len(rows)} {codec.source} vectors of the unknown fingerprint {name}"
        for name, rows in decoded.unknown.items()
    ]
    if decoded.broken:
        faults.append(f"{len(decoded.broken)} {codec.source} vectors are not as long as they must be")
    return faults
