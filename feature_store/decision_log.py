"""The log of decisions: what was decided, for whom and on what, some decisions in a packed entry.

An entry is MessagePack in the field `decisions` of the stream `arb:decisions`. It names
everything that it speaks of; what the numbers of X mean says the definition of its feature schema, which lies
in the store, too. The consumers of the log take entries away when they are safe in files; until then the
stream keeps about as many as it is told to.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from feature_store.client import Client, Command, StoreUnavailable
from feature_store.vectors import schema_key

DECISION_LOG = "arb:decisions"
FIELD = "decisions"
VERSION = 4
"""Since 2 timestamps are told from the time of the decision on; since 3 there is what shadows have said;
since 4 the decisions of an entry need not be of one moment."""
WITHIN = 5.0
"""Seconds for a write: nobody waits for it, and it may be megabytes."""


class Picks(msgspec.Struct, frozen=True, kw_only=True):
    """What was offered: one element per offered action, in order of decision, placement and rank.

    `decision` is the index of the decision in its entry; `rank` counts from 1. The five factors are those of
    the contract (propensity, context weight, value, lever and the priority that they make), and
    `selection_probability` is the exact probability of this choice at this rank's turn. `predicted` is the
    propensity before it was corrected by outcomes; empty where nothing was. `shadows` has the propensities of
    versions that only watch, by version, and no element where there are none.
    """

    decision: list[int]
    placement: list[str]
    rank: list[int]
    action: list[str]
    treatment: list[str]
    propensity: list[float]
    context_weight: list[float]
    value: list[float]
    lever: list[float]
    priority: list[float]
    selection_probability: list[float]
    predicted: list[float] = []
    shadows: list[dict[str, float]] = []


class Empty(msgspec.Struct, frozen=True, kw_only=True):
    """The placements that stayed empty: of which decision, and why."""

    decision: list[int]
    placement: list[str]
    reason: list[str]


class DecisionEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions of one snapshot, as columns: one element for each, where nothing else is said.

    version      of this form, one number
    software     the version of the service
    snapshot     of catalogue, features and models together; each has its own version, too
    decided_at   epoch seconds; until version 3 one number for all of them. `times` is the same for both
    columns      the names of the F columns of X
    timestamps   the columns of X that are seconds since the decision; until version 1 there were none, and
                 timestamps were epoch seconds, rounded to some minutes
    X            n x F float32 (little-endian, row by row): features as they were decided on, NaN is missing
    customer_id  the id; of a visitor who is not known `anonymous:` and the anonymous_id
    account_id   None where there is none, or nothing counts by accounts
    experiments  the arm of each experiment; `arm` is the one that the decision counts under
    known        whether anything was stored of the customer
    actions      the issue and the group of each action that is named among the picks
    """

    version: int = VERSION
    software: str
    snapshot: str
    catalogue: str
    features: str
    models: dict[str, str]
    decided_at: list[float] | float
    columns: tuple[str, ...]
    timestamps: tuple[int, ...] = ()
    X: bytes
    decision_id: list[str]
    customer_id: list[str]
    account_id: list[str | None]
    channel: list[str]
    arm: list[str]
    experiments: list[Mapping[str, str]]
    mode: list[str]
    degraded: list[tuple[str, ...]]
    known: list[bool]
    actions: dict[str, tuple[str, str]]
    picks: Picks
    empty: Empty

    def __len__(self) -> int:
        return len(self.decision_id)

    @property
    def times(self) -> NDArray[np.float64]:
        """When each was decided, n, in epoch seconds."""
        return np.broadcast_to(np.array(self.decided_at), len(self))

    @property
    def matrix(self) -> NDArray[np.float64]:
        """X, shape (n, F), with timestamps in whole epoch seconds."""
        X = np.frombuffer(self.X, "<f4").reshape(len(self), len(self.columns)).astype(np.float64)
        moments = list(self.timestamps)
        X[:, moments] = np.rint(X[:, moments] + self.times[:, None])
        return X

    def pack(self) -> bytes:
        """MessagePack."""
        return _encode(self)

    @classmethod
    def unpack(cls, packed: bytes) -> "DecisionEntry":
        """The entry that `pack` made.

        Raises:
            ValueError: the bytes are none, or of a later version.
        """
        entry = _decode(packed)
        if entry.version > VERSION:
            raise ValueError(f"a log entry of version {entry.version}; this software reads up to {VERSION}")
        return entry


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(DecisionEntry).decode


class DecisionLog:
    """The stream, over a client of its own: what decisions ask of the store does not queue behind it."""

    def __init__(self, client: Client, length: int) -> None:
        """`length` is about how many entries the stream keeps."""
        self._client = client
        self._length = length

    async def write(self, entries: Sequence[bytes], definitions: Mapping[str, bytes]) -> None:
        """Add packed entries, in their order and in one round trip, behind the definitions of their feature
        schemas by fingerprint: who reads an entry finds what its numbers mean.

        Raises:
            StoreUnavailable: some may have been written nevertheless. Write them again: readers pass over a
                `decision_id` that they have seen.
        """
        trimmed = ("MAXLEN", "~", self._length)
        commands: list[Command] = [
            ("SET", schema_key(fingerprint), definition, "NX")
            for fingerprint, definition in definitions.items()
        ]
        commands += [("XADD", DECISION_LOG, *trimmed, "*", FIELD, entry) for entry in entries]
        for reply in await self._client.run(commands, WITHIN):
            if isinstance(reply, Exception):
                raise reply if isinstance(reply, StoreUnavailable) else StoreUnavailable(str(reply))

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()
