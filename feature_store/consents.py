"""Consents as they are stored with a customer: fixed-size records by purpose and channel.

Names are kept as stable hashes, as in the contact history, so a record costs 17 bytes and can be replaced in
the server without reading it first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from feature_store.history import name_hash

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
    def _places(self) -> Mapping[tuple[int, int], tuple[int, int]]:
        return {
            (name_hash(purpose), name_hash(channel)): (p, c)
            for p, purpose in enumerate(self.purposes)
            for c, channel in enumerate(self.channels)
        }

    def decode(self, blobs: Sequence[bytes | None]) -> NDArray[np.int8] | None:
        """The states of a batch, shape (n, purposes, channels); None where nothing is stored of anybody.

        Records of names that the workspace no longer has are passed over, and so is what is no record.
        """
        if not self.purposes or not any(blobs):
            return None
        states = np.full((len(blobs), len(self.purposes), len(self.channels)), UNKNOWN, np.int8)
        for row, blob in enumerate(blobs):
            for record in unpack(blob):
                place = self._places.get((record[0], record[1]))
                if place is not None:
                    states[row, *place] = record[2]
        return states


def unpack(blob: bytes | None) -> list[tuple[int, int, int, float]]:
    """The records of one customer as (purpose, channel, state, time)."""
    if not blob or len(blob) % RECORD.itemsize:
        return []
    records: list[tuple[int, int, int, float]] = np.frombuffer(blob, RECORD).tolist()
    return records
