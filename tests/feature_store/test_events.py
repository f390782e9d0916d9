"""Events and visitors, on servers of every kind."""

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from feature_store.client import Command, StoreUnavailable
from feature_store.erasures import Erasures
from feature_store.event import Event
from feature_store.keys import customer_key
from feature_store.outcomes import Outcome
from feature_store.schema import FeatureSchema
from feature_store.store import CustomerStore
from feature_store.visitors import visitor_key

from .conftest import RunWithStore

FEATURES = """\
features:
  age: {type: number, source: profile, description: Age}
  views: {type: number, source: behaviour, aggregate: {kind: count, event: view, window: 30d}, description: x}
  topics:
    type: number
    source: behaviour
    aggregate: {kind: distinct, event: view, property: topic, window: 30d}
    description: x
  warm:
    type: number
    source: behaviour
    aggregate: {kind: decayed, event: view, half_life: 1d}
    description: x
  last: {type: number, source: behaviour, aggregate: {kind: last, event: view, property: n}, description: x}
"""


@pytest.fixture(scope="module")
def viewed(tmp_path_factory: pytest.TempPathFactory) -> FeatureSchema:
    path = tmp_path_factory.mktemp("viewed") / "features.yaml"
    path.write_text(FEATURES)
    return FeatureSchema.load(path)


def ids() -> tuple[str, str]:
    """A customer and a visitor whom nobody has met."""
    name = uuid.uuid4().hex
    return f"c-{name}", f"v-{name}"


def view(number: int, *, customer: str | None = None, visitor: str | None = None, ago: float = 0.0) -> Event:
    return Event(
        message_id=f"m{number}",
        type="track",
        event="view",
        customer_id=customer,
        anonymous_id=visitor,
        properties={"topic": f"t{number % 3}", "n": number},
        occurred_at=time.time() - ago,
        received_at=time.time(),
    )


def click(number: int, owner: str) -> Outcome:
    return Outcome(
        outcome_id=number.to_bytes(16, "big"), customer_id=owner, decision_id="d", outcome="click",
        channel="web", placement="p", issue="i", group="g", action="a", treatment="t", rank=1, propensity=0.1,
        selection_probability=1.0, value=None, occurred_at=time.time() - 1000 + number,
        expires_at=time.time() + 1000,
    )  # fmt: skip


async def seen(store: CustomerStore, owner: str) -> dict[str, float]:
    rows = await store.read([owner], time.time())
    return {name: float(rows.X[0, store.schema.slice(name).start]) for name in ("views", "topics", "last")}


def test_events_count_once_and_are_seen(run_with_store: RunWithStore, viewed: FeatureSchema) -> None:
    async def scenario(store: CustomerStore) -> None:
        customer, _ = ids()
        events = [view(number, customer=customer, ago=number) for number in range(5)]
        assert [each.new for each in await store.events.apply(events, time.time())] == [True] * 5
        again = await store.events.apply([*events, view(9, customer=customer, ago=9)], time.time())
        assert [each.new for each in again] == [False] * 5 + [True]
        assert await seen(store, customer) == {"views": 6, "topics": 3, "last": 0}

    run_with_store(scenario, viewed)


def test_a_customer_is_forgotten_a_while_after_their_last_event(
    run_with_store: RunWithStore, viewed: FeatureSchema
) -> None:
    async def scenario(store: CustomerStore) -> None:
        customer, _ = ids()
        await store.events.apply([view(1, customer=customer)], time.time())
        [left] = await store.client.run([("TTL", customer_key(customer))])
        assert 0 < left <= 1000

    run_with_store(scenario, viewed, customer_ttl=1000)


def test_ids_are_remembered_for_days_and_the_last_ones_of_many(
    run_with_store: RunWithStore, viewed: FeatureSchema
) -> None:
    async def scenario(store: CustomerStore) -> None:
        customer, _ = ids()
        now, event = time.time(), view(1, customer=customer)
        week = 7 * 86_400
        for later, new in ((0, True), (week - 5, False), (week + 5, True)):
            assert (await store.events.apply([event], now + later))[0].new is new, later
        many = [view(number, customer=customer) for number in range(2_000)]
        await store.events.apply(many, now)
        assert [each.new for each in await store.events.apply(many[-1_000:], now)] == [False] * 1_000

    run_with_store(scenario, viewed)


