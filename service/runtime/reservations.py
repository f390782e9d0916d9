"""Reserving contacts: an offer under a cap with `reserve` counts before its answer leaves.

Reservations are optimistic. An answer is decided by the history that was read; if that has changed by the
time at which it is reserved, it is decided again by the new one. What can't be reserved in time is not
offered.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import structlog
from numpy.typing import NDArray

from feature_store.contacts import RESERVATION, Booking, Kept, reservation_id
from feature_store.contacts import Contacts as ContactStore
from feature_store.history import RECORD, pack
from feature_store.store import StoreUnavailable
from service import clock
from service.decisioning.batch import Batch
from service.decisioning.contact import without_reserving
from service.decisioning.frequency import Frequency
from service.decisioning.pipeline import Decisions
from service.decisioning.snapshot import Snapshot
from service.observability.metrics import STORE_ERRORS
from service.runtime.chosen import Chosen
from service.runtime.contacts import BatchContacts, Contacts, touches_of

if TYPE_CHECKING:
    from service.runtime.decision import Decision

log = structlog.get_logger()

CONTACT_RESERVATION = "contact:reservation"
WARN_EVERY = 10.0
"""Seconds between two warnings of contacts that can't be reserved."""

DecideAgain = Callable[[Snapshot, Decisions, Sequence[int], Batch], Decisions]
"""Decides for some rows of a batch once more, as another batch."""

Wanted = tuple[Frequency, int]
"""A policy, and the number of the chosen action in the slate."""

Told = Kept | StoreUnavailable | None


@dataclass(slots=True)
class Claim:
    """An answer that needs reservations, by what is known of the contacts it is for; `until` is of
    `time.perf_counter`."""

    answer: "Decision"
    contacts: Contacts
    until: float

    @property
    def batch(self) -> Batch:
        """The one that it was decided in."""
        return self.answer.decisions.batch


class Reserver:
    """Reserves for whole batches in one round trip."""

    def __init__(self, again: DecideAgain) -> None:
        self._again = again
        self._open: set[asyncio.Task[list[list[Told]]]] = set()
        self._warned_at = -WARN_EVERY

    async def settle(
        self, store: ContactStore, claims: dict[int, Claim]
    ) -> AsyncIterator[dict[int, "Decision"]]:
        """The answers as they may leave, by the keys of their claims, as soon as some are settled.

        Of those for the same customer one gets through in each round; the others are decided again.
        """
        while claims:
            bookings = {key: list(_bookings(claim)) for key, claim in claims.items()}
            task = asyncio.get_running_loop().create_task(self._reserve(store, list(bookings.values())))
            self._open.add(task)  # it goes on for whoever could not wait
            task.add_done_callback(self._open.discard)
            while claims and not task.done():
                patience = min(claim.until for claim in claims.values()) - time.perf_counter()
                await asyncio.wait({task}, timeout=max(patience, 0.0))
                if not task.done():
                    now = time.perf_counter()
                    late = [key for key, claim in claims.items() if claim.until <= now]
                    yield self._dropped({key: claims.pop(key) for key in late})
            if claims:
                told = dict(zip(bookings, task.result(), strict=True))
                yield await self._heard(store, claims, bookings, told)

    async def _reserve(self, store: ContactStore, bookings: list[list[Booking]]) -> list[list[Told]]:
        """What the store says to each booking of each claim."""
        flat = [booking for found in bookings for booking in found]
        told: Sequence[Told]
        try:
            told = await store.reserve(flat, clock.now())
        except StoreUnavailable as error:
            told = [error] * len(flat)
        failures = [one for one in told if isinstance(one, StoreUnavailable)]
        if failures:
            STORE_ERRORS.labels("reserve").inc(len(failures))
            self._warn(str(failures[0]))
        each = iter(told)
        return [[next(each) for _ in found] for found in bookings]

    async def _heard(
        self,
        store: ContactStore,
        claims: dict[int, Claim],
        bookings: dict[int, list[Booking]],
        told: dict[int, list[Told]],
    ) -> dict[int, "Decision"]:
        """Settle (taking them from `claims`) those that are reserved, or that need nothing any more by what
        is known now; the others stay, decided again."""
        settled = {key: claims.pop(key).answer for key in list(claims) if not any(told[key])}
        made = [
            booking
            for key in claims
            for booking, one in zip(bookings[key], told[key], strict=True)
            if one is None
        ]
        taken_back = await self._release(store, made)
        lost = {}
        for key in list(claims):
            news = [
                taken_back[booking.key] if one is None else one
                for booking, one in zip(bookings[key], told[key], strict=True)
            ]
            if any(isinstance(one, StoreUnavailable) for one in news):
                lost[key] = claims.pop(key)
                continue
            for booking, one in zip(bookings[key], news, strict=True):
                if isinstance(one, Kept):
                    _learn(claims[key].contacts, booking.key, one)
        self._decide(claims.values(), closed=False)
        settled |= {key: claims.pop(key).answer for key in list(claims) if not any(_bookings(claims[key]))}
        return settled | self._dropped(lost)

    async def _release(self, store: ContactStore, bookings: Sequence[Booking]) -> dict[bytes, Told]:
        """Take back what was reserved of answers that could not reserve all; what is kept then, by key."""
        if not bookings:
            return {}
        ids = [(booking.key, _ids(booking)) for booking in bookings]
        told: Sequence[Told]
        try:
            told = await store.release(ids)
        except StoreUnavailable as error:  # it is free again after its time
            told = [error] * len(ids)
        return {booking.key: one for booking, one in zip(bookings, told, strict=True)}

    def _dropped(self, claims: dict[int, Claim]) -> dict[int, "Decision"]:
        """The answers without what they could not reserve."""
        self._decide(claims.values(), closed=True)
        return {
            key: claim.answer.but(degraded=(*claim.answer.degraded, CONTACT_RESERVATION))
            for key, claim in claims.items()
        }

    def _decide(self, claims: Iterable[Claim], *, closed: bool) -> None:
        """Decide again by what is known now; `closed`: without what would have to be reserved."""
        together: dict[int, list[Claim]] = {}
        for claim in claims:
            together.setdefault(id(claim.answer.decisions), []).append(claim)
        for found in together.values():
            answer = found[0].answer
            rows = [claim.answer.row for claim in found]
            batch = answer.decisions.batch.take(np.array(rows, np.intp))
            accounts = answer.snapshot.contact.reads_accounts
            batch = replace(
                batch,
                touches=touches_of([claim.contacts.customer for claim in found]),
                account_touches=touches_of([c.contacts.account for c in found]) if accounts else None,
            )
            if closed:
                batch = without_reserving(batch)
            chosen = Chosen(self._again(answer.snapshot, answer.decisions, rows, batch))
            for row, claim in enumerate(found):
                claim.answer = claim.answer.but(chosen=chosen, row=row)

    def _warn(self, reason: str) -> None:
        """Log what could not be reserved, now and then: it may be so for every batch."""
        if time.monotonic() - self._warned_at >= WARN_EVERY:
            self._warned_at = time.monotonic()
            log.warning("store_unavailable", operation="reserve", reason=reason)


