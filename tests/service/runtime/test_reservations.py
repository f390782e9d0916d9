"""Caps that reserve hold under concurrency, over several workers, and let go of what was not shown."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_store.contacts import Booking, Contacts, Kept
from feature_store.keys import customer_key
from feature_store.store import CustomerStore, StoreUnavailable, connect
from service.runtime.budgets import Ledger
from service.runtime.decider import Decider
from service.runtime.decision import Decision
from service.runtime.features import FeatureReader
from service.runtime.live import Live
from service.runtime.outcomes import OutcomeIntake, OutcomeReport
from service.runtime.requests import DecisionRequest, PlacementRequest
from service.runtime.reservations import CONTACT_RESERVATION
from service.runtime.tokens import Grant, Signer
from service.workspace.loading import load_workspace

FILES = {
    "features.yaml": """\
features:
  age: {type: number, source: profile, description: Age}
""",
    "channels.yaml": """\
channels:
  web:
    placements: {hero: {}, tiles: {limit: 2}}
  call_centre:
    placements: {desk: {}}
""",
    "models.yaml": "models: {}\n",
    "actions/sales.yaml": """\
issue: sales
groups:
  internet:
    actions:
      fibre:
        propensity: 0.5
        treatments:
          fibre_hero: {channel: web}
          fibre_call: {channel: call_centre}
      dsl:
        propensity: 0.4
        treatments:
          dsl_hero: {channel: web}
""",
    "actions/service.yaml": """\
issue: service
groups:
  help:
    actions:
      check_up:
        propensity: 0.1
        treatments:
          check_up_hero: {channel: web}
