"""One server, over a few connections: a whole batch of commands in one round trip."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis.exceptions import RedisClusterException, RedisError

from feature_store.connection import Address, Command, Connection, pack, pack_reads

MAX_CONNECTIONS = 4
"""Where so many are busy, a batch goes behind others: more would not make one server any faster."""


class StoreUnavailable(Exception):
    """The store can't be reached, is too slow, or can't serve now."""


class ServerClient:
    """A client of one server."""

    def __init__(self, address: Callable[[], Address], timeout: float, connect_timeout: float) -> None:
        self._address = address
        self._timeout, self._connect_timeout = timeout, connect_timeout
        self._connections: list[Connection] = []
        self._connecting = asyncio.Lock()

    async def run(self, commands: Sequence[Command], within: float | None = None) -> list[Any]:
        return await self._exchange(pack(commands), len(commands), within)

    async def read(
        self, keys: Sequence[bytes], fields: Sequence[bytes], within: float | None = None
    ) -> list[Any]:
        return await self._exchange(pack_reads(keys, fields), len(keys), within)

    async def run_at_once(self, commands: Sequence[Command], within: float | None = None) -> list[Any]:
        replies: Any = (await self.run([("MULTI",), *commands, ("EXEC",)], within))[-1]
        if isinstance(replies, Exception):
            raise StoreUnavailable(str(replies))
        return list(replies)

    async def _exchange(self, packed: bytes, count: int, within: float | None) -> list[Any]:
        if not count:
            return []
        seconds = within or self._timeout
        until = asyncio.get_running_loop().time() + seconds
        with unavailable(seconds):
            connection = self._free() or await self._connected(until)
            return await connection.run(packed, count, until)

    def _free(self) -> Connection | None:
        """A connection for the next batch; None if there should be another one."""
        for connection in self._connections:
            if connection.usable and not connection.busy:
                return connection
        self._connections = [connection for connection in self._connections if connection.usable]
        if len(self._connections) < MAX_CONNECTIONS:
            return None
        return min(self._connections, key=lambda connection: connection.busy)

    async def _connected(self, until: float) -> Connection:
        async with asyncio.timeout_at(until), self._connecting:
            found = self._free()
            if found is None:
                soon = min(until, asyncio.get_running_loop().time() + self._connect_timeout)
                found = await Connection.open(self._address(), soon)
                self._connections.append(found)
            return found

    async def close(self) -> None:
        for connection in self._connections:
            connection.close()
        self._connections = []
        await asyncio.sleep(0)  # the event loop lets go of them


@contextmanager
def unavailable(seconds: float) -> Iterator[None]:
    """Says of whatever goes wrong with the connections to a store that it is unavailable."""
    try:
        yield
    except TimeoutError as error:
        raise StoreUnavailable(f"no answer within {seconds:g} s") from error
    except (RedisError, RedisClusterException, OSError) as error:
        raise StoreUnavailable(str(error) or type(error).__name__) from error
