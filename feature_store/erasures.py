"""Customers who were erased, until they are out of the log's files, too."""

from collections.abc import Mapping
from typing import Any

from feature_store.client import Client, Command, StoreUnavailable

ERASURES = "arb:erasures"
_FORGET = """\
local moment = redis.call('ZSCORE', KEYS[1], ARGV[1])
if moment and tonumber(moment) <= tonumber(ARGV[2]) then
  redis.call('ZREM', KEYS[1], ARGV[1])
end
"""


def erasure_command(customer_id: str, now: float) -> Command:
    """Notes that all that was known of a customer until `now`, in epoch seconds, has to go."""
    return ("ZADD", ERASURES, repr(now), customer_id.encode("utf-8", "surrogatepass"))


class Erasures:
    """The list of those who have to go out of the log's files.

    Every method raises `StoreUnavailable` when the store is away, too slow, or refuses.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def all(self) -> dict[bytes, float]:
        """By customer, until when what is known of them has to go, in epoch seconds."""
        [found] = await self._run([("ZRANGE", ERASURES, "0", "-1", "WITHSCORES")])
        return {id_: float(moment) for id_, moment in zip(found[::2], found[1::2], strict=True)}

    async def forget(self, erased: Mapping[bytes, float]) -> None:
        """These are out of all files, unless they were erased again since."""
        await self._run([("EVAL", _FORGET, 1, ERASURES, id_, repr(moment)) for id_, moment in erased.items()])

    async def _run(self, commands: list[Command]) -> list[Any]:
        replies = await self._client.run(commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply if isinstance(reply, StoreUnavailable) else StoreUnavailable(str(reply))
        return replies
