"""The single view of a customer, in the terms of the catalogue."""

import asyncio
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from feature_store.consents import DENIED, GRANTED, UNKNOWN, Consent
from feature_store.documents import did_you_mean
from feature_store.feature import iso_timestamp
from feature_store.history import name_hash
from feature_store.offers import KeptOffer
from feature_store.schema import FieldError, Source
from feature_store.store import Customer, CustomerStore, StoreUnavailable
from service import clock
from service.decisioning.catalogue import Catalogue
from service.decisioning.consent import STATES
from service.decisioning.snapshot import Snapshot
from service.observability.metrics import STORE_ERRORS

NAMED = ("outcome", "channel", "issue", "group", "action", "treatment")
"""What a record of the contact history keeps as hashes of names."""

CONSENT_STATES = {"granted": GRANTED, "denied": DENIED, None: UNKNOWN}


class Customers:
    """Reads, writes and erases single customers."""

    def __init__(self, store: CustomerStore, snapshot: Snapshot, outcomes: Iterable[str]) -> None:
        self._store, self._snapshot = store, snapshot
        self._purposes = tuple(purpose.name for purpose in snapshot.purposes)
        self._channels = tuple(channel.name for channel in snapshot.catalogue.channels)
        self._names = _names_by_hash(snapshot.catalogue, [*outcomes, *self._purposes])

    async def get(self, customer_id: str) -> dict[str, Any] | None:
        """Everything that is known, JSON-ready; None for a customer of whom nothing is."""
        try:
            customer, rows = await asyncio.gather(
                self._store.get(customer_id), self._store.read([customer_id], clock.now())
            )
        except StoreUnavailable:
            STORE_ERRORS.labels("get").inc()
            raise
        if customer is None:
            return None
        return {
            "account_id": customer.account_id,
            "profile": customer.profile,
            "behaviour": customer.behaviour,
            "derived": self._derived(rows.X),
            "updated_at": None if customer.updated_at is None else iso_timestamp(customer.updated_at),
            "consents": self._consents(customer),
            "offers": [_offer(offer) for offer in customer.offers if offer.valid_until > clock.now()],
            "history": [self._touch(record) for record in customer.history],
        }

    async def put(self, customer_id: str, profile: Mapping[str, object], account_id: str | None) -> None:
        """Write a part of a profile, all or nothing. An account of None stays, an empty one is removed.

        Raises:
            InvalidFeatures: with every value that does not fit.
        """
        try:
            await self._store.put(customer_id, profile, account_id=account_id, now=clock.now())
        except StoreUnavailable:
            STORE_ERRORS.labels("put").inc()
            raise

    async def put_consents(
        self, customer_id: str, consents: Mapping[str, Mapping[str, str | None]]
    ) -> list[FieldError]:
        """Set consents by purpose and channel, all or none: `granted`, `denied`, or None to take back what
        was said. Returns what is wrong with them."""
        errors = [
            error
            for purpose, channels in consents.items()
            for error in self._unknown_names(purpose, channels)
        ]
        if errors:
            return errors
        said = [
            Consent(purpose, channel, CONSENT_STATES[state])
            for purpose, channels in consents.items()
            for channel, state in channels.items()
        ]
        try:
            await self._store.set_consents(customer_id, said, now=clock.now())
        except StoreUnavailable:
            STORE_ERRORS.labels("put_consents").inc()
            raise
        return []

    def _derived(self, X: NDArray[np.float64]) -> dict[str, object]:
        """Scores and segments of one row of X as they are now, without a context."""
        schema = self._snapshot.schema
        np.copyto(X, schema.defaults, where=np.isnan(X))
        self._snapshot.derived.fill(X, np.array([clock.now()]))
        return schema.decode(X[0], Source.DERIVED)

    def _unknown_names(self, purpose: str, channels: Iterable[str]) -> Iterator[FieldError]:
        if purpose not in self._purposes:
            hint = did_you_mean(purpose, self._purposes)
            yield FieldError(purpose, f"is not a purpose of policies.yaml{hint}")
        for channel in channels:
            if channel not in self._channels:
                hint = did_you_mean(channel, self._channels)
                yield FieldError(f"{purpose}.{channel}", f"is not a channel of the catalogue{hint}")

    def _consents(self, customer: Customer) -> dict[str, dict[str, Any]]:
        """Consents by purpose and channel, each with the time at which it was stored."""
        shown: dict[str, dict[str, Any]] = {}
        for purpose, channel, state, at in customer.consents:
            entry = {"state": STATES[state], "at": iso_timestamp(at)}
            shown.setdefault(self._name(purpose), {})[self._name(channel)] = entry
        return shown

    async def delete(self, customer_id: str) -> bool:
        """Erase a customer; whether there was one."""
        try:
            return await self._store.delete(customer_id, now=clock.now())
        except StoreUnavailable:
            STORE_ERRORS.labels("delete").inc()
            raise

    def _touch(self, record: np.void) -> dict[str, Any]:
        """A record of the contact history with names for its hashes; a name no longer in use stays a hash."""
        value = float(record["value"])
        return {
            "occurred_at": iso_timestamp(float(record["time"])),
            "value": None if math.isnan(value) else value,
            **{field: self._name(int(record[field])) for field in NAMED},
        }

    def _name(self, hashed: int) -> str:
        return self._names.get(hashed, f"#{hashed:08x}")


def _offer(offer: KeptOffer) -> dict[str, Any]:
    """An offer that still holds in every channel, and where it was made."""
    return {
        "action": offer.action,
        "name": offer.name,
        "terms": msgspec.json.decode(offer.terms),
        "valid_until": iso_timestamp(offer.valid_until),
        "made_at": iso_timestamp(offer.made_at),
        "channel": offer.channel,
        "decision_id": offer.decision_id,
    }


def _names_by_hash(catalogue: Catalogue, outcomes: Iterable[str]) -> dict[int, str]:
    names = {channel.name for channel in catalogue.channels} | set(outcomes)
    for action in catalogue.actions:
        names |= {action.issue, action.group, action.name}
    names |= {treatment.name for treatment in catalogue.treatments}
    return {name_hash(name): name for name in names}
