"""Requests that wait for their answer."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from feature_store.event import Event
from service.runtime.decision import Decision
from service.runtime.live import Live
from service.runtime.requests import CheckedRequest, DecisionRequest, InvalidRequest

Identity = tuple[str, int]
"""The id of a decision, and its lower 64 bits."""
DRAWN_AHEAD = 256
"""Ids by one call of the system: for a lone request it would be most of what its id takes."""
_VERSION = bytes(byte & 0x0F | 0x40 for byte in range(256))
_VARIANT = bytes(byte & 0x3F | 0x80 for byte in range(256))


class Waiting(Protocol):
    """Who waits for a decision: a future, or what is answered like one."""

    def done(self) -> bool:
        """Whether nothing is waited for any more."""

    def set_result(self, decision: Decision, /) -> None:
        """It is decided."""

    def set_exception(self, error: Exception, /) -> None:
        """It can't be decided."""


@dataclass(slots=True)
class Pending:
    """A request that waits for its answer. Times are of `time.perf_counter`: when it came, by when it is
    answered, until when features may be waited for, and until when it may be waited for what is written
    before the answer leaves. `seed` is what its draws are made from; `foreseen` has events that it is to see
    though they are not stored, and `degraded` what was missing before it was read."""

    request: DecisionRequest
    arrived: float
    deadline: float
    read_until: float
    written_until: float
    answer: Waiting
    decision_id: str = ""
    seed: int = 0
    checked: CheckedRequest | None = None
    foreseen: tuple[Event, ...] = ()
    degraded: tuple[str, ...] = ()

    def tell(self, answer: Decision) -> None:
        """Answer the request, if its client is still there."""
        if not self.answer.done():
            self.answer.set_result(answer)

    @property
    def fit(self) -> CheckedRequest:
        assert self.checked is not None, "only checked requests are decided"  # noqa: S101
        return self.checked


def fitting(live: Live, batch: list[Pending], ids: Iterator[Identity]) -> list[Pending]:
    """The requests that fit the snapshot, each with one of the ids; the others are told what is wrong with
    them."""
    check = live.checker.check
    fit: list[Pending] = []
    for pending in batch:
        if pending.answer.done():  # its client has gone
            continue
        try:
            pending.checked = check(pending.request)
        except InvalidRequest as error:
            pending.answer.set_exception(error)
            continue
        pending.decision_id, pending.seed = next(ids)
        fit.append(pending)
    return fit


def random_ids() -> Iterator[Identity]:
    """UUIDs of version 4 (RFC 9562) without end, drawn some at a time."""
    while True:
        drawn = bytearray(os.urandom(16 * DRAWN_AHEAD))
        drawn[6::16] = drawn[6::16].translate(_VERSION)
        drawn[8::16] = drawn[8::16].translate(_VARIANT)
        hex_, halves = drawn.hex(), struct.unpack(f">{2 * DRAWN_AHEAD}Q", drawn)
        for at, seed in zip(range(0, len(hex_), 32), halves[1::2], strict=True):
            start, end = hex_[at : at + 16], hex_[at + 16 : at + 32]
            yield f"{start[:8]}-{start[8:12]}-{start[12:]}-{end[:4]}-{end[4:]}", seed
