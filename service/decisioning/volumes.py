"""Volume limits: how often actions are chosen in a period, across all customers and workers.

What is left is counted outside and comes with the batch (`Batch.budgets`), so that a decision depends on
nothing but its own row.
"""

from dataclasses import dataclass
from functools import cached_property
from math import floor

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.catalogue import Catalogue
from service.decisioning.periods import Period
from service.decisioning.stages import STILL_IN, Removal, Stage

UNLIMITED = np.iinfo(np.int32).max
"""The budget of a request for which a limit does not speak, or which can't use up what is left."""

HEAD_START = 0.01
"""How far an even pace is ahead of the clock, as a share of the limit but at least one choice: it begins
without a wait, and the last ones are free before the period ends."""

BLOCKS = 500
"""What a worker may hold of a limit without having chosen it, so what is lost when it is killed: the limit
divided by this, but at least one choice."""

ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class VolumeLimit:
    """At most `at_most` choices of some actions (A, bool) in some channels (C, bool) in a period.

    An `even` one frees them at the pace of the clock. `available_without_store` says whether choices go on
    while they can't be counted with those of the other workers.
    """

    name: str
    at_most: int
    period: Period
    actions: NDArray[np.bool_]
    channels: NDArray[np.bool_]
    even: bool = False
    available_without_store: bool = False
    description: str = ""

    @property
    def removal(self) -> Removal:
        """What it says of an action that it takes out."""
        meaning = self.description or f"chosen at most {self.at_most:,} times per {self.period.kind}"
        return Removal(Stage.CONTACT_POLICY, f"volume:{self.name}", meaning, no_action="volume_limit_reached")

    @cached_property
    def counter(self) -> str:
        """What its counter in the store is called, without the period."""
        return f"volume:{{{self.name}}}:{self.period.kind}"

    @property
    def unit(self) -> float:
        """The least that is counted."""
        return 1.0

    @property
    def block(self) -> float:
        """What a worker may hold without having chosen it."""
        return float(max(1, self.at_most // BLOCKS))

    def ceiling(self, now: float) -> int:
        """How many may have been chosen by a time, of the period in which it lies; 0 outside of a
        campaign."""
        span = self.period.span(now)
        if not span.has(now):
            return 0
        if not self.even:
            return self.at_most
        return min(self.at_most, floor(self.at_most * span.share(now) + ROUNDING) + self.head_start)

    @property
    def head_start(self) -> int:
        """How many choices an even pace is ahead of the clock."""
        return max(1, floor(self.at_most * HEAD_START))

    def next_free(self, used: float, now: float) -> float | None:
        """When one more may be chosen after `used` of the period, in epoch seconds; None where that is
        never."""
        span = self.period.span(now)
        if now < span.start:
            return self._freed(0.0, span.start)
        if now < span.end and used < self.at_most:
            return max(now, self._freed(used, span.start))
        following = self.period.span(span.end)
        return self._freed(0.0, following.start) if following.start >= span.end else None

    def _freed(self, used: float, start: float) -> float:
        """When the pace frees one more than `used`, in the period that begins at `start`."""
        span = self.period.span(start)
        share = (floor(used) + 1 - self.head_start) / self.at_most if self.even else 0.0
        return span.start + max(share, 0.0) * (span.end - span.start)


def remove_exhausted(
    limits: tuple[VolumeLimit, ...], first_code: int, batch: Batch, removed_by: NDArray[np.int32]
) -> None:
    """Take out (in place) the candidates of every limit that leaves nothing to their request; their codes
    follow one another from `first_code`."""
    if batch.budgets is None:
        return
    exhausted = batch.budgets <= 0
    for position in np.flatnonzero(exhausted.any(axis=0)).tolist():
        out = exhausted[:, position, None] & limits[position].actions
        removed_by[out & (removed_by == STILL_IN)] = first_code + position


def most_choices(catalogue: Catalogue, limits: tuple[VolumeLimit, ...]) -> NDArray[np.int32]:
    """V x S: how many actions a limit counts in each slot; 0 in the slots of channels for which it does not
    speak."""
    said = (catalogue.slot_treatments >= 0).astype(np.int32)
    channels = [catalogue.channel_index[slot.channel] for slot in catalogue.slots]
    counts = [said @ limit.actions * limit.channels[channels] for limit in limits]
    return np.array(counts, dtype=np.int32).reshape(len(limits), len(catalogue.slots))