def to_reserve(answer: "Decision") -> Iterator[Wanted]:
    """What an answer offers that counts from now on."""
    row = answer.row
    first, last = answer.decisions.slate.row.searchsorted([row, row + 1]).tolist()
    for policy, counts in _counting(answer, slice(first, last)):
        for pick in np.flatnonzero(counts).tolist():
            yield policy, first + pick


def _counting(answer: "Decision", picks: slice) -> Iterator[tuple[Frequency, NDArray[np.bool_]]]:
    """By policy, which of some picks of an answer's batch count from now on."""
    slate, batch = answer.decisions.slate, answer.decisions.batch
    channel = batch.channel[slate.row[picks]]
    for policy in answer.snapshot.contact.reserving:
        keys = policy.counting.keys
        if policy.counting.of_treatments:
            yield policy, keys[slate.treatment[picks]] >= 0
        else:
            yield policy, keys[channel, slate.action[picks]] >= 0


def claimed(
    answers: Sequence["Decision"], contacts: BatchContacts, untils: Sequence[float]
) -> dict[int, Claim]:
    """The claims of those answers of a batch, all of its rows, that need reservations, by their rows."""
    slate = answers[0].decisions.slate
    counting = np.zeros(len(slate.row), np.bool_)
    for _, counts in _counting(answers[0], slice(None)):
        counting |= counts
    claims = {}
    for row in dict.fromkeys(slate.row[counting].tolist()):
        if not answers[row].request.dry_run:
            claim = Claim(answers[row], contacts[row], untils[row])
            if any(_bookings(claim)):
                claims[row] = claim
    return claims


def _bookings(claim: Claim) -> Iterator[Booking]:
    """What an answer has to reserve, by key. Where a history could not be read nothing can be reserved: there
    the policy has said what holds without."""
    contacts = claim.contacts
    wanted: dict[bytes, tuple[Kept, list[Wanted]]] = {}
    for policy, pick in to_reserve(claim.answer):
        key = contacts.account_key if policy.by_account else contacts.customer_key
        kept = contacts.account if policy.by_account else contacts.customer
        if kept is not None:
            wanted.setdefault(key, (kept, []))[1].append((policy, pick))
    for key, (kept, found) in wanted.items():
        entries = np.array([_reservation(claim.answer, *one) for one in found], RESERVATION)
        seconds = max(policy.reserve for policy, _ in found)
        yield Booking(key, kept.revision, entries.tobytes(), seconds)


def _reservation(answer: "Decision", policy: Frequency, pick: int) -> tuple[np.void, float, np.void]:
    catalogue, slate = answer.snapshot.catalogue, answer.decisions.slate
    action = catalogue.actions[int(slate.action[pick])]
    placement = catalogue.slots[int(slate.slot[pick])].placement.id
    record = pack(
        answer.decided_at,
        None,
        policy.reservation,
        answer.request.channel,
        action.issue,
        action.group,
        action.name,
        catalogue.treatments[int(slate.treatment[pick])].name,
    )
    id_ = reservation_id(answer.decision_id, placement, action.name, policy.name)
    return np.void(id_), answer.decided_at + policy.reserve, np.frombuffer(record, RECORD)[0]


def _ids(booking: Booking) -> bytes:
    return bytes(np.frombuffer(booking.reservations, RESERVATION)["id"].tobytes())


def _learn(contacts: Contacts, key: bytes, kept: Kept) -> None:
    if key == contacts.account_key and contacts.account is not None:
        contacts.account = kept
    if key == contacts.customer_key:
        contacts.customer = kept
