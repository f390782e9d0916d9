"""Commands to a Redis or Valkey server, or to a cluster: a whole batch in one round trip.

redis-py makes the connections and knows the cluster; the batches go over its connections directly, because
its pipelines cost several times as much for each command. Nothing is tried twice: whoever has a deadline must
learn at once that the store is away. A cluster's redirections are followed: they are answers, not failures.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol, cast
from urllib.parse import unquote, urlsplit

import hiredis
from redis.asyncio import Connection, ConnectionPool, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    RedisClusterException,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
    TryAgainError,
)

Command = tuple[Any, ...]
"""A command's words (str, bytes, int or float); the first is its name, in capitals."""

CLUSTER_SCHEMES = ("redis-cluster", "rediss-cluster")
_REFRESH_SECONDS = 1.0


class StoreUnavailable(Exception):
    """The store can't be reached, is too slow, or can't serve now."""


class Client(Protocol):
    """Runs batches of commands, each with at most one key."""

    async def run(self, commands: Sequence[Command], within: float | None = None) -> list[Any]:
        """The replies in order, all in one round trip. What the server refuses has the error as its reply.

        In a cluster, a command whose node is away has a `StoreUnavailable` as its reply. `within`, in
        seconds, stands in for the client's own.

        Raises:
            StoreUnavailable: no command could be run, or not in time. Some may have been run nevertheless.
        """

    async def run_at_once(self, commands: Sequence[Command], within: float | None = None) -> list[Any]:
        """Like `run`, but a server that syncs every write to its disk does so once for all of them.

        In a cluster, where commands can't be tied together, it is `run`.
        """

    async def close(self) -> None:
        """Close all connections."""


