"""What outcomes teach is counted once, on every kind of server, whoever folds it and however often."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable

import pytest

from feature_store.blocks import Length
from feature_store.client import StoreUnavailable
from feature_store.lessons import (
    LEARNED,
    RESPONDED,
    SHOWN,
    SHOWN_AS_OFFERED,
    STREAM,
    Classroom,
    Lessons,
    Report,
    Showing,
    offer_id,
)
from feature_store.store import CustomerStore

from .test_store_contract import outcome

RunWithStore = Callable[[Callable[[CustomerStore], Awaitable[None]]], None]
NOW = time.time()
CELL = 2**63 + 7
LENGTH = Length(6.0, 0.0)


@pytest.fixture
def customer() -> str:
    """An id that no other test has."""
    return uuid.uuid4().hex


def report(customer: str, said: int, offer: str = "one", **changes: object) -> Report:
    fields = {
        "cell": CELL,
        "length": LENGTH,
        "decided_at": NOW - 60,
        "predicted": 0.25,
        "said": said,
        "customer": customer,
        "offer": offer_id(offer, "hero", "fibre"),
        "until": NOW + 3600,
    }
    return Report(**(fields | changes))  # type: ignore[arg-type]


async def emptied(store: CustomerStore) -> Classroom:
    """The classroom of a store in which nothing has been learned."""
    await store.client.run([("DEL", LEARNED), ("DEL", STREAM)])
    return store.classroom


async def teach(store: CustomerStore, *reports: Report) -> None:
    """Take in an outcome of each report's customer, with what it teaches."""
    outcomes = [outcome(one.customer) for one in reports]
    await store.record_outcomes(outcomes, NOW, lessons=reports)


async def learned(classroom: Classroom) -> tuple[float, float, float]:
    """How many were shown, expected and responded to in the cell."""
    while await classroom.fold():
        pass
    found = await classroom.learned()
    assert found is not None
    blocks = found[1][CELL]
    return blocks["shown"].sum(), blocks["expected"].sum(), blocks["responses"].sum()


def test_an_offer_counts_once_however_often_it_is_reported(
    run_with_store: RunWithStore, customer: str
) -> None:
    async def scenario(store: CustomerStore) -> None:
        classroom = await emptied(store)
        await teach(store, report(customer, SHOWN), report(customer, SHOWN))
        assert await learned(classroom) == (1, 0.25, 0)
        await teach(store, report(customer, SHOWN), report(customer, RESPONDED))
        await teach(store, report(customer, RESPONDED))
        assert await learned(classroom) == (1, 0.25, 1)
        await teach(store, report(customer, SHOWN | RESPONDED, "another"))
        assert await learned(classroom) == (2, 0.5, 2)

    run_with_store(scenario)


def test_a_response_counts_for_what_was_shown_in_whatever_order_it_is_told(
    run_with_store: RunWithStore, customer: str
) -> None:
    async def scenario(store: CustomerStore) -> None:
        classroom = await emptied(store)
        await teach(store, report(customer, SHOWN, "other"))
        await teach(store, report(customer, RESPONDED))
        assert await learned(classroom) == (1, 0.25, 0), "it was never shown"
        await teach(store, report(customer, SHOWN))
        assert await learned(classroom) == (2, 0.5, 1)

    run_with_store(scenario)


def test_where_nobody_reports_what_is_shown_offers_are_counted_as_they_are_made(
    run_with_store: RunWithStore, customer: str
) -> None:
    async def scenario(store: CustomerStore) -> None:
        classroom = await emptied(store)
        await classroom.add(Lessons(showings=[Showing(CELL, LENGTH, NOW, 40, 10.0)]))
        await teach(store, report(customer, RESPONDED | SHOWN_AS_OFFERED))
        await teach(store, report(customer, RESPONDED | SHOWN_AS_OFFERED))
        assert await learned(classroom) == (40, 10.0, 1)

    run_with_store(scenario)


def test_workers_that_fold_at_the_same_time_count_everything_once(
    run_with_store: RunWithStore, customer: str
) -> None:
    async def scenario(store: CustomerStore) -> None:
        classroom = await emptied(store)
        for number in range(30):
            await teach(
                store, report(customer, SHOWN, f"d{number}"), report(customer, RESPONDED, f"d{number}")
            )
        found = await asyncio.gather(*(learned(classroom) for _ in range(4)))
        assert set(found) <= {(30, 7.5, 30)}
        assert await store.client.run([("XLEN", STREAM)]) == [0]

    run_with_store(scenario)


def test_a_fold_that_was_cut_short_is_done_again(
    run_with_store: RunWithStore, customer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(store: CustomerStore) -> None:
        classroom = await emptied(store)
        await teach(store, report(customer, SHOWN))
        await teach(store, report(customer, RESPONDED))

        async def dies(_: object) -> list[object]:
            raise StoreUnavailable("away")

        with monkeypatch.context() as broken:
            broken.setattr(classroom, "_updated", dies)  # the offers are marked by now
            with pytest.raises(StoreUnavailable):
                await classroom.fold()
        assert await learned(classroom) == (1, 0.25, 1)

    run_with_store(scenario)


def test_who_was_erased_leaves_no_mark(run_with_store: RunWithStore, customer: str) -> None:
    async def scenario(store: CustomerStore) -> None:
        classroom = await emptied(store)
        await teach(store, report(customer, SHOWN))
        await store.delete(customer, now=NOW)
        assert await learned(classroom) == (1, 0.25, 0)
        assert await store.get(customer) is None

    run_with_store(scenario)


def test_marks_are_forgotten_when_nothing_more_can_be_said(
    run_with_store: RunWithStore, customer: str
) -> None:
    async def scenario(store: CustomerStore) -> None:
        classroom = await emptied(store)
        await teach(store, report(customer, SHOWN, "old", until=NOW - 1))
        await learned(classroom)
        await teach(store, report(customer, SHOWN, "new"))
        await learned(classroom)
        [marks] = await store.client.run([("HGET", b"arb:{%b}" % customer.encode(), "x")])
        assert len(marks) == 32
        assert marks.startswith(offer_id("new", "hero", "fibre"))

    run_with_store(scenario)


def test_nothing_is_read_again_that_was_seen(run_with_store: RunWithStore, customer: str) -> None:
    async def scenario(store: CustomerStore) -> None:
        classroom = await emptied(store)
        assert await classroom.learned() == (b"0-0", {})
        assert await classroom.learned(b"0-0") is None
        await teach(store, report(customer, SHOWN))
        await classroom.fold()
        found = await classroom.learned(b"0-0")
        assert found is not None
        assert await classroom.learned(found[0]) is None

    run_with_store(scenario)


def test_an_entry_that_cant_be_read_holds_up_nobody(run_with_store: RunWithStore, customer: str) -> None:
    async def scenario(store: CustomerStore) -> None:
        classroom = await emptied(store)
        await store.client.run([("XADD", STREAM, "*", "lessons", b"\xc1")])
        await teach(store, report(customer, SHOWN))
        assert await learned(classroom) == (1, 0.25, 0)

    run_with_store(scenario)
