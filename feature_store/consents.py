"""Consents as they are stored with a customer: fixed-size records by purpose and channel.

Names are kept as stable hashes, as in the contact history, so a record costs 17 bytes and can be replaced in
the server without reading it first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from feature_store.history import name_hash
from feature_store.records import join, packed
from feature_store.unpacking import unpack_consents

RECORD = np.dtype([("purpose", "<u4"), ("channel", "<u4"), ("state", "i1"), ("time", "<f8")])
KEY_BYTES = 8
"""What tells a record from the others: its purpose and its channel."""

GRANTED, DENIED, UNKNOWN = 1, 0, -1


@dataclass(frozen=True)
class Consent:
    """What a customer has said to one purpose in one channel; UNKNOWN takes back what was said."""

    purpose: str
    channel: str
    state: int

    def record(self, now: float) -> bytes:
        """The record to store, as of `now` in epoch seconds."""
        record = (name_hash(self.purpose), name_hash(self.channel), self.state, now)
        return np.array([record], RECORD).tobytes()


@dataclass(frozen=True)
class ConsentNames:
    """The purposes and channels of a workspace, in the order of the columns."""

    purposes: tuple[str, ...]
    channels: tuple[str, ...]

    @cached_property
    def _known(self) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
        """The keys that mean something, in order, and the place of each in (purposes, channels) as one
        axis."""
        keys = [name_hash(p) | name_hash(c) << 32 for p in self.purposes for c in self.channels]
        found, places = np.unique(np.array(keys, np.uint64), return_index=True)
        return found, places

    def decode(self, blobs: Sequence[bytes | None]) -> NDArray[np.int8] | None:
        """The states of a batch, shape (n, purposes, channels); None where nothing is stored of anybody.

        Records of names that the workspace no longer has are passed over, and so is what is no record.
        """
        if not self.purposes or not any(blobs):
            return None
        states = np.empty((len(blobs), len(self.purposes) * len(self.channels)), np.int8)
        unpack_consents(*packed(blobs), RECORD.itemsize, *self._known, UNKNOWN, states)
        return states.reshape(len(blobs), len(self.purposes), len(self.channels))


def unpack(blob: bytes | None) -> list[tuple[int, int, int, float]]:
    """The records of one customer as (purpose, channel, state, time)."""
    records: list[tuple[int, int, int, float]] = join([blob], RECORD)[0].tolist()
    return records
