"""One connection to a server, with any number of batches of commands on their way at once.

Whoever comes writes at once, behind whoever came before: replies are told apart by their order. They are
parsed as they arrive, and only the last one of a batch wakes its caller.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Self, cast

import hiredis
from redis.asyncio import Connection as TcpAddress
from redis.asyncio import SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ResponseError

Command = tuple[Any, ...]
"""A command's words (str, bytes, int or float); the first is its name, in capitals."""

Address = TcpAddress | UnixDomainSocketConnection
"""Where to connect, and as whom: a connection of redis-py that is never connected itself."""

Answer = asyncio.Future[list[Any]]


def pack(commands: Sequence[Command]) -> bytes:
    """Commands as they are sent."""
    return b"".join([hiredis.pack_command(command) for command in commands])


def pack_reads(keys: Sequence[bytes], fields: Sequence[bytes]) -> bytes:
    """`HMGET key *fields` for each key, as they are sent: four times as fast as one by one."""
    head = b"*%d\r\n$5\r\nHMGET\r\n$" % (2 + len(fields))
    tail = b"\r\n" + b"".join([b"$%d\r\n%b\r\n" % (len(field), field) for field in fields])
    return b"".join([b"%b%d\r\n%b%b" % (head, len(key), key, tail) for key in keys])


class Connection(asyncio.Protocol):
    """A connection that stands. It is `usable` until it breaks, or somebody leaves before their replies came:
    whoever waits behind them is still answered, and then it is closed."""

    def __init__(self) -> None:
        self.usable = True
        self._reader = hiredis.Reader(replyError=ResponseError)
        self._waiting: deque[tuple[int, Answer]] = deque()
        self._replies: list[Any] = []
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, address: Address, until: float) -> Self:
        """Connect to where a connection of redis-py would lead, with its login and database, by `until` on
        the event loop's clock.

        Raises:
            OSError, ResponseError: that could not be done; TimeoutError: not in time.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout_at(until):
            if isinstance(address, UnixDomainSocketConnection):
                _, connection = await loop.create_unix_connection(cls, address.path)
            else:
                tls = address.ssl_context.get() if isinstance(address, SSLConnection) else None
                _, connection = await loop.create_connection(cls, address.host, address.port, ssl=tls)
        greetings = _greetings(address)
        for reply in await connection.run(pack(greetings), len(greetings), until) if greetings else ():
            if isinstance(reply, Exception):
                connection.close()
                raise reply
        return connection

    @property
    def busy(self) -> int:
        """How many batches are on their way."""
        return len(self._waiting)

    async def run(self, packed: bytes, count: int, until: float) -> list[Any]:
        """Send commands, one or more, and wait for their replies. What the server refuses has a
        `ResponseError` as its reply.

        Raises:
            TimeoutError: the replies did not come by `until`, on the event loop's clock.
            OSError: the connection broke.
        """
        if self._transport is None:
            raise ConnectionResetError("the connection is closed")
        loop = asyncio.get_running_loop()
        answer: Answer = loop.create_future()
        timer = loop.call_at(until, _expire, answer)
        self._waiting.append((count, answer))
        self._transport.write(packed)
        try:
            return await answer
        except BaseException:
            self.usable = False
            self._close_when_done()
            raise
        finally:
            timer.cancel()

    def close(self) -> None:
        """Close the connection at once; whoever waits hears that it broke."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            self._parse()
        except hiredis.HiredisError as error:
            self._fail(ConnectionError(f"the server does not speak Redis: {error}"))

    def _parse(self) -> None:
        parse, replies = self._reader.gets, self._replies
        while self._waiting:
            count, answer = self._waiting[0]
            for _ in range(count - len(replies)):
                reply = parse()
                if reply is False:
                    return
                replies.append(reply)
            self._waiting.popleft()
            if not answer.done():
                answer.set_result(replies)
            replies = self._replies = []
        unasked = parse()
        if unasked is not False:
            self._fail(ConnectionResetError(f"the server says, unasked: {unasked}"))
        if not self.usable:
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._fail(error or ConnectionResetError("the server has closed the connection"))

    def _fail(self, error: Exception) -> None:
        self.close()
        while self._waiting:
            _, answer = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(error)

    def _close_when_done(self) -> None:
        """Close it as soon as nobody waits for what is still to come."""
        if all(answer.done() for _, answer in self._waiting):
            self.close()


def _greetings(address: Address) -> list[Command]:
    """What has to be said first."""
    greetings: list[Command] = []
    if address.password:
        login = (address.username, address.password) if address.username else (address.password,)
        greetings.append(("AUTH", *login))
    if address.client_name:
        greetings.append(("CLIENT", "SETNAME", address.client_name))
    if address.db:
        greetings.append(("SELECT", address.db))
    return greetings


def _expire(answer: Answer) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())
