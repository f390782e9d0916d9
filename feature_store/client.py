"""Commands to a Redis or Valkey server, or to a cluster: a whole batch in one round trip.

redis-py reads addresses and knows the cluster; the batches go over connections of our own, because its
pipelines cost several times as much for each command. Nothing is tried twice: whoever has a deadline must
learn at once that the store is away. A cluster's redirections are followed: they are answers, not failures.
"""

from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from redis.asyncio import ConnectionPool, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from feature_store.cluster import ClusterClient
from feature_store.connection import Command
from feature_store.server import ServerClient, StoreUnavailable

__all__ = ["Client", "Command", "StoreUnavailable", "all_good", "connect"]

CLUSTER_SCHEMES = ("redis-cluster", "rediss-cluster")


class Client(Protocol):
    """Runs batches of commands, each with at most one key."""

    async def run(self, commands: Sequence[Command], within: float | None = None) -> list[Any]:
        """The replies in order, all in one round trip. What the server refuses has the error as its reply.

        In a cluster, a command whose node is away has a `StoreUnavailable` as its reply. `within`, in
        seconds, stands in for the client's own.

        Raises:
            StoreUnavailable: no command could be run, or not in time. Some may have been run nevertheless.
        """

    async def read(
        self, keys: Sequence[bytes], fields: Sequence[bytes], within: float | None = None
    ) -> list[Any]:
        """The fields of the hash under each key, None for each that there is not; otherwise like `run`."""

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
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    if urlsplit(url).scheme in CLUSTER_SCHEMES:
        return ClusterClient(_cluster(url, options), timeout, connect_timeout)
    pool = ConnectionPool.from_url(url, **options)
    return ServerClient(pool.make_connection, timeout, connect_timeout)


def all_good(replies: list[Any]) -> list[Any]:
    """Replies of commands of which none may fail.

    Raises:
        StoreUnavailable: one has failed.
    """
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply if isinstance(reply, StoreUnavailable) else StoreUnavailable(str(reply))
    return replies


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
