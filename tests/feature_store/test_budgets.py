"""What shared budgets promise, on every kind of server: never overdrawn, nothing lost, nothing counted
twice."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from feature_store.budgets import Budgets, Claim, Standing
from feature_store.client import connect

FOREVER = 4e9


@pytest.fixture
def run(store_url: str) -> Callable[[Callable[[Budgets], Awaitable[None]]], None]:
    def start(scenario: Callable[[Budgets], Awaitable[None]]) -> None:
        async def main() -> None:
            client = connect(store_url)
            try:
                await scenario(Budgets(client))
            finally:
                await client.close()

        asyncio.run(main())

    return start


Run = Callable[[Callable[[Budgets], Awaitable[None]]], None]


@pytest.fixture
def claim() -> Claim:
    """The first claim of a worker on a budget of its own, of 100."""
    return Claim(f"volume:{{{uuid.uuid4().hex}}}", "a", 1, 10.0, 0.0, 100.0, 1.0, False, False, FOREVER)


async def stand(budgets: Budgets, *claims: Claim) -> list[tuple[float, float, float]]:
    """What the worker holds of each, what all hold, and what all have spent."""
    standings = []
    for standing in await budgets.claim(claims):
        assert isinstance(standing, Standing), standing
        standings.append((standing.mine, standing.leased, standing.spent))
    return standings


def test_a_worker_gets_what_it_wants_while_there_is_plenty(run: Run, claim: Claim) -> None:
    async def scenario(budgets: Budgets) -> None:
        assert await stand(budgets, claim) == [(10, 10, 0)]
        assert await stand(budgets, replace(claim, number=2, wanted=14, spent=9)) == [(14, 14, 9)]
        assert await stand(budgets, replace(claim, worker="b")) == [(10, 24, 9)]

    run(scenario)


def test_what_all_hold_never_exceeds_the_ceiling_and_of_little_everybody_gets_a_part(
    run: Run, claim: Claim
) -> None:
    async def scenario(budgets: Budgets) -> None:
        [first] = await stand(budgets, replace(claim, wanted=1000))
        assert first[0] == 25
        held = {"a": 25.0}
        for number, worker in enumerate("bcdefghijklmnopqrstuvwxyz"):
            [standing] = await stand(budgets, replace(claim, worker=worker, number=number + 2, wanted=1000))
            held[worker], leased, _ = standing
            assert leased == sum(held.values()) <= 100
        assert held["b"] == 18
        assert sum(held.values()) == 100

    run(scenario)


def test_what_is_given_back_is_there_for_others(run: Run, claim: Claim) -> None:
    async def scenario(budgets: Budgets) -> None:
        small = replace(claim, ceiling=2.0)
        assert (await stand(budgets, replace(small, wanted=2, number=1)))[0][0] == 1
        assert (await stand(budgets, replace(small, wanted=2, number=2)))[0][0] == 2
        other = replace(small, worker="b", wanted=1, starves=True)
        assert await stand(budgets, other) == [(0, 2, 0)]
        assert (await stand(budgets, replace(small, wanted=1, spent=1, number=3)))[0][1] == 1
        assert await stand(budgets, replace(other, number=2)) == [(1, 2, 1)]

    run(scenario)


def test_a_worker_that_yields_makes_do_with_what_it_has_spent_while_another_one_starves(
    run: Run, claim: Claim
) -> None:
    async def scenario(budgets: Budgets) -> None:
        idle = replace(claim, wanted=1, ceiling=1.0, yields=True)
        starving = replace(idle, worker="b", starves=True, yields=False)
        assert await stand(budgets, idle) == [(1, 1, 0)]
        assert await stand(budgets, replace(idle, number=2)) == [(1, 1, 0)]
        assert await stand(budgets, starving) == [(0, 1, 0)]
        assert await stand(budgets, replace(idle, number=3)) == [(0, 0, 0)]
        assert await stand(budgets, replace(starving, number=2)) == [(1, 1, 0)]

    run(scenario)


def test_a_claim_that_comes_twice_or_too_late_changes_nothing(run: Run, claim: Claim) -> None:
    async def scenario(budgets: Budgets) -> None:
        gives_back, later = replace(claim, number=2, wanted=3, spent=3), replace(claim, number=3, spent=4)
        await stand(budgets, claim, gives_back, later)
        expected = (10, 10, 4)
        assert await stand(budgets, later, gives_back, claim) == [expected] * 3

    run(scenario)


def test_what_was_spent_counts_though_it_was_never_leased(run: Run, claim: Claim) -> None:
    async def scenario(budgets: Budgets) -> None:
        assert await stand(budgets, replace(claim, wanted=130, spent=120)) == [(120, 120, 120)]
        assert (await stand(budgets, replace(claim, worker="b")))[0][0] == 0

    run(scenario)


def test_a_counter_that_was_lost_learns_again_what_was_spent(run: Run, claim: Claim, store_url: str) -> None:
    async def scenario(budgets: Budgets) -> None:
        await stand(budgets, claim, replace(claim, worker="b", spent=5))
        client = connect(store_url)
        await client.run([("DEL", f"arb:{claim.budget}")])
        await client.close()
        assert await stand(budgets, replace(claim, number=2, wanted=12, spent=8)) == [(12, 12, 8)]
        again = replace(claim, worker="b", number=2, spent=6)
        assert await stand(budgets, again) == [(10, 22, 14)]

    run(scenario)


def test_amounts_may_be_fractions(run: Run, claim: Claim) -> None:
    async def scenario(budgets: Budgets) -> None:
        cost = replace(claim, wanted=0.25, unit=0.05, ceiling=5.0)
        [first] = await stand(budgets, cost)
        assert first[0] == pytest.approx(0.25)
        [second] = await stand(budgets, replace(cost, number=2, wanted=0.73, spent=0.23))
        assert second[0] == pytest.approx(0.7)
        assert second[2] == pytest.approx(0.23)

    run(scenario)


def test_a_counter_is_forgotten_at_its_time(run: Run, claim: Claim, store_url: str) -> None:
    async def scenario(budgets: Budgets) -> None:
        await stand(budgets, claim)
        client = connect(store_url)
        [at] = await client.run([("EXPIRETIME", f"arb:{claim.budget}")])
        await client.close()
        assert at == FOREVER

    run(scenario)


def test_workers_at_once_share_a_budget_to_its_last_piece(run: Run, claim: Claim) -> None:
    async def work(budgets: Budgets, worker: str) -> float:
        """Spend all that can be had, in blocks of random size."""
        blocks, spent, held, number = random.Random(worker), 0.0, 0.0, 0
        while number == 0 or held > spent:
            spent, number = held, number + 1
            wanted = spent + blocks.randint(1, 9)
            last = replace(claim, worker=worker, number=number, wanted=wanted, spent=spent)
            [standing] = await stand(budgets, last)
            held = standing[0]
        return spent

    async def scenario(budgets: Budgets) -> None:
        assert sum(await asyncio.gather(*(work(budgets, worker) for worker in "abcdef"))) == 100

    run(scenario)
