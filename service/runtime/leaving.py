"""How answers leave: contacts are reserved first, then offers are kept, and nobody waits for another's."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from feature_store.store import CustomerStore
from service.decisioning.batch import Batch
from service.decisioning.pipeline import Decisions
from service.decisioning.snapshot import Snapshot
from service.runtime.budgets import Ledger
from service.runtime.decision import Decision
from service.runtime.offers import OFFERS_UNAVAILABLE, OfferKeeper, promising
from service.runtime.pending import Pending
from service.runtime.reservations import Claim, Reserver
from service.runtime.timing import StageTimer

MAX_SECONDS = 0.010
"""Of a deadline are kept for writing, at most: a store that is slower than that is slow to read from, too."""


class Leaving:
    """The last steps of answers that promise something or need a contact to be reserved.

    `seconds` is how long that has taken lately: reading has to be done so much earlier.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.seconds = 0.0
        self._ledger = ledger
        self._offers = OfferKeeper(self._again)
        self._reserver = Reserver(self._again)

    async def leave(
        self, store: CustomerStore, due: Sequence[Pending], answers: list[Decision], claims: dict[int, Claim]
    ) -> None:
        """Answer every request; those with claims as soon as these are settled. `answers` has then what was
        answered."""
        started = time.perf_counter()
        if claims:
            await self._settle(store, due, answers, claims)
        elif not await self._tell(store, due, answers):
            return
        self.seconds += 0.1 * (min(time.perf_counter() - started, MAX_SECONDS) - self.seconds)

    async def _settle(
        self, store: CustomerStore, due: Sequence[Pending], answers: list[Decision], claims: dict[int, Claim]
    ) -> None:
        """Answer those with claims as soon as these are settled, and the others meanwhile."""

        async def part(settled: Mapping[int, Decision]) -> None:
            told = list(settled.values())
            await self._tell(store, [due[position] for position in settled], told)
            for position, answer in zip(settled, told, strict=True):
                answers[position] = answer

        free = {position: answer for position, answer in enumerate(answers) if position not in claims}
        leaving = [asyncio.create_task(part(free))] if free else []
        async for settled in self._reserver.settle(store.contacts, claims):
            now = time.perf_counter()
            timed = {p: a.but(total_seconds=now - due[p].arrived) for p, a in settled.items()}
            if timed:
                leaving.append(asyncio.create_task(part(timed)))
        await asyncio.gather(*leaving)

    def _again(
        self, snapshot: Snapshot, decisions: Decisions, rows: Sequence[int], batch: Batch
    ) -> Decisions:
        """Decide for some rows once more, as the batch that they are now."""
        again = np.zeros(len(decisions.batch), np.bool_)
        again[rows] = True
        self._ledger.unbook(snapshot, decisions, again)
        batch = replace(batch, budgets=None, volume_used=None, explores=None)
        return self._ledger.decide(snapshot, batch, np.ones(len(batch), np.bool_), StageTimer().done)

    async def _tell(self, store: CustomerStore, due: Sequence[Pending], answers: list[Decision]) -> bool:
        """Answer every request; those that are promised something new, when that is kept, or else when it
        could not be in time. `answers` has then what was answered. Returns whether anything was promised."""
        held = [
            position
            for position in promising(answers)
            if not (answers[position].request.dry_run or OFFERS_UNAVAILABLE in answers[position].degraded)
        ]
        kept_back = frozenset(held)
        for position, answer in enumerate(answers):
            if position not in kept_back:
                due[position].tell(answer)

        def tell(position: int, answer: Decision) -> None:
            row = held[position]
            seconds = time.perf_counter() - due[row].arrived
            answers[row] = answer.but(total_seconds=seconds)
            due[row].tell(answers[row])

        if held:
            await self._offers.keep(
                store, [answers[row] for row in held], [due[row].written_until for row in held], tell
            )
        return bool(held)
