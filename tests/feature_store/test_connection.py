import asyncio
import os
import shutil
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import UnixDomainSocketConnection

from feature_store.client import StoreUnavailable, connect
from feature_store.connection import Connection, pack, pack_reads
from feature_store.server import MAX_CONNECTIONS

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def path_of(url: str) -> str:
    return url.removeprefix("unix://")


async def connected(url: str) -> Connection:
    return await Connection.open(UnixDomainSocketConnection(path=path_of(url)), soon(5))


def soon(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def run(connection: Connection, *commands: tuple[Any, ...], within: float = 5) -> list[Any]:
    return await connection.run(pack(commands), len(commands), soon(within))


def test_reads_are_packed_as_the_commands_that_they_are() -> None:
    keys, fields = [b"arb:{c1}", b"", "arb:{é\n}".encode()], (b"p", b"longer")
    assert pack_reads(keys, fields) == pack([("HMGET", key, *fields) for key in keys])


def test_batches_that_come_together_share_a_few_connections(embedded_store_url: str) -> None:
    async def scenario() -> None:
        client, observer = connect(embedded_store_url), connect(embedded_store_url)
        [before] = await observer.run([("CLIENT", "LIST")])
        for _ in range(3):
            replies = await asyncio.gather(*(client.run([("ECHO", n), ("ECHO", "-")]) for n in range(200)))
            assert replies == [[str(n).encode(), b"-"] for n in range(200)]
        [after] = await observer.run([("CLIENT", "LIST")])
        assert 1 <= after.count(b"\n") - before.count(b"\n") <= MAX_CONNECTIONS
        await client.close()
        await observer.close()

    asyncio.run(scenario())


def test_who_waits_behind_somebody_who_left_is_answered_and_then_the_connection_is_closed(
    embedded_store_url: str,
) -> None:
    async def scenario() -> None:
        connection = await connected(embedded_store_url)
        first = asyncio.create_task(run(connection, ("BLPOP", "nothing", 0.2)))
        second = asyncio.create_task(run(connection, ("ECHO", "a"), ("ECHO", "b")))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == [b"a", b"b"]
        assert not connection.usable
        with pytest.raises(ConnectionError):
            await run(connection, ("ECHO", "c"))

    asyncio.run(scenario())


def test_who_is_late_hears_so_and_nobody_is_sent_behind_them(embedded_store_url: str) -> None:
    async def scenario() -> None:
        connection = await connected(embedded_store_url)
        with pytest.raises(TimeoutError):
            await run(connection, ("BLPOP", "nothing", 1), within=0.02)
        assert not connection.usable

    asyncio.run(scenario())


def test_a_large_reply_arrives_whole(embedded_store_url: str) -> None:
    async def scenario() -> None:
        client = connect(embedded_store_url)
        words = [os.urandom(1_000_000), b"", os.urandom(300_000)]
        assert await client.run([("ECHO", word) for word in words]) == words
        await client.close()

    asyncio.run(scenario())


def strange_server(tmp_path: Path, talk: Talk, scenario: Callable[[str], Awaitable[None]]) -> None:
    async def main() -> None:
        path = tmp_path / "strange.sock"

        async def talk_and_leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await talk(reader, writer)
            writer.close()

        server = await asyncio.start_unix_server(talk_and_leave, path)
        await scenario(f"unix://{path}")
        server.close()
        await server.wait_closed()

    asyncio.run(main())


def test_what_a_server_says_unasked_is_taken_for_nobodys_reply(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"ECHO\r\n")
        writer.write(b"$1\r\na\r\n$1\r\nb\r\n")
        await reader.read()

    async def scenario(url: str) -> None:
        client = connect(url)
        assert await client.run([("ECHO", "a")]) == [b"a"]
        assert await client.run([("ECHO", "a")]) == [b"a"]
        await client.close()

    strange_server(tmp_path, talk, scenario)


@pytest.mark.parametrize("text", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"$5\r\nhal"])
def test_a_server_that_speaks_something_else_or_hangs_up_is_noticed_at_once(
    tmp_path: Path, text: bytes
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n")
        writer.write(text)

    async def scenario(url: str) -> None:
        client = connect(url, timeout=30)
        with pytest.raises(StoreUnavailable, match=r"speak|closed|reset"):
            await client.run([("ECHO", "a")])
        await client.close()

    strange_server(tmp_path, talk, scenario)


def test_database_and_name_of_the_address_are_taken(embedded_store_url: str) -> None:
    async def scenario() -> None:
        client = connect(f"{embedded_store_url}?db=3&client_name=ann")
        mine, name = await client.run([("SET", "only here", 1), ("CLIENT", "GETNAME")])
        assert (mine, name) == (b"OK", b"ann")
        other = connect(embedded_store_url)
        assert await other.run([("EXISTS", "only here")]) == [0]
        await client.run([("DEL", "only here")])
        await client.close()
        await other.close()
        nowhere = connect(f"{embedded_store_url}?db=999")
        with pytest.raises(StoreUnavailable, match="out of range"):
            await nowhere.run([("PING",)])

    asyncio.run(scenario())


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of localhost, with its key beside it."""
    if shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have openssl installed")
        pytest.skip("there is no openssl here")
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    made = ["openssl", *words, *names, "-keyout", str(path.with_suffix(".key")), "-out", str(path)]
    subprocess.run(made, check=True, capture_output=True)
    return path


def test_a_store_behind_tls_is_reached_and_a_stranger_is_not_trusted(
    embedded_store_url: str, certificate: Path
) -> None:
    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, on = await asyncio.open_unix_connection(path_of(embedded_store_url))
        await asyncio.gather(copy(reader, on), copy(back, writer), return_exceptions=True)

    async def scenario() -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        server = await asyncio.start_server(forward, "localhost", 0, ssl=context)
        address = f"rediss://localhost:{server.sockets[0].getsockname()[1]}/0"
        client = connect(f"{address}?ssl_ca_certs={certificate}", timeout=30)
        assert await client.run([("ECHO", "secret")]) == [b"secret"]
        await client.close()
        stranger = connect(address, timeout=30)
        with pytest.raises(StoreUnavailable, match="certificate"):
            await stranger.run([("ECHO", "secret")])
        await stranger.close()
        server.close()
        await asyncio.sleep(0.05)  # the copies end

    asyncio.run(scenario())