def test_a_visitors_history_joins_the_customers(run_with_store: RunWithStore, viewed: FeatureSchema) -> None:
    async def scenario(store: CustomerStore) -> None:
        customer, visitor = ids()
        mine = [view(number, customer=customer, ago=100 - number) for number in (1, 2)]
        theirs = [view(number, visitor=visitor, ago=100 - number) for number in (3, 4, 6)]
        await store.events.apply([*mine, *theirs], time.time())
        await store.record_outcomes([click(1, customer), click(3, customer)], time.time())
        await store.record_outcomes([click(2, f"anonymous:{visitor}")], time.time())
        for _ in range(2):
            await store.events.visitors.identify(visitor, customer, time.time())
        assert await seen(store, customer) == {"views": 5, "topics": 3, "last": 6}
        assert (await seen(store, f"anonymous:{visitor}"))["views"] == 0
        found = await store.get(customer)
        assert found is not None
        assert [round(t - found.history["time"][0]) for t in found.history["time"]] == [0, 1, 2]
        clicks = [click(2, customer), click(2, f"anonymous:{visitor}")]
        repeated = await store.record_outcomes(clicks, time.time())
        assert repeated == [False, False]
        assert await store.record_outcomes([click(4, f"anonymous:{visitor}")], time.time()) == [True]
        applied = await store.events.apply([*theirs, view(7, visitor=visitor)], time.time())
        assert [each.new for each in applied] == [False, False, False, True]
        assert (await seen(store, customer))["views"] == 6
        assert len((await store.get(customer)).history) == 4  # type: ignore[union-attr]

    run_with_store(scenario, viewed)


def dying(store: CustomerStore, after: int) -> Callable[..., Any]:
    """A way to the store over which so many round trips go, and no more."""
    real, left = store.client.run, after

    async def run(commands: list[Command], within: float | None = None) -> list[Any]:
        nonlocal left
        if left == 0:
            raise StoreUnavailable("died")
        left -= 1
        return await real(commands, within)

    return run


@pytest.mark.parametrize("after", range(6))
def test_a_merger_that_stops_in_between_loses_nothing_and_counts_nothing_twice(
    run_with_store: RunWithStore, viewed: FeatureSchema, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the call is repeated, or an event of the visitor comes first."""

    async def scenario(store: CustomerStore) -> None:
        for repeated in (True, False):
            customer, visitor = ids()
            await store.events.apply([view(1, customer=customer), view(2, visitor=visitor)], time.time())
            with monkeypatch.context() as patched:
                patched.setattr(store.client, "run", dying(store, after))
                try:
                    await store.events.visitors.identify(visitor, customer, time.time())
                    ended = True
                except StoreUnavailable:
                    ended = False
            if repeated:
                await store.events.visitors.identify(visitor, customer, time.time())
            more = [view(2, visitor=visitor), view(3, visitor=visitor)]
            assert [each.new for each in await store.events.apply(more, time.time())] == [False, True]
            counted = [(await seen(store, owner))["views"] for owner in (customer, f"anonymous:{visitor}")]
            linked = repeated or ended or after >= 2
            assert counted == ([3, 0] if linked else [1, 2])

    run_with_store(scenario, viewed)


def test_an_erasure_takes_the_links_too(run_with_store: RunWithStore, viewed: FeatureSchema) -> None:
    async def scenario(store: CustomerStore) -> None:
        customer, visitor = ids()
        await store.events.apply([view(1, visitor=visitor)], time.time())
        await store.events.visitors.identify(visitor, customer, time.time())
        assert await store.delete(customer, now=time.time())
        keys = (customer_key(customer), visitor_key(visitor))
        assert await store.client.run([("EXISTS", key) for key in keys]) == [0, 0]
        assert not await store.delete(customer, now=time.time())
        due = await Erasures(store.client).all()
        assert {customer.encode(), f"anonymous:{visitor}".encode()} <= set(due)

    run_with_store(scenario, viewed)


def test_what_another_definition_wrote_is_kept_and_not_misread(
    run_with_store: RunWithStore, viewed: FeatureSchema, tmp_path: Path
) -> None:
    changed = tmp_path / "features.yaml"
    changed.write_text(FEATURES.replace("event: view, window: 30d", "event: view, window: 7d"))
    other = FeatureSchema.load(changed)

    async def scenario(store: CustomerStore) -> None:
        customer, _ = ids()
        await store.events.apply([view(1, customer=customer)], time.time())
        later = store.of_schema(other)
        assert await seen(later, customer) == {"views": 0, "topics": 1, "last": 1}
        await later.events.apply([view(2, customer=customer)], time.time())
        assert (await seen(later, customer))["views"] == 1
        assert await seen(store, customer) == {"views": 1, "topics": 2, "last": 2}

    run_with_store(scenario, viewed)
