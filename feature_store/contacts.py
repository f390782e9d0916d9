"""Contact histories and reservations, of customers and of accounts: read together, reserved one for all.

A reservation counts like a record until it expires. It is made only if nothing has changed since the history
was read by which it was decided, so that two who decide at once can't both take the last one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from feature_store.client import Client, Command, StoreUnavailable
from feature_store.history import RECORD
from feature_store.keys import HISTORY, RESERVATIONS, REVISION
from feature_store.scripts import RELEASE, RESERVE

ID_BYTES = 16
RESERVATION = np.dtype([("id", f"V{ID_BYTES}"), ("expires", "<f8"), ("record", RECORD)])
"""`expires` in epoch seconds."""

FIELDS = (HISTORY, RESERVATIONS, REVISION)


class Kept(NamedTuple):
    """The contacts of one customer or account, as they are stored."""

    history: bytes | None = None
    reservations: bytes | None = None
    revision: bytes | None = None


@dataclass(frozen=True, slots=True)
class Booking:
    """Reservations to be made together under one key, if that is still of the revision."""

    key: bytes
    revision: bytes | None
    reservations: bytes
    seconds: float


def reservation_id(decision_id: str, placement: str, action: str, policy: str) -> bytes:
    """What tells one reservation from all others: an offered action, and the policy that counts it."""
    text = "\0".join((decision_id, placement, action, policy))
    return hashlib.blake2b(text.encode(), digest_size=ID_BYTES, person=b"reservation").digest()


class Contacts:
    """The contacts in one store. Every method is one round trip, and raises `StoreUnavailable` when the store
    is away."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def read(self, keys: Sequence[bytes]) -> list[Kept | None]:
        """What is kept under each key; None where that can't be read."""
        replies = await self._client.read(keys, FIELDS)
        return [Kept(*reply) if isinstance(reply, list) else None for reply in replies]

    async def reserve(self, bookings: Sequence[Booking], now: float) -> list[Kept | StoreUnavailable | None]:
        """Reserve. For each booking None where it is made; where something has changed meanwhile what is kept
        now, and nothing is reserved."""
        return await self._changed(
            [
                ("EVAL", RESERVE, 1, b.key, b.revision or b"", now, b.reservations, int(b.seconds) + 1)
                for b in bookings
            ]
        )

    async def release(self, ids: Sequence[tuple[bytes, bytes]]) -> list[Kept | StoreUnavailable | None]:
        """Take back the reservations of each key with these ids (one after another), and tell what is kept
        now."""
        return await self._changed([("EVAL", RELEASE, 1, key, found) for key, found in ids])

    async def _changed(self, commands: Sequence[Command]) -> list[Kept | StoreUnavailable | None]:
        return [_told(reply) for reply in await self._client.run(commands)]


def _told(reply: Any) -> Kept | StoreUnavailable | None:
    if isinstance(reply, list):
        return Kept(*reply)
    if isinstance(reply, StoreUnavailable):
        return reply
    return StoreUnavailable(str(reply)) if isinstance(reply, Exception) else None
