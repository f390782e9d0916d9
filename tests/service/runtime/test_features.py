"""What is read of a batch, with the contacts of accounts."""

import asyncio
import time
import uuid
from pathlib import Path

import pytest

from feature_store.contacts import FIELDS, Kept
from feature_store.keys import ACCOUNT, account_key
from feature_store.schema import FeatureSchema
from feature_store.store import CustomerRows, CustomerStore, connect
from service.runtime.features import FeatureReader, heard

ALSO = (*FIELDS, ACCOUNT)


@pytest.fixture
def schema(tmp_path: Path) -> FeatureSchema:
    (tmp_path / "features.yaml").write_text(
        "features:\n  age: {type: number, source: profile, description: Age}\n"
    )
    return FeatureSchema.load(tmp_path / "features.yaml")


@pytest.fixture
def customer() -> str:
    """The beginning of ids that no other test has."""
    return uuid.uuid4().hex


def test_accounts_are_those_that_are_named_or_else_those_that_are_stored(
    embedded_store_url: str, schema: FeatureSchema, customer: str
) -> None:
    named, stored, strange = (f"{customer}-{name}" for name in ("named", "stored", "strange"))

    async def scenario() -> None:
        store = CustomerStore(connect(embedded_store_url), schema)
        for number in range(4):
            await store.put(f"{customer}{number}", {"age": number}, stored if number else None, now=0)
        for account in (named, stored):
            await store.client.run([("HSET", account_key(account), "h", account, "n", 1)])
        reader = FeatureReader(retry_after=1)

        async def read(*accounts: str | None) -> CustomerRows:
            task = reader.start(store, [f"{customer}{n}" for n in range(4)], ALSO, accounts)
            assert task is not None
            rows = await task
            assert rows is not None
            return rows

        rows = await read(named, None, named, strange)
        assert rows.account_ids == (named, stored, named, strange)
        kept = {account: Kept(account.encode(), None, b"1") for account in (named, stored)}
        assert rows.accounts == (kept[named], kept[stored], kept[named], Kept())
        assert rows.X[:, 0].tolist() == [0, 1, 2, 3]
        rows = await read(None, None, "", None)
        assert rows.account_ids == (None, stored, stored, stored)
        assert rows.accounts == (None, *[kept[stored]] * 3)
        await store.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("accounts", [None, ["a"]])
def test_a_store_that_failed_is_left_alone_for_a_while(
    tmp_path: Path, schema: FeatureSchema, accounts: list[str | None] | None
) -> None:
    async def scenario() -> None:
        store = CustomerStore(connect(f"unix://{tmp_path}/none.sock"), schema)
        reader = FeatureReader(retry_after=3_600)
        task = reader.start(store, ["c"], ALSO, accounts)
        assert task is not None
        assert await task is None
        assert reader.start(store, ["c"], ALSO, accounts) is None
        await store.close()

    asyncio.run(scenario())


def test_a_reply_that_came_while_the_loop_was_busy_is_heard_though_its_time_is_over() -> None:
    async def scenario() -> None:
        there = asyncio.get_running_loop().create_future()

        async def reading() -> None:
            await there

        read = asyncio.create_task(reading())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(there.set_result, None)  # as from a socket that can be read
        assert await heard(read, until=time.perf_counter() - 1.0)

    asyncio.run(scenario())


def test_a_read_is_waited_for_until_its_time_is_over() -> None:
    async def scenario() -> None:
        read = asyncio.create_task(asyncio.sleep(0.02))
        assert not await heard(read, until=time.perf_counter() + 0.001)
        assert await heard(read, until=time.perf_counter() + 30.0)

    asyncio.run(scenario())
