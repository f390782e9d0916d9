"""A cluster: each command goes to the server that has its key, and redirections are followed.

redis-py knows who has what; the batches go over connections of our own.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, cast

from redis.asyncio import RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.exceptions import ResponseError, SlotNotCoveredError

from feature_store.connection import Command
from feature_store.server import ServerClient, StoreUnavailable, unavailable

_REFRESH_SECONDS = 1.0
_REDIRECTIONS = ("MOVED ", "ASK ", "TRYAGAIN ")
_KEY_PLACE = {"EVAL": 3, "EVALSHA": 3, "XGROUP": 2, "XREADGROUP": -2}
"""Where a command has its key, if not behind its name."""
_AWAY = ("CLUSTERDOWN ", "MASTERDOWN ", "LOADING ")

Ask = Callable[[ServerClient, list[int]], Awaitable[list[Any]]]
"""Asks a server for what these rows need."""


class ClusterClient:
    """A client of a cluster."""

    def __init__(self, cluster: RedisCluster, timeout: float, connect_timeout: float) -> None:
        self._cluster = cluster
        self._timeout, self._connect_timeout = timeout, connect_timeout
        self._servers: dict[str, ServerClient] = {}
        self._refreshed = 0.0

    async def run(self, commands: Sequence[Command], within: float | None = None) -> list[Any]:
        def ask(server: ServerClient, rows: list[int]) -> Awaitable[list[Any]]:
            return server.run([commands[row] for row in rows], within)

        return await self._ask_all([_key(command) for command in commands], ask, commands.__getitem__, within)

    async def read(
        self, keys: Sequence[bytes], fields: Sequence[bytes], within: float | None = None
    ) -> list[Any]:
        def ask(server: ServerClient, rows: list[int]) -> Awaitable[list[Any]]:
            return server.read([keys[row] for row in rows], fields, within)

        return await self._ask_all(keys, ask, lambda row: ("HMGET", keys[row], *fields), within)

    async def run_at_once(self, commands: Sequence[Command], within: float | None = None) -> list[Any]:
        return await self.run(commands, within)

    async def _ask_all(
        self, keys: Sequence[Any], ask: Ask, command: Callable[[int], Command], within: float | None
    ) -> list[Any]:
        """Ask every server at the same time; a row that has moved is asked for again as a command."""
        seconds = within or self._timeout
        with unavailable(seconds):
            async with asyncio.timeout(seconds):
                await self._cluster.initialize()
        replies: list[Any] = [None] * len(keys)
        groups = self._by_node(keys, replies)
        await asyncio.gather(*(self._ask(node, rows, ask, replies) for node, rows in groups.items()))
        for row, reply in enumerate(replies):
            if isinstance(reply, ResponseError) and str(reply).startswith(_REDIRECTIONS):
                replies[row] = await self._redirected(command(row), seconds)
        away = [reply for reply in replies if isinstance(reply, StoreUnavailable)]
        if away:
            await self._refresh(seconds)
        if away and len(away) == len(keys):
            raise away[0]
        return replies

    def _by_node(self, keys: Sequence[Any], replies: list[Any]) -> dict[ClusterNode, list[int]]:
        groups: dict[ClusterNode, list[int]] = {}
        for row, key in enumerate(keys):
            try:
                node = cast(ClusterNode, self._cluster.get_node_from_key(key))
            except SlotNotCoveredError as error:
                replies[row] = StoreUnavailable(str(error))
            else:
                groups.setdefault(node, []).append(row)
        return groups

    async def _ask(self, node: ClusterNode, rows: list[int], ask: Ask, replies: list[Any]) -> None:
        try:
            found: Sequence[Any] = await ask(self._server(node), rows)
        except StoreUnavailable as error:
            found = [StoreUnavailable(f"{node.name}: {error}")] * len(rows)
        for row, reply in zip(rows, found, strict=True):
            away = isinstance(reply, ResponseError) and str(reply).startswith(_AWAY)
            replies[row] = StoreUnavailable(f"{node.name}: {reply}") if away else reply

    def _server(self, node: ClusterNode) -> ServerClient:
        server = self._servers.get(node.name)
        if server is None:
            kind, options = node.connection_class, node.connection_kwargs
            server = ServerClient(lambda: kind(**options), self._timeout, self._connect_timeout)
            self._servers[node.name] = server
        return server

    async def _redirected(self, command: Command, seconds: float) -> Any:
        try:
            with unavailable(seconds):
                async with asyncio.timeout(seconds):
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
            with suppress(StoreUnavailable), unavailable(seconds):  # the next batch asks again
                async with asyncio.timeout(seconds):
                    await self._cluster.nodes_manager.initialize()

    async def close(self) -> None:
        for server in self._servers.values():
            await server.close()
        await self._cluster.aclose()


def _key(command: Command) -> Any:
    return command[_KEY_PLACE.get(command[0], 1)]
