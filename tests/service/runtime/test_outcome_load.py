"""Many large calls of outcomes at once: the store is given as much as it can do in time, and no more."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence

import pytest

from feature_store.embedded import EmbeddedStore
from feature_store.lessons import Report
from feature_store.store import CustomerStore, Outcome, StoreUnavailable, connect
from service.runtime.intake import MOST_ROWS
from service.runtime.outcomes import OutcomeIntake, OutcomeReport
from service.runtime.responses import Responses
from service.runtime.tokens import Grant, Signer
from service.workspace.loading import Workspace

SIGNER = Signer(b"a secret of sixteen bytes or more")


class Watched(CustomerStore):
    """A store that notes how many rows it is given at once; it can be told to be away from a row on."""

    sizes: list[int]
    running: int
    fails_after: int | None = None

    async def record_outcomes(
        self,
        outcomes: Sequence[Outcome],
        now: float,
        redeems: Mapping[str, Collection[str]] | None = None,
        lessons: Sequence[Report] = (),
    ) -> list[bool]:
        assert not self.running, "a round trip was begun while another was under way"
        if self.fails_after is not None and sum(self.sizes) >= self.fails_after:
            self.sizes.append(0)
            raise StoreUnavailable("told to be away")
        self.sizes.append(len(outcomes))
        self.running += 1
        try:
            return await super().record_outcomes(outcomes, now, redeems, lessons)
        finally:
            self.running -= 1


@pytest.fixture
def store(world: Workspace, world_store: EmbeddedStore) -> Watched:
    """A store to be used in one event loop."""
    watched = Watched(connect(world_store.url, timeout=30), world.schema)
    watched.sizes, watched.running = [], 0
    return watched


def reports(customer: str, number: int) -> list[OutcomeReport]:
    now = time.time()
    grant = Grant("d", customer, "web", "home_hero", "i", "g", "a", "t", 1, 0.1, 1.0, now, now + 60)
    return [OutcomeReport(SIGNER.sign(grant), "click", outcome_id=f"{customer}-{n}") for n in range(number)]


async def take_all(store: Watched, calls: list[list[OutcomeReport]]) -> list[object]:
    """What becomes of calls that are made at once: the number accepted, or the error."""
    intake = OutcomeIntake(store, SIGNER, {"click": ""}, Responses(), max_batch=100, max_waiting=100)
    results = await asyncio.gather(*(intake.take(call) for call in calls), return_exceptions=True)
    await store.close()
    return [result if isinstance(result, BaseException) else result.accepted for result in results]


def test_large_calls_are_recorded_one_after_another(store: Watched) -> None:
    calls = [reports(f"large-{n}", MOST_ROWS - 1) for n in range(5)]
    assert asyncio.run(take_all(store, calls)) == [MOST_ROWS - 1] * 5
    assert store.sizes == [MOST_ROWS - 1] * 5


def test_small_calls_are_recorded_together(store: Watched) -> None:
    assert asyncio.run(take_all(store, [reports(f"small-{n}", 3) for n in range(40)])) == [3] * 40
    assert store.sizes == [120]


def test_a_call_is_never_split(store: Watched) -> None:
    calls = [reports("whole-a", 10), reports("whole-b", MOST_ROWS + 5), reports("whole-c", 10)]
    assert asyncio.run(take_all(store, calls)) == [10, MOST_ROWS + 5, 10]
    assert store.sizes == [10, MOST_ROWS + 5, 10]


def test_when_the_store_goes_away_those_recorded_before_are_acknowledged_and_no_more_is_tried(
    store: Watched,
) -> None:
    store.fails_after = MOST_ROWS
    calls = [reports(f"half-{n}", MOST_ROWS) for n in range(4)]
    first, *others = asyncio.run(take_all(store, calls))
    assert first == MOST_ROWS
    assert [type(error) for error in others] == [StoreUnavailable] * 3
    assert store.sizes == [MOST_ROWS, 0]
