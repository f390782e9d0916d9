"""What the store promises of offers, on every kind of server: the first one of an action counts."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from feature_store.offers import KeptOffer, pack_offers, unpack_offers
from feature_store.store import CustomerStore

NOW = 1_767_225_600.0  # 2026-01-01
DAY = 86_400.0
RunWithStore = Callable[..., None]


@pytest.fixture
def customer() -> str:
    """An id that no other test has."""
    return uuid.uuid4().hex


def offer(name: str, **changes: Any) -> KeptOffer:
    values: dict[str, Any] = {
        "action": "fibre_500",
        "name": name,
        "terms": b'{"price":39.99}',
        "valid_until": NOW + DAY,
        "made_at": NOW,
        "decision_id": "d1",
        "channel": "web",
    }
    return KeptOffer(**(values | changes))


def test_offers_come_back_as_they_were_packed_and_what_is_no_record_ends_them() -> None:
    terms = b'{"text":"\xe2\x82\xac"}'
    offers = [offer("loyal"), offer("standard", action="tvé", terms=terms, valid_until=NOW + 2 * DAY)]
    packed = pack_offers(offers)
    assert unpack_offers(packed) == offers
    assert unpack_offers(packed + b"junk of some length") == offers
    for size in range(len(packed)):
        assert unpack_offers(packed[:size]) == offers[: size >= len(offers[0].record())]
    assert unpack_offers(packed, NOW + DAY) == offers[1:]
    assert unpack_offers(packed, NOW + 2 * DAY) == []
    assert unpack_offers(None) == []


def test_the_first_offer_of_an_action_is_kept_and_told_to_who_comes_later(
    run_with_store: RunWithStore, customer: str
) -> None:
    async def scenario(store: CustomerStore) -> None:
        first, second = offer("loyal"), offer("standard", channel="sales", valid_until=NOW + 9 * DAY)
        other = offer("free_sim", action="mobile_5g")
        assert await store.keep_offers({customer: [first]}, NOW) == {customer: [first]}
        assert await store.keep_offers({customer: [second, other]}, NOW + 1) == {customer: [first, other]}
        found = await store.get(customer)
        assert found is not None
        assert found.offers == (first, other)
        rows = await store.read([customer, "nobody"], NOW, (b"o",))
        assert [unpack_offers(blob) for blob in rows.also[b"o"]] == [[first, other], []]
        assert not rows.known.any()
        assert not rows.unread.any()

    run_with_store(scenario)


def test_an_offer_that_is_over_makes_room_for_the_next(run_with_store: RunWithStore, customer: str) -> None:
    async def scenario(store: CustomerStore) -> None:
        first, second = offer("loyal"), offer("standard", valid_until=NOW + 3 * DAY)
        await store.keep_offers({customer: [first, offer("other", action="tv")]}, NOW)
        assert await store.keep_offers({customer: [second]}, NOW + DAY - 0.001) == {customer: [first]}
        assert await store.keep_offers({customer: [second]}, NOW + DAY) == {customer: [second]}
        found = await store.get(customer)
        assert found is not None
        assert found.offers == (second,)

    run_with_store(scenario)


def test_of_many_who_promise_at_once_one_wins_and_all_say_the_same(
    run_with_store: RunWithStore, customer: str
) -> None:
    async def scenario(store: CustomerStore) -> None:
        offers = [offer(f"offer_{n}", channel=f"channel_{n}") for n in range(16)]
        answers = await asyncio.gather(*(store.keep_offers({customer: [one]}, NOW) for one in offers))
        found = await store.get(customer)
        assert found is not None
        (kept,) = found.offers
        assert kept in offers
        assert all(answer == {customer: [kept]} for answer in answers)

    run_with_store(scenario)


def test_two_offers_of_one_action_in_one_call_are_one(run_with_store: RunWithStore, customer: str) -> None:
    async def scenario(store: CustomerStore) -> None:
        first, second = offer("loyal"), offer("standard")
        assert await store.keep_offers({customer: [first, second]}, NOW) == {customer: [first, first]}

    run_with_store(scenario)


@pytest.mark.parametrize("damage", [b"?", b"not an offer at all", b"\xff" * 40])
def test_what_is_no_offer_is_let_go(run_with_store: RunWithStore, customer: str, damage: bytes) -> None:
    async def scenario(store: CustomerStore) -> None:
        good, new = offer("loyal"), offer("free_sim", action="mobile_5g")
        await store.client.run([("HSET", f"arb:{{{customer}}}", "o", good.record() + damage)])
        assert await store.keep_offers({customer: [new]}, NOW) == {customer: [new]}
        found = await store.get(customer)
        assert found is not None
        assert found.offers == (good, new)

    run_with_store(scenario)


async def seconds_left(store: CustomerStore, customer: str) -> int:
    [left] = await store.client.run([("TTL", f"arb:{{{customer}}}")])
    return int(left)


def test_of_whom_nothing_else_is_known_is_forgotten_with_the_last_offer(
    run_with_store: RunWithStore, customer: str
) -> None:
    async def scenario(store: CustomerStore) -> None:
        await store.keep_offers({customer: [offer("loyal")]}, NOW)
        assert DAY - 100 < await seconds_left(store, customer) <= DAY
        await store.keep_offers({customer: [offer("b", action="tv", valid_until=NOW + 5 * DAY)]}, NOW)
        assert 5 * DAY - 100 < await seconds_left(store, customer) <= 5 * DAY
        await store.keep_offers({customer: [offer("c", action="mobile")]}, NOW)
        assert await seconds_left(store, customer) > 5 * DAY - 100
        await store.put(customer, {"age": 40}, now=NOW)
        assert await seconds_left(store, customer) == -1
        await store.keep_offers({customer: [offer("d", action="security")]}, NOW)
        assert await seconds_left(store, customer) == -1

    run_with_store(scenario)


def test_an_offer_renews_the_time_to_live_of_a_customer(run_with_store: RunWithStore, customer: str) -> None:
    async def scenario(store: CustomerStore) -> None:
        await store.keep_offers({customer: [offer("loyal", valid_until=NOW + 900 * DAY)]}, NOW)
        assert 0 < await seconds_left(store, customer) <= 1000

    run_with_store(scenario, customer_ttl=1000)


def test_erasing_a_customer_erases_what_was_offered(run_with_store: RunWithStore, customer: str) -> None:
    async def scenario(store: CustomerStore) -> None:
        await store.keep_offers({customer: [offer("loyal")]}, NOW)
        assert await store.delete(customer, now=NOW)
        assert await store.get(customer) is None
        assert await store.keep_offers({customer: [offer("new")]}, NOW) == {customer: [offer("new")]}

    run_with_store(scenario)
