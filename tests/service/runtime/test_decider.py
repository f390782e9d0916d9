"""Calls with many requests beside single ones: the many are decided whole, and the one does not wait."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from feature_store.embedded import EmbeddedStore
from feature_store.store import CustomerStore, connect
from service.decisioning.snapshot import Snapshot
from service.runtime.batching import Overloaded
from service.runtime.budgets import Ledger
from service.runtime.decider import Decider
from service.runtime.decision import Decision
from service.runtime.features import FeatureReader
from service.runtime.live import Live
from service.runtime.requests import DecisionRequest
from service.workspace.loading import Workspace

Scenario = Callable[[Decider], Coroutine[Any, Any, None]]
Run = Callable[..., None]


@pytest.fixture(scope="module")
def snapshot(world: Workspace) -> Snapshot:
    """The world with its models."""
    return world.snapshot()


@pytest.fixture
def run(snapshot: Snapshot, world_store: EmbeddedStore) -> Run:
    """Runs a scenario with a decider over a real store."""

    def start(scenario: Scenario, deadline: float = 0.05, max_waiting: int = 2000) -> None:
        async def whole() -> None:
            store = CustomerStore(connect(world_store.url, timeout=30), snapshot.schema)
            reader = FeatureReader(retry_after=0.25)
            live = Live(snapshot, store)
            decider = Decider(
                live, reader, Ledger(store.budgets), deadline=deadline, max_batch=16, max_waiting=max_waiting
            )
            await scenario(decider)
            await decider.drain()
            await store.close()

        asyncio.run(whole())

    return start


def asked(number: int, deadline_ms: float | None = None) -> list[DecisionRequest]:
    return [DecisionRequest("web", customer_id=f"c{n}", deadline_ms=deadline_ms) for n in range(number)]


def test_many_requests_in_one_call_do_not_degrade_for_want_of_time(run: Run) -> None:
    """The default deadline is for somebody who waits for a page, not for the last of a thousand."""

    async def scenario(decider: Decider) -> None:
        decisions = await decider.decide_all(asked(1000))
        assert {decision.mode for decision in decisions if isinstance(decision, Decision)} == {"full"}
        assert len(decisions) == 1000

    run(scenario, deadline=1e-6)


def test_a_deadline_of_its_own_holds_for_each_of_many_too(run: Run) -> None:
    async def scenario(decider: Decider) -> None:
        (decision,) = await decider.decide_all(asked(1, deadline_ms=1e-6))
        assert isinstance(decision, Decision)
        assert decision.mode == "degraded"

    run(scenario)


def test_a_single_request_does_not_queue_behind_a_call_with_many(run: Run) -> None:
    async def scenario(decider: Decider) -> None:
        many = asyncio.create_task(decider.decide_all(asked(1000)))
        await asyncio.sleep(0)
        (single,) = asked(1, deadline_ms=30_000)
        await decider.decide(single)
        assert not many.done()
        await many

    run(scenario)


def test_calls_with_many_that_fill_the_room_leave_room_for_single_ones(run: Run) -> None:
    async def scenario(decider: Decider) -> None:
        many = asyncio.create_task(decider.decide_all(asked(1000)))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await decider.decide_all(asked(1000))
        (single,) = asked(1, deadline_ms=30_000)
        assert (await decider.decide(single)).mode == "full"
        assert len(await many) == 1000

    run(scenario, max_waiting=1500)
