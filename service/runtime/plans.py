"""The plan of a snapshot's budgets: what is limited, and what requests can take of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.pipeline import Decisions
from service.decisioning.snapshot import Snapshot
from service.decisioning.spending import ExplorationCost
from service.decisioning.volumes import VolumeLimit, most_choices
from service.runtime.purses import Budget

Rows = NDArray[np.bool_]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """What a snapshot's budgets are, and what its requests can take of them.

    most      V x S  choices that a limit counts in a slot, at most
    actions   V x A  what each limit counts
    channels  V x C  and where
    """

    limits: tuple[VolumeLimit, ...]
    most: NDArray[np.int32]
    actions: NDArray[np.bool_]
    channels: NDArray[np.bool_]
    cost: ExplorationCost | None

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Plan":
        """The plan of a snapshot."""
        limits, channels = snapshot.volumes, len(snapshot.catalogue.channels)
        return cls(
            limits,
            most_choices(snapshot.catalogue, limits),
            snapshot.volume_actions,
            np.array([limit.channels for limit in limits], np.bool_).reshape(len(limits), channels),
            ExplorationCost.of(snapshot),
        )

    @property
    def budgets(self) -> Iterator[Budget]:
        """All of them."""
        yield from self.limits
        if self.cost is not None:
            yield self.cost

    @cached_property
    def most_of_one(self) -> list[int]:
        """V: how many choices that a limit counts any request could make, at most."""
        found: list[int] = self.most.sum(axis=1).tolist()
        return found

    @cached_property
    def limited(self) -> NDArray[np.bool_]:
        """A: what any limit counts."""
        found: NDArray[np.bool_] = np.logical_or.reduce(self.actions, axis=0)
        return found

    def wanted(self, batch: Batch) -> Counts:
        """n x V: how many choices that a limit counts a request could make."""
        wanted: Counts = np.minimum(batch.limits[:, None, :], self.most).sum(axis=2, dtype=np.int64)
        return wanted

    def picks(self, decisions: Decisions) -> Counts:
        """n x V: how many it has made."""
        limit, pick = self._counted(decisions).nonzero()
        shape = len(decisions.batch), len(self.limits)
        cells = decisions.slate.row[pick] * shape[1] + limit
        return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)

    def booked(self, decisions: Decisions, rows: Rows) -> list[int]:
        """V: how many some rows (n) have made together."""
        if not self.limited.take(decisions.slate.action).any():
            return [0] * len(self.limits)
        made: list[int] = (self._counted(decisions) & rows[decisions.slate.row]).sum(axis=1).tolist()
        return made

    def _counted(self, decisions: Decisions) -> NDArray[np.bool_]:
        """V x p: whether a limit counts what was chosen."""
        slate, channel = decisions.slate, decisions.batch.channel
        found: NDArray[np.bool_] = self.actions[:, slate.action] & self.channels[:, channel[slate.row]]
        return found
