"""The customer store: one hash per customer, under one key.

The key is `arb:{customer_id}`, braces included, which makes the id the hash tag in a cluster. Fields: `p` the
profile vector, `b` the behaviour vector, `a` the account, `c` the consents, `h` the contact history, `r`
reservations, `n` how often these two were changed, `s` the ids of outcomes already counted, `o` the offers
that were made, `e` what events add up to and `m` their ids, `v` the visitors that the customer was, and `k`
the mergers with them; `x` marks the offers that were learned from. A visitor has `l`, whom they have become,
and `g`, a merger that is not ended. An account has `h`, `r`, `n` and `s` under `arb:account:{account_id}`.
Definitions of vectors stand under `arb:schema:<fingerprint>`, the logs of outcomes and events in the streams
`arb:outcomes` and `arb:events`, `arb:erasures` has who is to go out of the log's files, and `arb:reload`
names the last change of a workspace. `arb:lessons` and `arb:learned` are what outcomes teach, see `lessons`.
"""

import asyncio
import json
import random
import struct
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_store import aggregates, history
from feature_store.aggregates import Aggregates
from feature_store.budgets import Budgets
from feature_store.client import Client, Command, StoreUnavailable, all_good, connect
from feature_store.codec import Codec
from feature_store.consents import KEY_BYTES, Consent, unpack
from feature_store.consents import RECORD as CONSENT_RECORD
from feature_store.contacts import Contacts, reservation_id
from feature_store.customer import Customer, CustomerRows, Floats, InvalidFeatures
from feature_store.erasures import erasure_command
from feature_store.event import Event
from feature_store.events import IDS, Events
from feature_store.keys import account_key, customer_key, customer_keys
from feature_store.lessons import Classroom, Lessons, Report
from feature_store.offers import FIELD as OFFERS
from feature_store.offers import KeptOffer, pack_offers, unpack_offers
from feature_store.outcomes import OUTCOME_ID_BYTES, OUTCOME_LOG, Outcome, pack_outcomes
from feature_store.schema import STORED, FeatureSchema, Source
from feature_store.scripts import KEEP_OFFERS, MOVE_SEGMENTS, PUT, RECORD_OUTCOME, SET_CONSENTS
from feature_store.segments import LOG_FIELD, LOG_LENGTH, MOVEMENT_LOG, Change, Movement, pack_movements
from feature_store.vectors import Vectors, schema_key

__all__ = [
    "Customer",
    "CustomerRows",
    "CustomerStore",
    "InvalidFeatures",
    "Outcome",
    "StoreUnavailable",
    "announced",
    "connect",
]

RELOAD = "arb:reload"

NOTHING_FORESEEN: Mapping[int, Sequence[Event]] = {}

_BULK_ROWS = 1_000
_BULK_TIMEOUT = 30.0
_PUT_ATTEMPTS = 100
_LAST_U4 = 2**32 - 1


