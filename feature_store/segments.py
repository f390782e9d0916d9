"""The segments that a customer was in last, and the log of movements between them.

They are kept in the customer's hash as records of 8 bytes: the hashes of a segment's name and of its level
(0: none), both little-endian. An entry of the log is MessagePack, in the field `movements` of the stream
`arb:movements`.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from feature_store.history import name_hash
from feature_store.schema import Feature

FIELD = b"g"
"""Of the customer's hash."""
MOVEMENT_LOG = "arb:movements"
LOG_FIELD = "movements"
LOG_LENGTH = 1_000_000
"""About how many entries the log keeps."""

_RECORD = np.dtype([("name", "<u4"), ("level", "<u4")])


class Change(NamedTuple):
    """A customer's segments: what is expected to be kept (b"": nothing), and what they are now."""

    customer_key: str
    before: bytes
    after: bytes


class Movement(msgspec.Struct, frozen=True, array_like=True):
    """A customer who went from one level of a segment to another; `at` is in epoch seconds."""

    customer_key: str
    segment: str
    before: str
    after: str
    at: float


class SegmentCodes:
    """Segments as records, and back."""

    def __init__(self, features: Sequence[Feature], columns: Sequence[int]) -> None:
        """The features that are segments, and their columns of X."""
        self._features, self._columns = tuple(features), list(columns)
        self._names = np.array([name_hash(feature.name) for feature in features], np.uint32)
        most = max((len(feature.levels) for feature in features), default=0) + 1
        self._levels = np.zeros((len(self._features), most), np.uint32)
        for row, feature in enumerate(features):
            self._levels[row, : len(feature.levels)] = [name_hash(level) for level in feature.levels]
        self._rows = np.arange(len(self._features))

    def __bool__(self) -> bool:
        return bool(self._features)

    def records(self, X: NDArray[np.float64]) -> list[bytes]:
        """The records of each row of X, shape (n, F)."""
        codes = np.nan_to_num(X[:, self._columns], nan=-1.0).astype(np.intp)  # the last level is none
        found = np.zeros(codes.shape, _RECORD)
        found["name"], found["level"] = self._names, self._levels[self._rows, codes]
        size, data = len(self._columns) * _RECORD.itemsize, found.tobytes()
        return [data[at : at + size] for at in range(0, len(data), size)]

    def movements(self, change: Change, at: float) -> list[Movement]:
        """From which levels to which a customer has gone. From or to none is no movement, and neither is a
        level that is not declared any more."""
        before, after = self._named(change.before), self._named(change.after)
        return [
            Movement(change.customer_key, segment, before[segment], level, at)
            for segment, level in after.items()
            if before.get(segment, level) != level
        ]

    def _named(self, records: bytes) -> dict[str, str]:
        whole = len(records) // _RECORD.itemsize
        kept = dict(np.frombuffer(records, _RECORD, whole).tolist())
        return {
            feature.name: level
            for feature in self._features
            for level in feature.levels
            if kept.get(name_hash(feature.name)) == name_hash(level)
        }


def pack_movements(movements: Collection[Movement]) -> bytes:
    """An entry of the log."""
    return msgspec.msgpack.encode(list(movements))


def unpack_movements(entry: bytes) -> list[Movement]:
    """The movements of an entry of the log."""
    return msgspec.msgpack.decode(entry, type=list[Movement])
