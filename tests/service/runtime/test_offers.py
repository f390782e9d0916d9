"""Keeping offers: nobody waits for it beyond a deadline, and who comes second decides again."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from feature_store.embedded import EmbeddedStore
from feature_store.event import Event
from feature_store.offers import KeptOffer
from feature_store.store import NOTHING_FORESEEN, CustomerRows, CustomerStore, connect
from service.decisioning.batch import Batch
from service.decisioning.pipeline import Decisions, decide
from service.decisioning.snapshot import Snapshot
from service.runtime.budgets import Ledger
from service.runtime.decider import Decider
from service.runtime.decision import Decision
from service.runtime.features import FeatureReader
from service.runtime.leaving import MAX_SECONDS
from service.runtime.live import Live
from service.runtime.offers import OFFERS_UNAVAILABLE, OfferKeeper
from service.runtime.requests import DecisionRequest
from service.workspace.loading import load_workspace

FILES = {
    "features.yaml": """\
features:
  page: {type: category, source: context, levels: [home, cart], description: Page}
""",
    "channels.yaml": "channels:\n  web: {placements: {hero: {}}}\n",
    "models.yaml": "models: {}\n",
    "actions/sales.yaml": """\
issue: sales
groups:
  internet:
    actions:
      fibre_500:
        propensity: 0.9
        offers:
          - {name: cart, when: 'context.page == "cart"', valid_for: 1d, terms: {price: 44.5}}
          - {name: standard, valid_for: 7d, terms: {price: 49.99}}
        treatments:
          fibre_hero: {channel: web, content: {headline: "Fibre 500 for {price} EUR"}}
      dsl_50:
        propensity: 0.1
        treatments:
          dsl_hero: {channel: web}
""",
}
SLOW = 30.0
"""Seconds that no test waits for."""
Scenario = Callable[[Decider, CustomerStore], Awaitable[None]]
Run = Callable[[Scenario], None]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedStore]:
    """A store of the test's own."""
    with EmbeddedStore(tmp_path / "store") as started:
        yield started


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    """Two actions, of which the better one has offers."""
    for name, text in FILES.items():
        path = tmp_path / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return load_workspace(tmp_path / "shop").snapshot()


@pytest.fixture
def run(server: EmbeddedStore, snapshot: Snapshot) -> Run:
    def start(scenario: Scenario) -> None:
        async def whole() -> None:
            store = CustomerStore(connect(server.url, timeout=SLOW), snapshot.schema)
            reader, ledger = FeatureReader(retry_after=0.25), Ledger(store.budgets)
            decider = Decider(
                Live(snapshot, store), reader, ledger, deadline=SLOW, max_batch=16, max_waiting=100
            )
            await scenario(decider, store)
            await decider.drain()
            await store.close()

        asyncio.run(whole())

    return start


class Overtaken(CustomerStore):
    """A store in which a customer is promised something just when others have read what is known of them."""

    promises: KeptOffer

    async def read(
        self,
        customer_ids: Sequence[str],
        now: float,
        also: Sequence[bytes] = (),
        foreseen: Mapping[int, Sequence[Event]] = NOTHING_FORESEEN,
    ) -> CustomerRows:
        rows = await super().read(customer_ids, now, also, foreseen)
        if "c1" in customer_ids:
            await self.keep_offers({"c1": [self.promises]}, time.time())
        return rows


def of_old() -> KeptOffer:
    """An offer without the term that the treatments name now."""
    now = time.time()
    return KeptOffer(
        action="fibre_500",
        name="of_old",
        terms=b'{"cost":1}',
        valid_until=now + 1000,
        made_at=now,
        decision_id="d1",
        channel="web",
    )


async def decided(decider: Decider, page: str) -> Decision:
    """A decision whose offers nobody has kept yet."""
    request = DecisionRequest("web", customer_id="c1", context={"page": page}, dry_run=True)
    return await decider.decide(request)


def without_limits(snapshot: Snapshot, decisions: Decisions, rows: Sequence[int], batch: Batch) -> Decisions:
    """Decides again where there is nothing to book."""
    return decide(snapshot, batch)


async def kept(store: CustomerStore, decisions: list[Decision], seconds: float = SLOW) -> list[Decision]:
    """What is answered when the offers of these decisions are to be kept."""
    told: dict[int, Decision] = {}
    deadlines = [time.perf_counter() + seconds] * len(decisions)
    await OfferKeeper(without_limits).keep(store, decisions, deadlines, told.__setitem__)
    return [told[position] for position in range(len(decisions))]


async def offers_of(store: CustomerStore) -> list[str]:
    """The offers that are kept, as soon as there are some."""
    for _ in range(3000):
        found = await store.get("c1")
        if found is not None:
            return [offer.name for offer in found.offers]
        await asyncio.sleep(0.01)
    raise AssertionError("nothing is kept")


