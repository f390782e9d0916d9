"""What an outbound run is to do: all that its answers depend on, and what a resumed one has to share."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import msgspec

FORMAT = 1
"""Of the files that a run leaves behind."""


class From(StrEnum):
    """Where the features come from: the table, or the store that the ids of the table are looked up in."""

    FILE = "file"
    STORE = "store"


@dataclass(frozen=True)
class Order:
    """Two runs by the same order give the same answers, chance included, as far as nobody changes the store.

    id            names the run: decisions are called `<id>-<row>`, and what is left to chance hangs on that
    at            epoch seconds as of which everybody is decided for
    limits        placements, each with how many actions it is filled with
    context       the values of context features, as texts, where the table has no such column
    token_seconds for how long tokens are good; None: no tokens
    snapshot      the version of catalogue, features and models
    size, changed of the table, in bytes, and epoch nanoseconds
    chunk         rows that are decided and kept together
    """

    id: str
    at: float
    workspace: Path
    customers: Path
    source: From
    channel: str
    limits: Mapping[str, int]
    context: Mapping[str, str]
    token_seconds: float | None
    snapshot: str
    software: str
    size: int
    changed: int
    chunk: int
    format: int = FORMAT

    @property
    def tokens(self) -> bool:
        """Whether the answers have tokens."""
        return self.token_seconds is not None

    def pack(self) -> bytes:
        """JSON."""
        return msgspec.json.format(msgspec.json.encode(asdict(self), enc_hook=str))

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """The order that `pack` wrote.

        Raises:
            msgspec.DecodeError, msgspec.ValidationError: it is none, or one of another format.
        """
        return msgspec.json.decode(packed, type=cls, dec_hook=lambda kind, value: kind(value))

    def differences(self, other: "Order") -> list[str]:
        """What another order says otherwise: `name: mine, not theirs`."""
        mine, theirs = _told(self), _told(other)
        return [f"{name}: {mine[name]}, not {theirs[name]}" for name in mine if mine[name] != theirs[name]]


def _told(order: Order) -> dict[str, Any]:
    return asdict(order)


@dataclass(frozen=True)
class Means:
    """What the workers of a run work with, beside the order: none of it changes an answer."""

    secret: bytes | None = field(default=None, repr=False)
    redis_url: str | None = None
    customer_ttl: int | None = None
