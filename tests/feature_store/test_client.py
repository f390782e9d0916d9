import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from feature_store.client import StoreUnavailable, connect
from feature_store.embedded import EmbeddedStore
from feature_store.schema import FeatureSchema
from feature_store.store import CustomerStore


def test_a_store_that_is_away_is_noticed(tmp_path: Path) -> None:
    async def scenario(url: str) -> None:
        client = connect(url)
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await client.run([("GET", "a")])
        await client.close()

    for url in (
        f"unix://{tmp_path}/none.sock",
        "redis://127.0.0.1:1",
        "redis-cluster://127.0.0.1:1,127.0.0.1:2",
    ):
        asyncio.run(scenario(url))


def test_an_empty_batch_asks_nobody(tmp_path: Path) -> None:
    async def scenario() -> None:
        client = connect(f"unix://{tmp_path}/none.sock")
        assert await client.run([]) == []
        await client.close()

    asyncio.run(scenario())


def test_a_store_that_never_answers_is_left_after_the_timeout(tmp_path: Path) -> None:
    async def scenario() -> None:
        done = asyncio.Event()

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await done.wait()
            writer.close()

        server = await asyncio.start_unix_server(listen, tmp_path / "deaf.sock")
        client = connect(f"unix://{tmp_path}/deaf.sock", timeout=0.05)
        with pytest.raises(StoreUnavailable, match=r"no answer within 0\.05 s"):
            await client.run([("GET", "a")])
        await client.close()
        done.set()
        server.close()

    asyncio.run(scenario())


def test_who_is_cancelled_or_too_late_leaves_no_reply_for_the_next(embedded_store_url: str) -> None:
    async def scenario() -> None:
        client = connect(embedded_store_url)
        await client.run([("SET", "mine", "right")])
        task = asyncio.create_task(client.run([("BLPOP", "nothing", 1)]))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await client.run([("GET", "mine")]) == [b"right"]
        with pytest.raises(StoreUnavailable):
            await client.run([("BLPOP", "nothing", 1)], within=0.05)
        assert await client.run([("GET", "mine")]) == [b"right"]
        await client.close()

    asyncio.run(scenario())


def test_batches_that_run_at_once_get_their_own_replies(embedded_store_url: str) -> None:
    async def scenario() -> None:
        client = connect(embedded_store_url)

        async def echo(number: int) -> None:
            words = [f"{number}.{index}" for index in range(number)]
            assert await client.run([("ECHO", word) for word in words]) == [word.encode() for word in words]

        await asyncio.gather(*(echo(number) for number in range(40)))
        await client.close()

    asyncio.run(scenario())


def test_an_error_is_the_reply_of_its_command_alone(embedded_store_url: str) -> None:
    async def scenario() -> None:
        client = connect(embedded_store_url)
        first, error, last = await client.run([("ECHO", "a"), ("NONSENSE",), ("ECHO", "b")])
        assert (first, last) == (b"a", b"b")
        assert "unknown command" in str(error)
        await client.close()

    asyncio.run(scenario())


def test_a_store_that_was_restarted_is_found_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = EmbeddedStore(tmp_path)
        server.start()
        client = connect(server.url)
        await client.run([("SET", "a", 1)])
        server.stop()
        with pytest.raises(StoreUnavailable):
            await client.run([("GET", "a")])
        server.start()
        assert await client.run([("GET", "a")]) == [b"1"]
        server.stop()
        server.start()
        await asyncio.sleep(0.05)  # the event loop hears that the connection has gone
        assert await client.run([("GET", "a")]) == [b"1"]
        await client.close()
        server.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("url", ["redis-cluster://", "redis-cluster://a:1,,b:2", "http://a", "nonsense"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        connect(url)


def test_name_and_password_are_sent_to_the_servers_of_a_cluster(cluster_url: str) -> None:
    async def scenario() -> None:
        for address in cluster_url.removeprefix("redis-cluster://").split(","):
            admin = connect(f"redis://{address}")
            await admin.run([("ACL", "SETUSER", "ann", "on", ">s@crt", "~*", "+@all")])
            await admin.close()
        ann = connect(cluster_url.replace("://", "://ann:s%40crt@"))
        assert await ann.run([("SET", "a", 1), ("SET", "b", 2)]) == [b"OK", b"OK"]
        await ann.close()
        stranger = connect(cluster_url.replace("://", "://ann:guess@"))
        with pytest.raises(StoreUnavailable):
            await stranger.run([("GET", "a")])
        await stranger.close()

    asyncio.run(scenario())


def test_a_slot_that_has_moved_is_followed(own_cluster: Any) -> None:
    async def scenario() -> None:
        client, reader = connect(own_cluster.url), connect(own_cluster.url)
        await client.run([("SET", key, "before") for key in "abc"])
        assert await reader.read([b"elsewhere", b"d"], [b"x"]) == [[None], [None]]
        slot = key_slot(b"elsewhere")
        home = slot // 5461
        target = own_cluster.nodes[(home + 1) % 3]
        identity = target.execute_command("CLUSTER", "MYID").decode()
        for node in (target, *own_cluster.nodes):
            node.execute_command("CLUSTER", "SETSLOT", slot, "NODE", identity)
        assert await client.run([("SET", "elsewhere", "after"), ("GET", "a")]) == [True, b"before"]
        assert await client.run([("GET", "elsewhere")]) == [b"after"]
        await client.run(
            [("DEL", "elsewhere"), ("HSET", "elsewhere", "x", "here"), ("HSET", "d", "x", "there")]
        )
        assert await reader.read([b"elsewhere", b"d"], [b"x", b"y"]) == [[b"here", None], [b"there", None]]
        await client.close()
        await reader.close()

    asyncio.run(scenario())


def test_a_node_that_is_away_costs_its_own_customers_only(own_cluster: Any, schema: FeatureSchema) -> None:
    async def scenario() -> None:
        names = [f"c{number}" for number in range(60)]
        store = CustomerStore(connect(own_cluster.url), schema)
        for name in names:
            await store.put(name, {"age": 30}, now=0)
        own_cluster.processes[2].kill()
        own_cluster.processes[2].wait()
        for _ in range(3):
            rows = await store.read(names, 0)
            away = [key_slot(f"arb:{{{name}}}".encode()) >= 10_923 for name in names]
            assert rows.known.tolist() == [not gone for gone in away]
            assert len(rows.faults) == sum(away)
        with pytest.raises(StoreUnavailable):
            await store.put(names[away.index(True)], {"age": 31}, now=0)
        await store.close()

    asyncio.run(scenario())


def test_commands_run_at_once_each_get_their_reply_and_one_that_is_refused_refuses_all(
    embedded_store_url: str,
) -> None:
    async def scenario() -> None:
        client = connect(embedded_store_url)
        assert await client.run_at_once([("SET", "once", "1"), ("GET", "once")]) == [b"OK", b"1"]
        with pytest.raises(StoreUnavailable, match="discarded"):
            await client.run_at_once([("SET", "once", "2"), ("NOSUCHCOMMAND",)])
        assert await client.run([("GET", "once")]) == [b"1"]
        await client.close()

    asyncio.run(scenario())
