"""What a customer or a visitor did: as it is applied and logged."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from feature_store.keys import customer_or_visitor

ID_BYTES = 8
REMEMBERED = 7 * 86_400
"""Seconds for which an event is recognised when it comes again."""
MOST_ID_BYTES = 1_024 * (ID_BYTES + 4)
"""How much is kept of the ids of a customer's events, each behind its expiry: the last ones."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the type track, identify or alias. Times are epoch seconds, `occurred_at` by the clock of
    who received it; `event` is the name of what was tracked.

    It belongs to the customer, or else to the visitor; who is identified is both.
    """

    message_id: str
    type: str
    event: str = ""
    customer_id: str | None = None
    anonymous_id: str | None = None
    properties: Mapping[str, Any] = {}
    traits: Mapping[str, Any] = {}
    occurred_at: float
    received_at: float

    @property
    def owner(self) -> str:
        """The id under which the store keeps what it adds to."""
        return customer_or_visitor(self.customer_id, self.anonymous_id)

    @property
    def key(self) -> bytes:
        """What it is counted once by: a hash of its `message_id`."""
        return hashlib.blake2b(self.message_id.encode(), digest_size=ID_BYTES).digest()


_decoder = msgspec.msgpack.Decoder(list[Event])


def pack_events(events: Sequence[Event]) -> bytes:
    """Events as one entry of the log: MessagePack."""
    return msgspec.msgpack.encode(list(events))


def unpack_events(entry: bytes) -> list[Event]:
    """The events of one entry of the log.

    Raises:
        msgspec.DecodeError: the bytes are no such entry.
    """
    return _decoder.decode(entry)