class CustomerStore:
    """Customers' features, accounts and contact history in a Redis or Valkey server, or a cluster.

    Every method raises `StoreUnavailable` when the store is away, too slow, or refuses.
    """

    def __init__(
        self,
        client: Client,
        schema: FeatureSchema,
        *,
        customer_ttl: int | None = None,
        outcome_log_length: int = 1_000_000,
        event_log_length: int = 100_000,
    ) -> None:
        """`customer_ttl` is how many seconds after their last write a customer is forgotten; None is never.

        `outcome_log_length` and `event_log_length` are about how many entries these logs keep.
        """
        self.schema = schema
        self._client = client
        self._codecs = {source: Codec(schema, source) for source in STORED}
        self._ttl = customer_ttl or 0
        self._log_length, self._event_log_length = outcome_log_length, event_log_length
        self.aggregates = Aggregates(schema)
        self.events = Events(client, self.aggregates, ttl=self._ttl, log_length=event_log_length)
        self._vectors = Vectors(client, schema, self._codecs)
        self._registered = False

    @property
    def client(self) -> Client:
        """The connections to the store, for what else is kept there."""
        return self._client

    def of_schema(self, schema: FeatureSchema) -> "CustomerStore":
        """The same store as another schema sees it, over the same connections."""
        return CustomerStore(
            self._client,
            schema,
            customer_ttl=self._ttl,
            outcome_log_length=self._log_length,
            event_log_length=self._event_log_length,
        )

    @property
    def budgets(self) -> Budgets:
        """The budgets that workers share, over the same connections."""
        return Budgets(self._client)

    @property
    def classroom(self) -> Classroom:
        """What outcomes teach, over the same connections."""
        return Classroom(self._client)

    async def announce(self, version: str) -> None:
        """Leave word for all who share the store that there is something new to load."""
        await self._run([("SET", RELOAD, version)])

    async def announced(self) -> str | None:
        """The word that was left last."""
        return await announced(self._client)

    async def close(self) -> None:
        """Close the connections to the store."""
        await self._client.close()

    async def register_schema(self) -> None:
        """Leave the definitions of this schema's vectors for those who will read them after a change.

        The first write does it, too, if it has not been done.
        """
        if not self._registered:
            definitions = {codec.fingerprint: json.dumps(codec.definition) for codec in self._codecs.values()}
            await self._run([("SET", schema_key(name), text) for name, text in definitions.items()])
            self._registered = True

    @property
    def contacts(self) -> Contacts:
        """The contact histories, over the same connections."""
        return Contacts(self._client)

    async def read(
        self,
        customer_ids: Sequence[str],
        now: float,
        also: Sequence[bytes] = (),
        foreseen: Mapping[int, Sequence[Event]] = NOTHING_FORESEEN,
    ) -> CustomerRows:
        """The stored features of a batch of customers, in one round trip, as of `now` in epoch seconds; and
        the fields of their hashes that are named in `also`, as they are. `foreseen` has by customer events
        that are to be seen though they are not stored."""
        if not customer_ids:
            nobody = np.empty(0, bool)
            return CustomerRows(np.empty((0, self.schema.width)), nobody, np.empty(0), nobody)
        counted = (aggregates.FIELD, *((IDS,) if foreseen else ())) if self.aggregates else ()
        fields = (b"p", b"b", b"c", *also, *counted)
        replies = await self._client.read(customer_keys(customer_ids), fields)
        unread, faults = _unread(replies)
        if len(faults) == len(replies):
            raise StoreUnavailable(faults[0])
        if faults:
            nothing = [None] * len(fields)
            replies = [nothing if gone else reply for gone, reply in zip(unread, replies, strict=True)]
        profiles, behaviours, consents, *more = map(list, zip(*replies, strict=True))
        found = await self._vectors.rows((profiles, behaviours), now)
        if self.aggregates:
            states, *ids = more[len(also) :]
            if ids:
                states = self.events.foreseen(states, ids[0], foreseen)
            found.X[:, self.aggregates.columns] = self.aggregates.values(states, now)
            found.X[np.ix_(unread, self.aggregates.columns)] = np.nan
        known = ~np.isnan(found.assembled_at)
        incomplete = unread
        if found.unreadable:
            known[found.unreadable] = True
            incomplete = unread.copy()
            incomplete[found.unreadable] = True
        return CustomerRows(
            X=found.X,
            known=known,
            assembled_at=found.assembled_at,
            incomplete=incomplete,
            faults=(*faults, *found.faults),
            consents=tuple(consents),
            also=dict(zip(also, more, strict=False)),
            unread=unread,
        )

    async def get(self, customer_id: str, now: float | None = None) -> Customer | None:
        """All that is stored of one customer, or None; what their events add up to as of `now`: the present,
        if left out."""
        [fields] = await self._run(
            [("HMGET", customer_key(customer_id), b"p", b"b", b"h", b"a", b"c", OFFERS, aggregates.FIELD)]
        )
        if all(field is None for field in fields):
            return None
        profile, behaviour, touches, account, consents, offers, counted = fields
        found = await self._vectors.rows(([profile], [behaviour]), -np.inf)
        if counted is not None:
            moment = time.time() if now is None else now
            found.X[:, self.aggregates.columns] = self.aggregates.values([counted], moment)
        updated_at = float(found.assembled_at[0])
        return Customer(
            customer_id=customer_id,
            account_id=account.decode() if account else None,
            profile=self.schema.decode(found.X[0], Source.PROFILE),
            behaviour=self.schema.decode(found.X[0], Source.BEHAVIOUR),
            updated_at=None if np.isnan(updated_at) else updated_at,
            history=history.unpack([touches])[0],
            consents=tuple(unpack(consents)),
            offers=tuple(unpack_offers(offers)),
        )

    async def put(
        self, customer_id: str, profile: Mapping[str, object], account_id: str | None = None, *, now: float
    ) -> None:
        """Set some features of a customer's profile and leave the others as they are; None makes one missing.

        An `account_id` of None leaves the account as it is, an empty one removes it.

        Raises:
            InvalidFeatures: a value doesn't fit, or a name is no profile feature; nothing is changed then.
        """
        probe = np.full(self.schema.width, np.nan)
        errors = self.schema.encode(profile, probe, (Source.PROFILE,))
        if errors:
            raise InvalidFeatures(errors)
        await self.register_schema()
        for attempt in range(_PUT_ATTEMPTS):
            [(stored,)] = await self._run([("HMGET", customer_key(customer_id), b"p")])
            vector = await self._updated(stored, profile, now)
            account = (int(account_id is not None), account_id or "")
            if (
                await self._run(
                    [_script(PUT, customer_key(customer_id), self._ttl, stored or b"", vector, *account)]
                )
            )[0]:
                return
            await asyncio.sleep(random.random() * 0.001 * (attempt + 1))
        raise StoreUnavailable(f"the customer was changed by others {_PUT_ATTEMPTS} times in a row")

    async def _updated(self, stored: bytes | None, profile: Mapping[str, object], now: float) -> bytes:
        """The stored vector with some features set; the others keep their values and their age."""
        codec = self._codecs[Source.PROFILE]
        X = np.full((1, self.schema.width), np.nan)
        updated = np.full(len(codec.timed), int(now), np.uint32)
        if stored is not None:
            found = await self._vectors.read(codec, stored)
            if found is not None:
                X[0], updated = found[0], found[1].copy()
        self.schema.encode(profile, X[0], (Source.PROFILE,))
        updated[[feature.name in profile for feature in codec.timed]] = int(now)
        return codec.encode(X, now, updated)[0]

    async def write(
        self,
        customer_ids: Sequence[str],
        X: Floats,
        account_ids: Sequence[str | None] | None,
        now: float,
        sources: Collection[Source] = STORED,
    ) -> None:
        """Replace the features of `sources` of many customers by the rows of X, shape (n, schema.width).

        An account of None removes it; no `account_ids` at all leaves them as they are.
        """
        await self.register_schema()
        codecs = [codec for source, codec in self._codecs.items() if source in sources and codec.features]
        renew: Command = ("EXPIRE", self._ttl) if self._ttl else ("PERSIST",)
        for start in range(0, len(customer_ids), _BULK_ROWS):
            rows = slice(start, start + _BULK_ROWS)
            parts: list[Sequence[Any]] = []
            for codec in codecs:
                parts += [[_FIELDS[codec.source]] * len(X[rows]), codec.encode(X[rows], now)]
            if account_ids is not None:
                parts += [[b"a"] * len(X[rows]), [account or "" for account in account_ids[rows]]]
            keys = [customer_key(customer_id) for customer_id in customer_ids[rows]]
            commands: list[Command] = [("HSET", *words) for words in zip(keys, *parts, strict=True)]
            commands += [(renew[0], key, *renew[1:]) for key in keys]
            all_good(await self._client.run_at_once(commands, _BULK_TIMEOUT))

    async def set_consents(self, customer_id: str, consents: Sequence[Consent], *, now: float) -> None:
        """Set some consents of a customer, all or none, and leave the others as they are."""
        records = b"".join(consent.record(now) for consent in consents)
        await self._run(
            [
                _script(
                    SET_CONSENTS,
                    customer_key(customer_id),
                    self._ttl,
                    CONSENT_RECORD.itemsize,
                    KEY_BYTES,
                    records,
                )
            ]
        )

    async def delete(self, customer_id: str, *, now: float) -> bool:
        """Forget all of a customer, and of the visitors that they were; whether there was something here.
        What lies in the log's files goes with their next upkeep."""
        visitors = await self.events.visitors.of(customer_id)
        await self._run([erasure_command(id_, now) for id_ in (customer_id, *visitors)])
        await self.events.visitors.forget(visitors)
        return bool((await self._run([("DEL", customer_key(customer_id))]))[0])

    async def record_outcomes(
        self,
        outcomes: Sequence[Outcome],
        now: float,
        redeems: Mapping[str, Collection[str]] | None = None,
        lessons: Sequence[Report] = (),
    ) -> list[bool]:
        """Log outcomes and add each to the contact history of its customer, and of its account if it names
        one, in one round trip. `redeems` has by outcome the policies whose reservations it stands in for,
        and `lessons` what outcomes teach.

        Returns for each whether it was new; a duplicate is not counted again. When this fails, call it
        again with the same outcomes: the history counts each once, and the log, whose readers drop what
        they have seen by `outcome_id`, holds each at least once.
        """
        if not outcomes:
            return []
        if any(len(outcome.outcome_id) != OUTCOME_ID_BYTES for outcome in outcomes):
            raise ValueError(f"an outcome_id must have {OUTCOME_ID_BYTES} bytes")
        log: Command = (
            "XADD",
            OUTCOME_LOG,
            "MAXLEN",
            "~",
            self._log_length,
            "*",
            "outcomes",
            pack_outcomes(outcomes),
        )
        redeemed = [_redeemed(outcome, redeems or {}) for outcome in outcomes]
        customers = [
            self._record(customer_key(outcome.customer_id), outcome, now, ids)
            for outcome, ids in zip(outcomes, redeemed, strict=True)
        ]
        accounts = [
            self._record(account_key(outcome.account_id), outcome, now, ids)
            for outcome, ids in zip(outcomes, redeemed, strict=True)
            if outcome.account_id is not None
        ]
        taught = [Lessons(list(lessons)).add()] if lessons else []
        replies = (await self._run([log, *customers, *accounts, *taught]))[1 : 1 + len(customers)]
        moved = [row for row, reply in enumerate(replies) if isinstance(reply, bytes)]
        if moved:
            commands = [
                self._record(b"arb:{%b}" % replies[row], outcomes[row], now, redeemed[row]) for row in moved
            ]
            for row, reply in zip(moved, await self._run(commands), strict=True):
                replies[row] = reply
        return [bool(reply) for reply in replies]

    def _record(self, key: bytes, outcome: Outcome, now: float, redeemed: bytes) -> Command:
        return _script(
            RECORD_OUTCOME,
            key,
            self._ttl,
            outcome.outcome_id,
            struct.pack(">I", min(max(int(outcome.expires_at), 0), _LAST_U4)),
            now,
            outcome.record(),
            history.MAX_RECORDS * history.RECORD.itemsize,
            redeemed,
        )

    async def keep_offers(
        self, made: Mapping[str, Sequence[KeptOffer]], now: float
    ) -> dict[str, list[KeptOffer] | None]:
        """Keep offers that are being made, by customer; one of the same action that is kept already stays.

        Returns for each offer the one that is kept, and None for a customer who could not be reached.
        """
        commands = [
            _script(KEEP_OFFERS, customer_key(customer_id), self._ttl, now, pack_offers(offers))
            for customer_id, offers in made.items()
        ]
        replies = await self._client.run(commands)
        kept = (unpack_offers(b"".join(reply)) if isinstance(reply, list) else [] for reply in replies)
        return {
            customer_id: found if len(found) == len(offers) else None
            for (customer_id, offers), found in zip(made.items(), kept, strict=True)
        }

    async def move_segments(self, changes: Sequence[Change]) -> list[Change]:
        """Keep the segments of customers, of each only if what is expected is kept; returns the changes that
        were made, each of which is made once, whoever tries."""
        commands = [_script(MOVE_SEGMENTS, customer_key(c.customer_key), c.before, c.after) for c in changes]
        replies = await self._client.run(commands)
        if replies and all(isinstance(reply, Exception) for reply in replies):
            raise StoreUnavailable(str(replies[0]))
        return [change for change, reply in zip(changes, replies, strict=True) if reply == 1]

    async def log_movements(self, movements: Collection[Movement]) -> None:
        """Add movements between segments to their log."""
        entry = pack_movements(movements)
        await self._run([("XADD", MOVEMENT_LOG, "MAXLEN", "~", LOG_LENGTH, "*", LOG_FIELD, entry)])

    async def _run(self, commands: Sequence[Command]) -> list[Any]:
        """Run commands of which none may fail."""
        return all_good(await self._client.run(commands))


