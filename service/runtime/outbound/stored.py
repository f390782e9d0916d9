"""Deciding by what the store knows: as the service does, but in large batches and with time."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from feature_store.lessons import Classroom
from feature_store.offers import FIELD as OFFERS
from feature_store.offers import unpack_offers
from feature_store.store import CustomerRows, CustomerStore, StoreUnavailable, connect
from service import clock
from service.decisioning.adaptation import Learned, learned
from service.decisioning.batch import Batch
from service.decisioning.pipeline import Decisions
from service.runtime.budgets import Ledger
from service.runtime.chosen import Chosen
from service.runtime.contacts import BatchContacts
from service.runtime.decision import FEATURES_INCOMPLETE, Decision
from service.runtime.features import FeatureReader
from service.runtime.leaving import Leaving
from service.runtime.live import Live
from service.runtime.offers import binding, promising
from service.runtime.outbound.answers import NOBODY, Answers
from service.runtime.outbound.customers import Customers
from service.runtime.outbound.deciding import Accounts, batches, requests
from service.runtime.outbound.errors import OutboundError
from service.runtime.outbound.order import Means
from service.runtime.pending import Pending
from service.runtime.population import Audience
from service.runtime.requests import CheckedRequest, DecisionRequest
from service.runtime.reservations import claimed
from service.runtime.timing import StageTimer
from service.runtime.units import account_units

AWAY = "the store is away; the same command goes on from here"
PATIENCE = 30.0
"""Seconds for which the store is waited for: nobody waits for one answer."""


class ByStore:
    """Decides by features, consents, contacts and promises that the store has, with propensities that follow
    the outcomes there, within volume limits that are counted there; what has to be reserved or promised is,
    before the answer is taken.

    A store that is away ends the run: who can't be decided for by what is known is decided for later.
    """

    def __init__(self, audience: Audience, means: Means) -> None:
        snapshot = audience.snapshot
        client = connect(means.redis_url or "", timeout=PATIENCE)
        store = CustomerStore(client, snapshot.schema, customer_ttl=means.customer_ttl)
        self._audience, self._snapshot, self._live = audience, snapshot, Live(snapshot, store)
        self._reader, self._ledger = FeatureReader(retry_after=0.0), Ledger(store.budgets)
        self._leaving = Leaving(self._ledger)
        channel = snapshot.catalogue.channel_index[audience.channel]
        self._checked = CheckedRequest(channel, tuple(audience.slots.items()))
        self._classroom = Classroom(client)
        self._seen: bytes | None = None
        self._learned: Learned | None = None
        self._loop = asyncio.Runner()

    def collect(self, customers: Customers, answers: Answers) -> Accounts:
        """See `Decides`."""
        return self._loop.run(self._collect(customers, answers))

    async def _collect(self, customers: Customers, answers: Answers) -> Accounts:
        accounts: Accounts = []
        await self._ledger.adopt(self._snapshot)
        try:
            await self._learn()
            for numbers, some in batches(customers, self._audience):
                accounts += await self._batch(numbers, some, answers)
        finally:
            await self._ledger.stop()  # others may want what was not used
        return accounts

    async def _learn(self) -> None:
        """Take up what outcomes have taught by now: the same as the service."""
        adaptation = self._snapshot.adaptation
        if adaptation is None:
            return
        try:
            found = await self._classroom.learned(self._seen)
        except StoreUnavailable:
            raise OutboundError(AWAY) from None
        if found is not None:
            self._seen, cells = found
            self._learned = learned(adaptation, cells, self._snapshot.trained, clock.now())

    async def _batch(self, numbers: NDArray[np.intp], customers: Customers, answers: Answers) -> Accounts:
        if not len(customers):
            return []
        asked = [
            DecisionRequest(channel=self._audience.channel, customer_id=id_, account_id=account)
            for id_, account in zip(customers.ids, customers.accounts, strict=True)
        ]
        rows = await self._read(customers)
        contacts = None
        if self._snapshot.contact.frequencies:
            by_account = self._snapshot.contact.reads_accounts
            contacts = BatchContacts(asked, rows, by_account)
        batch = self._columns(customers, asked, rows, contacts)
        await self._ledger.provide(self._snapshot, batch)
        decisions = self._ledger.decide(
            self._snapshot, batch, np.ones(len(batch), np.bool_), StageTimer().done
        )
        degraded = [(FEATURES_INCOMPLETE,) if missing else () for missing in rows.incomplete.tolist()]
        accounts: Accounts = [None] * len(asked) if contacts is None else [*contacts.account_ids]
        if self._snapshot.offers or self._snapshot.contact.reserving:
            found = self._decisions(customers, asked, decisions, degraded, accounts)
            await self._leave(found, contacts)
            _take_each(answers, numbers, found)
        else:
            answers.add(decisions, numbers, degraded)
        return accounts

    async def _read(self, customers: Customers) -> CustomerRows:
        """What the store knows of them."""
        accounts = customers.accounts if self._snapshot.contact.reads_accounts else None
        read = self._reader.start(self._live.store, customers.ids, self._live.also, accounts)
        rows = None if read is None else await read
        if rows is None or rows.unread.any():
            raise OutboundError(AWAY)
        return rows

    def _columns(
        self,
        customers: Customers,
        asked: Sequence[DecisionRequest],
        rows: CustomerRows,
        contacts: BatchContacts | None,
    ) -> Batch:
        """Requests with everything that is known; the table has the context."""
        snapshot, promises = self._snapshot, None
        np.copyto(customers.X, rows.X, where=np.isnan(customers.X))
        if snapshot.offers:
            kept = [unpack_offers(offers, self._audience.now) for offers in rows.also[OFFERS]]
            promises = binding(snapshot, kept, self._audience.now)
        batch, knows = requests(customers, self._audience), self._learned
        return replace(
            batch,
            consents=self._live.consents.decode(list(rows.consents)),
            promises=promises,
            touches=contacts.of_customers() if contacts else None,
            account_touches=contacts.of_accounts() if contacts and contacts.by_account else None,
            account_units=None if batch.account_units is None else account_units(asked, rows),
            corrections=None if knows is None else knows.for_batch(batch.channel, batch.scored),
            known=None if knows is None else knows.known.take(batch.channel, axis=0),
        )

    def _decisions(
        self,
        customers: Customers,
        asked: Sequence[DecisionRequest],
        decisions: Decisions,
        degraded: Sequence[tuple[str, ...]],
        accounts: Accounts,
    ) -> list[Decision]:
        """Each answer by itself: what promises or reserves may have to be decided again."""
        experiments, assigned = self._snapshot.experiments, decisions.assigned
        chosen = Chosen(decisions)
        return [
            Decision(
                decision_id=customers.decisions[row],
                request=request,
                checked=self._checked,
                snapshot=self._snapshot,
                chosen=chosen,
                row=row,
                known=True,
                degraded=degraded[row],
                decided_at=self._audience.now,
                features_seconds=0.0,
                scoring_seconds=0.0,
                total_seconds=0.0,
                account_id=accounts[row],
                experiments=experiments.arms(assigned, row),
            )
            for row, request in enumerate(asked)
        ]

    async def _leave(self, answers: list[Decision], contacts: BatchContacts | None) -> None:
        """Reserve and promise; `answers` has then what holds."""
        now, loop = time.perf_counter(), asyncio.get_running_loop()
        until = now + PATIENCE
        due = [Pending(a.request, now, until, until, until, loop.create_future()) for a in answers]
        claims = {}
        if contacts is not None and self._snapshot.contact.reserving:
            claims = claimed(answers, contacts, [until] * len(answers))
        if claims or promising(answers):
            await self._leaving.leave(self._live.store, due, answers, claims)


def _take_each(answers: Answers, numbers: NDArray[np.intp], found: Sequence[Decision]) -> None:
    """Take in decisions from the batches that they come from in the end."""
    places: dict[int, list[int]] = {}
    for place, decision in enumerate(found):
        places.setdefault(id(decision.decisions), []).append(place)
    for together in places.values():
        decisions = found[together[0]].decisions
        customers = np.full(len(decisions.batch), NOBODY)
        degraded: list[tuple[str, ...]] = [()] * len(decisions.batch)
        for place in together:
            customers[found[place].row] = numbers[place]
            degraded[found[place].row] = found[place].degraded
        answers.add(decisions, customers, degraded)