""",
}
SALES = "of: [impression], per: issue, issue: sales, without_history: suppress"
DEADLINE = 20.0
"""Seconds that no test waits for."""


def workspace(folder: Path, *caps: str, policies: str = "") -> Path:
    (folder / "actions").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    listed = "".join(f"\n    - {{{cap}}}" for cap in caps)
    (folder / "policies.yaml").write_text(f"contact_policies:\n  caps:{listed}\n{policies}")
    return folder


class Worker:
    """A decider with connections of its own, as every process has."""

    def __init__(self, folder: Path, url: str, deadline: float) -> None:
        self.workspace = load_workspace(folder)
        self.snapshot = self.workspace.snapshot()
        self.store = CustomerStore(connect(url, timeout=DEADLINE), self.workspace.schema)
        self.signer = Signer(b"a secret for these tests")
        self.decider = Decider(
            Live(self.snapshot, self.store),
            FeatureReader(retry_after=0.01),
            Ledger(self.store.budgets),
            deadline=deadline,
            max_batch=64,
            max_waiting=1000,
        )
        self.outcomes = OutcomeIntake(
            self.store,
            self.signer,
            self.workspace.files.outcomes,
            self.decider.responses,
            max_batch=64,
            max_waiting=1000,
        )
        self.outcomes.redeems = self.snapshot.contact.redeems

    async def ask(self, customer: str, *slots: str, channel: str = "web", **more: Any) -> Decision:
        placements = tuple(PlacementRequest(slot) for slot in slots) or None
        return await self.decider.decide(
            DecisionRequest(channel=channel, customer_id=customer, placements=placements, **more)
        )

    async def report(self, decision: Decision, outcome: str) -> None:
        for pick in picks(decision):
            slate, catalogue = decision.decisions.slate, self.snapshot.catalogue
            action = catalogue.actions[slate.action[pick]]
            grant = Grant(
                decision_id=decision.decision_id,
                customer=decision.request.customer_key,
                channel=decision.request.channel,
                placement=catalogue.slots[slate.slot[pick]].placement.id,
                issue=action.issue,
                group=action.group,
                action=action.name,
                treatment=catalogue.treatments[slate.treatment[pick]].name,
                rank=1,
                propensity=0.1,
                selection_probability=1.0,
                decided_at=decision.decided_at,
                expires_at=decision.decided_at + 1000,
                account=decision.account_id,
            )
            receipt = await self.outcomes.take([OutcomeReport(self.signer.sign(grant), outcome)])
            assert receipt.accepted == 1


def picks(decision: Decision) -> range:
    slate = decision.decisions.slate
    return range(*slate.row.searchsorted([decision.row, decision.row + 1]).tolist())


def offered(decision: Decision) -> list[str]:
    slate = decision.decisions.slate
    return [decision.snapshot.catalogue.actions[slate.action[pick]].name for pick in picks(decision)]


def sales(decisions: list[Decision]) -> int:
    return sum(name in ("fibre", "dsl") for decision in decisions for name in offered(decision))


@asynccontextmanager
async def workers(
    folder: Path, url: str, number: int = 1, deadline: float = DEADLINE
) -> AsyncIterator[list[Worker]]:
    found = [Worker(folder, url, deadline) for _ in range(number)]
    try:
        yield found
    finally:
        for worker in found:
            await worker.decider.drain()
            await worker.store.close()


@pytest.fixture
def customer() -> str:
    return uuid.uuid4().hex


Run = Callable[[Callable[[], Awaitable[None]]], None]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario()

    asyncio.run(main())


@pytest.mark.parametrize("at_most", [1, 3])
def test_two_hundred_at_once_on_two_workers_never_exceed_a_cap(
    tmp_path: Path, embedded_store_url: str, customer: str, at_most: int
) -> None:
    folder = workspace(tmp_path / "w", f"name: few, at_most: {at_most}, within: 1d, reserve: 10m, {SALES}")

    async def scenario() -> None:
        async with workers(folder, embedded_store_url, 2) as both:
            asked = [both[number % 2].ask(customer, "hero") for number in range(200)]
            decisions = await asyncio.gather(*asked)
            assert sales(list(decisions)) == at_most
            assert all(len(offered(decision)) == 1 for decision in decisions)  # the others get a check-up
            assert {decision.mode for decision in decisions} == {"full"}

    run(scenario)


def test_many_customers_at_once_each_get_theirs(
    tmp_path: Path, embedded_store_url: str, customer: str
) -> None:
    folder = workspace(tmp_path / "w", f"name: one, at_most: 1, within: 1d, reserve: 10m, {SALES}")

    async def scenario() -> None:
        async with workers(folder, embedded_store_url, 2) as both:
            names = [f"{customer}-{number}" for number in range(30)]
            decisions = await asyncio.gather(
                *(both[turn % 2].ask(name, "hero") for turn in range(4) for name in names)
            )
            by_customer = {name: [d for d in decisions if d.request.customer_id == name] for name in names}
            assert {sales(found) for found in by_customer.values()} == {1}

    run(scenario)


def test_what_was_not_shown_is_free_again_after_its_time(
    tmp_path: Path, embedded_store_url: str, customer: str
) -> None:
    folder = workspace(tmp_path / "w", f"name: one, at_most: 1, within: 1d, reserve: 2s, {SALES}")

    async def scenario() -> None:
        async with workers(folder, embedded_store_url) as [worker]:
            first = await worker.ask(customer, "hero")
            assert offered(first) == ["fibre"]
            assert offered(await worker.ask(customer, "hero")) == ["check_up"]
            await asyncio.sleep(max(0.0, first.decided_at + 2.05 - time.time()))
            assert offered(await worker.ask(customer, "hero")) == ["fibre"]

    run(scenario)


def test_what_was_shown_counts_for_its_whole_window_and_once(
    tmp_path: Path, embedded_store_url: str, customer: str
) -> None:
    folder = workspace(tmp_path / "w", f"name: two, at_most: 2, within: 1d, reserve: 10m, {SALES}")

    async def scenario() -> None:
        async with workers(folder, embedded_store_url) as [worker]:
            first = await worker.ask(customer, "hero")
            await worker.report(first, "click")  # is not what the cap counts
            await worker.report(first, "impression")
            [kept] = await worker.store.contacts.read([customer_key(customer)])
            assert kept is not None
            assert not kept.reservations
            assert sales([await worker.ask(customer, "hero")]) == 1
            assert sales([await worker.ask(customer, "hero")]) == 0

    run(scenario)


def test_another_channel_sees_what_one_has_reserved(
    tmp_path: Path, embedded_store_url: str, customer: str
) -> None:
    folder = workspace(tmp_path / "w", f"name: one, at_most: 1, within: 1d, reserve: 10m, {SALES}")

    async def scenario() -> None:
        async with workers(folder, embedded_store_url, 2) as [web, desk]:
            assert offered(await web.ask(customer, "hero")) == ["fibre"]
            assert offered(await desk.ask(customer, channel="call_centre")) == []

    run(scenario)


def test_a_cap_of_the_account_holds_for_all_its_customers_at_once(
    tmp_path: Path, embedded_store_url: str, customer: str
) -> None:
    one = f"name: one, unit: account, at_most: 1, within: 1d, reserve: 10m, {SALES}"
    own = f"name: own, at_most: 2, within: 1d, reserve: 10m, {SALES}"
    folder = workspace(tmp_path / "w", one, own)

    async def scenario() -> None:
        async with workers(folder, embedded_store_url, 2) as both:
            account = f"home-{customer}"
            asked = [
                both[number % 2].ask(f"{customer}-{number % 5}", "hero", account_id=account)
                for number in range(50)
            ]
            decisions = list(await asyncio.gather(*asked))
            assert sales(decisions) == 1
            names = [customer_key(f"{customer}-{number}") for number in range(5)]
            kept = await both[0].store.contacts.read(names)
            reserved = sum(len(one.reservations or b"") > 0 for one in kept if one)
            assert reserved == 1  # what could not be reserved in full is taken back
            [shown] = [d for d in decisions if sales([d])]
            await both[0].report(shown, "impression")
            assert sales([await both[1].ask(f"{customer}-4", "hero", account_id=account)]) == 0

    run(scenario)


def test_a_dry_run_reserves_nothing(tmp_path: Path, embedded_store_url: str, customer: str) -> None:
    folder = workspace(tmp_path / "w", f"name: one, at_most: 1, within: 1d, reserve: 10m, {SALES}")

    async def scenario() -> None:
        async with workers(folder, embedded_store_url) as [worker]:
            assert offered(await worker.ask(customer, "hero", dry_run=True)) == ["fibre"]
            assert await worker.store.contacts.read([customer_key(customer)]) == [Kept()]

    run(scenario)


def test_what_can_not_be_reserved_in_time_is_not_offered(
    tmp_path: Path, embedded_store_url: str, customer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workspace(tmp_path / "w", f"name: one, at_most: 1, within: 1d, reserve: 10m, {SALES}")
    reserve = Contacts.reserve

    async def slow(self: Contacts, bookings: list[Booking], now: float) -> Any:
        await asyncio.sleep(1)
        return await reserve(self, bookings, now)

    async def refused(self: Contacts, bookings: list[Booking], now: float) -> Any:
        raise StoreUnavailable("away")

    async def scenario() -> None:
        async with workers(folder, embedded_store_url) as [worker]:
            monkeypatch.setattr(Contacts, "reserve", slow)
            late = await worker.ask(customer, "hero", deadline_ms=200)
            assert offered(late) == ["check_up"]
            assert late.degraded == (CONTACT_RESERVATION,)
            removed = late.decisions.removed_by[late.row, worker.snapshot.catalogue.action_index["fibre"]]
            removal = worker.snapshot.removals[removed]
            assert removal is not None
            assert removal.rule == "one"
            monkeypatch.setattr(Contacts, "reserve", refused)
            away = await worker.ask(customer + "2", "hero")
            assert offered(away) == ["check_up"]
            assert away.degraded == (CONTACT_RESERVATION,)

    run(scenario)


def test_answers_that_reserve_nothing_wait_for_nobody(
    tmp_path: Path, embedded_store_url: str, customer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workspace(
        tmp_path / "w",
        f"name: one, at_most: 1, within: 1d, reserve: 10m, {SALES}",
        policies="eligibility:\n  - {name: grown_up, issue: sales, when: customer.age >= 18.0}\n",
    )
    held = asyncio.Event()
    reserve = Contacts.reserve

    async def slow(self: Contacts, bookings: list[Booking], now: float) -> Any:
        await held.wait()
        return await reserve(self, bookings, now)

    async def scenario() -> None:
        async with workers(folder, embedded_store_url) as [worker]:
            await worker.store.put(customer, {"age": 30}, now=time.time())
            monkeypatch.setattr(Contacts, "reserve", slow)
            waits = asyncio.create_task(worker.ask(customer, "hero"))
            child = await worker.ask(customer + "child", "hero")
            assert offered(child) == ["check_up"]
            assert not waits.done()
            held.set()
            assert offered(await waits) == ["fibre"]

    run(scenario)


def test_all_that_an_answer_offers_is_reserved_together(
    tmp_path: Path, embedded_store_url: str, customer: str
) -> None:
    folder = workspace(tmp_path / "w", f"name: three, at_most: 3, within: 1d, reserve: 10m, {SALES}")

    async def scenario() -> None:
        async with workers(folder, embedded_store_url) as [worker]:
            assert sales([await worker.ask(customer)]) == 2
            assert sales([await worker.ask(customer)]) == 1
            last = await worker.ask(customer)
            assert offered(last) == ["check_up"]
            assert np.isfinite(last.decisions.factors.priority[last.row]).sum() == 1

    run(scenario)


def test_an_answer_that_was_decided_again_keeps_the_history_that_it_was_decided_by(
    tmp_path: Path, embedded_store_url: str, customer: str
) -> None:
    folder = workspace(tmp_path / "w", f"name: one, at_most: 1, within: 1d, reserve: 10m, {SALES}")

    async def scenario() -> None:
        async with workers(folder, embedded_store_url) as [worker]:
            pair = await asyncio.gather(worker.ask(customer, "hero"), worker.ask(customer, "hero"))
            [second] = [decision for decision in pair if not sales([decision])]
            one = second.decisions.batch.take(np.array([second.row]))
            assert one.touches is not None
            assert len(one.touches.records) == 1

    run(scenario)
