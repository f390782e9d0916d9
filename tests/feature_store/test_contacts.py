"""Contact histories and reservations, on every kind of server."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import pytest

from feature_store.contacts import FIELDS, RESERVATION, Booking, Kept, reservation_id
from feature_store.history import MAX_RECORDS, RECORD, pack, unpack
from feature_store.keys import HISTORY, account_key, customer_key
from feature_store.store import CustomerStore, Outcome

NOW = 1_767_225_600.0  # 2026-01-01
RunWithStore = Callable[[Callable[[CustomerStore], Awaitable[None]]], None]


@pytest.fixture
def customer() -> str:
    """An id that no other test has."""
    return uuid.uuid4().hex


def outcome(customer_id: str, **changes: Any) -> Outcome:
    values: dict[str, Any] = {
        "outcome_id": uuid.uuid4().bytes,
        "customer_id": customer_id,
        "decision_id": "d1",
        "outcome": "impression",
        "channel": "web",
        "placement": "home_hero",
        "issue": "sales",
        "group": "internet",
        "action": "fibre_500",
        "treatment": "fibre_500_hero",
        "rank": 1,
        "propensity": 0.1,
        "selection_probability": 1.0,
        "value": None,
        "occurred_at": NOW,
        "expires_at": NOW + 86_400,
    }
    return Outcome(**(values | changes))


def reservations(*ids: bytes, expires: float = NOW + 600) -> bytes:
    record = np.frombuffer(pack(NOW, None, "reserved", "web", "sales", "internet", "a", "t"), RECORD)[0]
    return np.array([(np.void(id_), expires, record) for id_ in ids], RESERVATION).tobytes()


def ids(kept: Kept | None) -> set[bytes]:
    assert kept is not None
    found = np.frombuffer(kept.reservations or b"", RESERVATION)
    return {bytes(id_) for id_ in found["id"]}


def booking(key: bytes, kept: Kept | None, *reserved: bytes, seconds: float = 600.0) -> Booking:
    return Booking(key, kept.revision if kept else None, reservations(*reserved), seconds)


def test_records_are_kept_in_the_order_of_their_times(run_with_store: RunWithStore, customer: str) -> None:
    async def scenario(store: CustomerStore) -> None:
        for late in (5, 1, 3, 3, 9, 0):
            await store.record_outcomes([outcome(customer, occurred_at=NOW + late)], NOW)
        [kept] = await store.contacts.read([customer_key(customer)])
        assert kept is not None
        assert (unpack([kept.history])[0]["time"] - NOW).tolist() == [0, 1, 3, 3, 5, 9]

    run_with_store(scenario)


def test_a_late_record_does_not_push_out_a_newer_one(run_with_store: RunWithStore, customer: str) -> None:
    async def scenario(store: CustomerStore) -> None:
        outcomes = [outcome(customer, occurred_at=NOW + number) for number in range(MAX_RECORDS)]
        await store.record_outcomes(outcomes, NOW)
        await store.record_outcomes([outcome(customer, occurred_at=NOW - 1)], NOW)
        await store.record_outcomes([outcome(customer, occurred_at=NOW + 1.5)], NOW)
        rows = await store.read([customer], NOW, [HISTORY])
        times = unpack(rows.also[HISTORY])[0]["time"] - NOW
        assert len(times) == MAX_RECORDS
        assert times[:3].tolist() == [1, 1.5, 2]

    run_with_store(scenario)


def test_what_is_asked_for_comes_along_with_the_features(run_with_store: RunWithStore, customer: str) -> None:
    async def scenario(store: CustomerStore) -> None:
        await store.put(customer, {"age": 30}, now=NOW)
        await store.record_outcomes([outcome(customer)], NOW)
        rows = await store.read(["nobody", customer], NOW, FIELDS)
        assert rows.X[1, store.schema.slice("age")] == 30
        assert [len(blob or b"") for blob in rows.also[HISTORY]] == [0, RECORD.itemsize]
        assert (await store.read([customer], NOW)).also == {}

    run_with_store(scenario)


def test_of_two_who_reserve_by_the_same_history_the_first_goes_through(
    run_with_store: RunWithStore, customer: str
) -> None:
    key, first, second = customer_key(customer), b"1" * 16, b"2" * 16

    async def scenario(store: CustomerStore) -> None:
        [kept] = await store.contacts.read([key])
        made, refused = await store.contacts.reserve(
            [booking(key, kept, first), booking(key, kept, second)], NOW
        )
        assert made is None
        assert isinstance(refused, Kept)
        assert ids(refused) == {first}
        assert await store.contacts.reserve([booking(key, refused, second)], NOW) == [None]
        [kept] = await store.contacts.read([key])
        assert ids(kept) == {first, second}

    run_with_store(scenario)


def test_an_outcome_between_reading_and_reserving_is_noticed(
    run_with_store: RunWithStore, customer: str
) -> None:
    key = customer_key(customer)

    async def scenario(store: CustomerStore) -> None:
        [kept] = await store.contacts.read([key])
        await store.record_outcomes([outcome(customer)], NOW)
        [refused] = await store.contacts.reserve([booking(key, kept, b"1" * 16)], NOW)
        assert isinstance(refused, Kept)
        assert len(refused.history or b"") == RECORD.itemsize
        await store.record_outcomes([outcome(customer)], NOW)
        assert isinstance((await store.contacts.reserve([booking(key, refused, b"1" * 16)], NOW))[0], Kept)

    run_with_store(scenario)


def test_a_hundred_who_reserve_at_once_get_one_after_another(
    run_with_store: RunWithStore, customer: str
) -> None:
    key = customer_key(customer)

    async def scenario(store: CustomerStore) -> None:
        async def reserve(number: int) -> int:
            [kept] = await store.contacts.read([key])
            for attempt in range(1, 200):
                mine = number.to_bytes(16, "big")
                [told] = await store.contacts.reserve([booking(key, kept, mine)], NOW)
                if told is None:
                    return attempt
                assert isinstance(told, Kept)
                kept = told
            raise AssertionError("never got through")

        await asyncio.gather(*(reserve(number) for number in range(100)))
        [kept] = await store.contacts.read([key])
        assert len(ids(kept)) == 100

    run_with_store(scenario)


def test_the_outcome_that_a_reservation_stands_for_redeems_it(
    run_with_store: RunWithStore, customer: str
) -> None:
    key = customer_key(customer)
    policies = ("one_call", "two_calls")
    one, two = (reservation_id("d1", "home_hero", "fibre_500", name) for name in policies)
    other = reservation_id("d2", "home_hero", "fibre_500", "one_call")

    async def scenario(store: CustomerStore) -> None:
        await store.contacts.reserve([booking(key, None, one, two, other)], NOW)
        redeems = {"impression": ["one_call"]}
        assert await store.record_outcomes([outcome(customer, outcome="click")], NOW, redeems) == [True]
        assert ids((await store.contacts.read([key]))[0]) == {one, two, other}
        assert await store.record_outcomes([outcome(customer)], NOW, redeems) == [True]
        assert ids((await store.contacts.read([key]))[0]) == {two, other}

    run_with_store(scenario)


def test_expired_reservations_are_swept_away(run_with_store: RunWithStore, customer: str) -> None:
    key = customer_key(customer)

    async def scenario(store: CustomerStore) -> None:
        await store.contacts.reserve([booking(key, None, b"1" * 16)], NOW)
        [kept] = await store.contacts.read([key])
        await store.contacts.reserve([booking(key, kept, b"2" * 16)], NOW + 600)
        [kept] = await store.contacts.read([key])
        assert ids(kept) == {b"2" * 16}

    run_with_store(scenario)


def test_reservations_are_taken_back_by_their_ids(run_with_store: RunWithStore, customer: str) -> None:
    key = customer_key(customer)

    async def scenario(store: CustomerStore) -> None:
        await store.contacts.reserve([booking(key, None, b"1" * 16, b"2" * 16)], NOW)
        [before] = await store.contacts.read([key])
        [left] = await store.contacts.release([(key, b"1" * 16)])
        assert isinstance(left, Kept)
        assert ids(left) == {b"2" * 16}
        assert before is not None
        assert left.revision != before.revision
        assert (await store.contacts.release([(key, b"3" * 16)])) == [left]

    run_with_store(scenario)


def test_who_is_only_reserved_for_is_forgotten_after_that_time(
    run_with_store: RunWithStore, customer: str
) -> None:
    brief, lasting = customer_key(customer), customer_key(customer + "2")

    async def scenario(store: CustomerStore) -> None:
        await store.put(customer + "2", {"age": 30}, now=NOW)
        for key in (brief, lasting):
            await store.contacts.reserve([booking(key, None, b"1" * 16, seconds=0.1)], NOW)
        assert await store.get(customer) is None
        for _ in range(200):
            if (await store.contacts.read([brief])) == [Kept()]:
                break
            await asyncio.sleep(0.05)
        assert await store.contacts.read([brief]) == [Kept()]
        assert ids((await store.contacts.read([lasting]))[0]) == {b"1" * 16}

    run_with_store(scenario)


def test_outcomes_count_for_the_account_that_they_name(run_with_store: RunWithStore, customer: str) -> None:
    account = f"acme-{customer}"
    outcomes: Sequence[Outcome] = [
        outcome(customer, account_id=account),
        outcome(customer + "2", account_id=account, occurred_at=NOW + 1),
        outcome(customer),
    ]

    async def scenario(store: CustomerStore) -> None:
        assert await store.record_outcomes(outcomes, NOW) == [True] * 3
        assert await store.record_outcomes(outcomes, NOW) == [False] * 3
        [kept] = await store.contacts.read([account_key(account)])
        assert kept is not None
        assert (unpack([kept.history])[0]["time"] - NOW).tolist() == [0, 1]
        assert await store.get(f"account:{account}") is None

    run_with_store(scenario)


def test_contacts_of_another_type_can_not_be_read_and_spoil_no_others(
    run_with_store: RunWithStore, customer: str
) -> None:
    async def scenario(store: CustomerStore) -> None:
        await store.client.run([("SET", customer_key(customer), "text")])
        assert await store.contacts.read([customer_key(customer), customer_key("nobody")]) == [None, Kept()]

    run_with_store(scenario)
