"""Visitors who turn out to be a customer: their history joins the customer's, once, and so does what comes
later.

A visitor and a customer have keys of their own, on nodes of their own in a cluster. So it goes step by step,
each of which may be done again: the customer knows of the visitor, so that an erasure finds them; the visitor
is linked, which ends their history and gives the merger an id; the customer takes the history in, once by
that id; and the visitor's copy is forgotten. Who stops in between leaves a merger that the next one ends:
whoever comes with an event of the visitor is told of it.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from feature_store import history
from feature_store.client import Client, all_good
from feature_store.event import MOST_ID_BYTES
from feature_store.event_scripts import BELONGS, LINK, MERGE, UNLINK_HISTORY
from feature_store.keys import ANONYMOUS_PREFIX, customer_key, customer_keys, customer_of
from feature_store.offers import pack_offers, unpack_offers
from feature_store.script import Script, run_calls
from feature_store.scripts import KEEP_OFFERS

FIELD = b"v"
"""Of a customer's hash: the visitors that they were, each behind its length."""
LINK_SECONDS = 400 * 86_400
"""For how long it is known whom a visitor has become: browsers keep a cookie no longer."""

_MERGER_BYTES = 8
_MERGE = Script(MERGE)


class Visitors:
    """The visitors in one store. Every method raises `StoreUnavailable` when the store is away."""

    def __init__(self, client: Client, ttl: int) -> None:
        """`ttl` is for how many seconds a customer lives from this write on; 0 is for ever."""
        self._client = client
        self._ttl = ttl

    async def identify(self, anonymous_id: str, customer_id: str, now: float) -> None:
        """Let a visitor be that customer from now on, with all that they have done. It may be done again.

        One who was another customer before leaves with them what they did meanwhile.
        """
        key = visitor_key(anonymous_id)
        await self._one(("EVAL", BELONGS, 1, customer_key(customer_id), self._ttl, key))
        while await self._joined(key, customer_id, now) != customer_id:
            pass

    async def end_merger(self, anonymous_id: str, customer_id: str, now: float) -> None:
        """End a merger that was begun and not ended."""
        await self._joined(visitor_key(anonymous_id), customer_id, now)

    async def _joined(self, key: bytes, customer_id: str, now: float) -> str:
        """Whom the visitor has become, when their history has gone there."""
        new = os.urandom(_MERGER_BYTES)
        link, *rest = await self._one(("EVAL", LINK, 1, key, customer_id, new, LINK_SECONDS))
        found = str(link.decode("utf-8", "surrogatepass"))
        if rest:
            merger, *state, offers = rest
            await self._merge(found, merger, [part or b"" for part in state])
            await self._keep_offers(found, offers, now)
            await self._one(("EVAL", UNLINK_HISTORY, 1, key, merger))
        return found

    async def _merge(self, customer_id: str, merger: bytes, state: Sequence[bytes]) -> None:
        sizes = (MOST_ID_BYTES, history.MAX_RECORDS * history.RECORD.itemsize)
        call = _MERGE.call(customer_key(customer_id), self._ttl, merger, *state, *sizes)
        all_good(await run_calls(self._client, _MERGE, [call]))

    async def _keep_offers(self, customer_id: str, offers: bytes | None, now: float) -> None:
        """What was offered to the visitor is a promise; one of the same action to the customer stands."""
        kept = unpack_offers(offers, now)
        if kept:
            await self._one(
                ("EVAL", KEEP_OFFERS, 1, customer_key(customer_id), self._ttl, now, pack_offers(kept))
            )

    async def of(self, customer_id: str) -> list[str]:
        """The visitors that a customer was, by the ids that the store has for them."""
        names = await self._one(("HGET", customer_key(customer_id), FIELD))
        return [customer_of(key) for key in _keys(names or b"")]

    async def forget(self, visitors: Sequence[str]) -> None:
        """Forget all that is kept under the ids of some visitors."""
        all_good(await self._client.run([("DEL", key) for key in customer_keys(visitors)]))

    async def _one(self, command: tuple[object, ...]) -> Any:
        return all_good(await self._client.run([command]))[0]


def visitor_key(anonymous_id: str) -> bytes:
    """The key of a visitor's hash."""
    return customer_key(ANONYMOUS_PREFIX + anonymous_id)


def _keys(names: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(names):
        (size,) = struct.unpack_from("<H", names, at)
        yield names[at + 2 : at + 2 + size]
        at += 2 + size