def chosen(decision: Decision) -> tuple[str, str | None]:
    """The action and its offer."""
    index = int(decision.decisions.slate.action[decision.decisions.slate.row == decision.row][0])
    offer = decision.offer(index)
    return decision.snapshot.catalogue.actions[index].name, offer.name if offer else None


def test_an_answer_leaves_at_its_deadline_and_its_offer_is_kept_nevertheless(
    run: Run, server: EmbeddedStore
) -> None:
    async def scenario(decider: Decider, store: CustomerStore) -> None:
        decision = await decided(decider, "cart")
        process = int((Path(server.data_dir) / "store.pid").read_text())
        os.kill(process, signal.SIGSTOP)
        try:
            (answer,) = await kept(store, [decision], seconds=0.05)
        finally:
            os.kill(process, signal.SIGCONT)
        assert answer.degraded == (OFFERS_UNAVAILABLE,)
        assert chosen(answer) == ("fibre_500", "cart")
        assert await offers_of(store) == ["cart"]

    run(scenario)


def test_reading_leaves_as_much_time_as_keeping_offers_takes(run: Run) -> None:
    async def scenario(decider: Decider, store: CustomerStore) -> None:
        leaving = decider._leaving
        await decided(decider, "cart")
        assert leaving.seconds == 0.0  # a dry run keeps nothing
        await decider.decide(DecisionRequest(channel="web", customer_id="c2", context={"page": "cart"}))
        assert 0.0 < leaving.seconds <= MAX_SECONDS
        answer: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        pending = decider._pending(DecisionRequest(channel="web", customer_id="c3"), answer, SLOW)
        assert pending.read_until == pending.written_until - leaving.seconds < pending.deadline
        at_once = DecisionRequest(channel="web", customer_id="c3", deadline_ms=0)
        hurried = decider._pending(at_once, answer, SLOW)
        assert hurried.read_until == hurried.written_until == hurried.deadline == hurried.arrived

    run(scenario)


def test_who_comes_second_decides_again_and_can_be_replayed(run: Run, snapshot: Snapshot) -> None:
    async def scenario(decider: Decider, store: CustomerStore) -> None:
        asked = [await decided(decider, page) for page in ("cart", "home", "cart")]
        assert [chosen(decision)[1] for decision in asked] == ["cart", "standard", "cart"]
        answers = await kept(store, asked)
        assert {chosen(answer) for answer in answers} == {("fibre_500", "cart")}
        assert {answer.degraded for answer in answers} == {()}
        index = snapshot.catalogue.action_index["fibre_500"]
        assert {answer.offer(index) for answer in answers} == {answers[0].offer(index)}
        for answer in answers:
            again = decide(snapshot, answer.decisions.batch)
            assert again.offered is not None
            assert again.offered.of(answer.row, index) == answer.offer(index)
            assert np.array_equal(again.removed_by, answer.decisions.removed_by)

    run(scenario)


def test_who_comes_second_and_can_not_say_the_promise_offers_something_else(run: Run) -> None:
    async def scenario(decider: Decider, store: CustomerStore) -> None:
        decision = await decided(decider, "cart")
        assert chosen(decision) == ("fibre_500", "cart")
        await store.keep_offers({"c1": [of_old()]}, time.time())
        (answer,) = await kept(store, [decision])
        assert (chosen(answer), answer.degraded) == (("dsl_50", None), ())

    run(scenario)


def test_volume_limits_count_what_was_answered_and_not_what_was_chosen_first(
    tmp_path: Path, snapshot: Snapshot, server: EmbeddedStore
) -> None:
    limits = [
        {"name": f"one_{action}", "at_most": 1, "per": "day", "action": action}
        for action in ("fibre_500", "dsl_50")
    ]
    (tmp_path / "shop" / "policies.yaml").write_text(yaml.safe_dump({"volume_limits": limits}))
    limited = load_workspace(tmp_path / "shop").snapshot()

    async def scenario() -> list[str | None]:
        store = Overtaken(connect(server.url, timeout=SLOW), limited.schema)
        store.promises = of_old()
        reader, ledger = FeatureReader(retry_after=0.25), Ledger(store.budgets)
        await ledger.adopt(limited)
        decider = Decider(Live(limited, store), reader, ledger, deadline=SLOW, max_batch=16, max_waiting=100)
        answers = [await decider.decide(DecisionRequest("web", customer_id=c)) for c in ("c1", "c2", "c3")]
        await decider.drain()
        await store.close()
        return [chosen(answer)[0] if answer.decisions.slate.row.size else None for answer in answers]

    assert asyncio.run(scenario()) == ["dsl_50", "fibre_500", None]