def connect(url: str, *, connect_timeout: float = 0.5, timeout: float = 1.0) -> Client:
    """A client for a store; it connects when it is first used.

    Args:
        url: `redis://host:port/0`, `rediss://...` with TLS, `unix:///path/to.sock`, or for a cluster
            `redis-cluster://host:port,host:port` (`rediss-cluster://` with TLS); all may begin with
            `user:password@`.
        connect_timeout: seconds until a connection must stand.
        timeout: seconds until a batch must be answered, with connecting; in a cluster, by each node.

    Raises:
        ValueError: the URL can't be one of a store.
    """
    options: dict[str, Any] = {
        "socket_connect_timeout": connect_timeout,
        "socket_timeout": None,  # one timeout for the batch, not one for each reply
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    if urlsplit(url).scheme in CLUSTER_SCHEMES:
        return ClusterClient(_cluster(url, options), timeout)
    return ServerClient(ConnectionPool.from_url(url, **options), timeout)


def _cluster(url: str, options: dict[str, Any]) -> RedisCluster:
    scheme, _, rest = url.partition("://")
    login, _, hosts = rest.rstrip("/").rpartition("@")
    user, _, password = login.partition(":")
    nodes = []
    for host in hosts.split(","):
        parts = urlsplit(f"//{host}")
        if not parts.hostname:
            raise ValueError(f"'{host}' in the store's URL must be host:port")
        nodes.append(ClusterNode(parts.hostname, parts.port or 6379))
    if login:
        options |= {"username": unquote(user) or None, "password": unquote(password) or None}
    return RedisCluster(
        startup_nodes=nodes, require_full_coverage=False, ssl=scheme.startswith("rediss"), **options
    )


class ServerClient:
    """A client of one server."""

    def __init__(self, pool: ConnectionPool, timeout: float) -> None:
        self._pool = pool
        self._timeout = timeout
        self._idle: list[Connection] = []

    async def run(self, commands: Sequence[Command], within: float | None = None) -> list[Any]:
        if not commands:
            return []
        async with _within(within or self._timeout):
            connection = self._idle.pop() if self._idle else self._new_connection()
            replies = await _exchange(connection, commands)  # closes the connection if it fails
            self._idle.append(connection)
            return replies

    async def run_at_once(self, commands: Sequence[Command], within: float | None = None) -> list[Any]:
        replies: Any = (await self.run([("MULTI",), *commands, ("EXEC",)], within))[-1]
        if isinstance(replies, Exception):
            raise StoreUnavailable(str(replies))
        return list(replies)

    def _new_connection(self) -> Connection:
        connection: Connection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        return connection

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().disconnect()


class ClusterClient:
    """A client of a cluster."""

    def __init__(self, cluster: RedisCluster, timeout: float) -> None:
        self._cluster = cluster
        self._timeout = timeout
        self._refreshed = 0.0

    async def run_at_once(self, commands: Sequence[Command], within: float | None = None) -> list[Any]:
        return await self.run(commands, within)

    async def run(self, commands: Sequence[Command], within: float | None = None) -> list[Any]:
        seconds = within or self._timeout
        async with _within(seconds):
            await self._cluster.initialize()
        replies: list[Any] = [None] * len(commands)
        groups = self._by_node(commands, replies)
        await asyncio.gather(
            *(self._run_on(node, rows, commands, replies, seconds) for node, rows in groups.items())
        )
        for row, reply in enumerate(replies):
            if isinstance(reply, MovedError | AskError | TryAgainError):
                replies[row] = await self._redirected(commands[row], seconds)
        away = [reply for reply in replies if isinstance(reply, StoreUnavailable)]
        if away:
            await self._refresh(seconds)
        if away and len(away) == len(commands):
            raise away[0]
        return replies

    def _by_node(self, commands: Sequence[Command], replies: list[Any]) -> dict[ClusterNode, list[int]]:
        groups: dict[ClusterNode, list[int]] = {}
        for row, command in enumerate(commands):
            try:
                node = cast(ClusterNode, self._cluster.get_node_from_key(_key(command)))
            except SlotNotCoveredError as error:
                replies[row] = StoreUnavailable(str(error))
            else:
                groups.setdefault(node, []).append(row)
        return groups

    async def _run_on(
        self,
        node: ClusterNode,
        rows: list[int],
        commands: Sequence[Command],
        replies: list[Any],
        seconds: float,
    ) -> None:
        found: Sequence[Any]
        try:
            async with _within(seconds):
                connection = node.acquire_connection()
                try:
                    found = await _exchange(connection, [commands[row] for row in rows])
                finally:
                    node.release(connection)
        except StoreUnavailable as error:
            found = [StoreUnavailable(f"{node.name}: {error}")] * len(rows)
        for row, reply in zip(rows, found, strict=True):
            down = isinstance(reply, ClusterDownError)
            replies[row] = StoreUnavailable(f"{node.name}: {reply}") if down else reply

    async def _redirected(self, command: Command, seconds: float) -> Any:
        try:
            async with _within(seconds):
                try:
                    return await self._cluster.execute_command(*command)
                except ResponseError as error:
                    return error
        except StoreUnavailable as error:
            return error

    async def _refresh(self, seconds: float) -> None:
        """Ask the nodes afresh who has what, at most once a second."""
        if time.monotonic() - self._refreshed > _REFRESH_SECONDS:
            self._refreshed = time.monotonic()
            with suppress(StoreUnavailable):  # the next batch asks again
                async with _within(seconds):
                    await self._cluster.nodes_manager.initialize()

    async def close(self) -> None:
        await self._cluster.aclose()


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise StoreUnavailable(f"no answer within {seconds:g} s") from error
    except (RedisError, RedisClusterException, OSError) as error:
        raise StoreUnavailable(str(error) or type(error).__name__) from error


async def _exchange(connection: Connection, commands: Sequence[Command]) -> list[Any]:
    """Send the commands and read their replies; when that fails or is cancelled, the connection is closed."""
    packed = b"".join([hiredis.pack_command(command) for command in commands])
    replies: list[Any] = []
    try:
        if connection.is_connected and await connection.can_read():
            await connection.disconnect(nowait=True)  # the server has closed it since
        await connection.send_packed_command(packed)
        for _ in commands:
            try:
                replies.append(await connection.read_response())
            except ResponseError as error:
                replies.append(error)
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return replies


def _key(command: Command) -> Any:
    return command[3 if command[0] == "EVAL" else 1]
