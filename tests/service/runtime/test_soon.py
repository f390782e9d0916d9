"""Work for many at once, and never later than it may be."""

import asyncio

from service.runtime.soon import Soon


def test_so_many_are_worked_for_at_once_and_a_few_within_a_time() -> None:
    async def scenario() -> None:
        done: list[str] = []
        soon = Soon(lambda: done.append("some"), at_once=4, within=0.01)
        soon.add(3)
        assert done == []
        soon.add()
        assert done == ["some"]
        soon.add(1)
        await asyncio.sleep(0.1)
        assert done == ["some"] * 2
        await asyncio.sleep(0.05)
        assert done == ["some"] * 2, "nothing waits"

    asyncio.run(scenario())


def test_what_waits_can_be_done_now_and_is_not_done_again() -> None:
    async def scenario() -> None:
        done: list[str] = []
        soon = Soon(lambda: done.append("some"), at_once=4, within=0.01)
        soon.now()
        assert done == []
        soon.add(2)
        soon.now()
        await asyncio.sleep(0.05)
        assert done == ["some"]

    asyncio.run(scenario())