async def announced(client: Client) -> str | None:
    """The word that was left last with `CustomerStore.announce`, for who has no schema yet.

    Raises:
        StoreUnavailable: the store is away.
    """
    [reply] = await client.run([("GET", RELOAD)])
    if isinstance(reply, Exception):
        raise StoreUnavailable(str(reply))
    return None if reply is None else str(reply.decode())


_FIELDS = {Source.PROFILE: b"p", Source.BEHAVIOUR: b"b"}


def _unread(replies: Sequence[Any]) -> tuple[NDArray[np.bool_], list[str]]:
    """Of whom nothing could be read, and why."""
    if set(map(type, replies)) == {list}:
        return np.zeros(len(replies), bool), []
    unread = np.array([not isinstance(reply, list) for reply in replies])
    return unread, [str(reply) for reply in replies if not isinstance(reply, list)]


def _script(script: str, key: bytes, *arguments: object) -> Command:
    return ("EVAL", script, 1, key, *arguments)


def _redeemed(outcome: Outcome, redeems: Mapping[str, Collection[str]]) -> bytes:
    """The ids of the reservations that an outcome redeems, one after another."""
    return b"".join(
        reservation_id(outcome.decision_id, outcome.placement, outcome.action, policy)
        for policy in redeems.get(outcome.outcome, ())
    )
