"""Two configurations, decided side by side over the same customers: who would get something else, and what
that is worth."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service.decisioning.pipeline import Decisions, decide
from service.decisioning.propensity import propensities
from service.decisioning.snapshot import Snapshot
from service.runtime.population import Audience

Indexes = NDArray[np.intp]
NOTHING = -1
"""In the place of an action where a placement stays empty."""


@dataclass
class PlacementChange:
    """What changes in one placement, at its first rank, over all customers.

    Values are sums of propensity x value (not scaled) as the new configuration sees them, its own choices and
    those of the old one. An old choice that the new catalogue does not have any more is taken as the old
    configuration sees it; `by_old` counts them.
    """

    customers: int = 0
    changed: int = 0
    old_value: float = 0.0
    new_value: float = 0.0
    by_old: int = 0
    moves: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)

    @property
    def share_changed(self) -> float:
        """The share of customers whose first action is another one."""
        return self.changed / self.customers if self.customers else 0.0

    @property
    def gain(self) -> float:
        """What 1,000 decisions gain (or lose, below 0)."""
        return 1_000.0 * (self.new_value - self.old_value) / self.customers if self.customers else 0.0


@dataclass
class Comparison:
    """What changes, by placement (of both catalogues), and how many customers each action reaches: (old,
    new), at any rank of any placement. `unusable` counts values that one of the two can't read."""

    customers: int = 0
    unusable: int = 0
    placements: dict[str, PlacementChange] = field(default_factory=dict)
    reach: dict[str, tuple[int, int]] = field(default_factory=dict)
    changed: int = 0

    @property
    def share_changed(self) -> float:
        """The share of customers with another first action in some placement."""
        return self.changed / self.customers if self.customers else 0.0

    @property
    def gain(self) -> float:
        """What 1,000 decisions gain over all placements (or lose, below 0)."""
        return sum(placement.gain for placement in self.placements.values())

    def moves(self, most: int) -> list[tuple[str, str | None, str | None, int]]:
        """The most frequent changes: placement, old action, new action (None: nothing), customers."""
        found = [
            (placement, old, new, count)
            for placement, change in self.placements.items()
            for (old, new), count in change.moves.items()
        ]
        return sorted(found, key=lambda move: (-move[3], move[0], move[1] or "", move[2] or ""))[:most]


def compare(old: Audience, new: Audience, customers: Iterable[pa.RecordBatch]) -> Iterator[Comparison]:
    """Decide for all customers with both, in constant memory. Yields the comparison so far after every
    batch; the last one is that of all."""
    comparison = _opened(old, new)
    for data in customers:
        _add(comparison, _Side.of(old, data), _Side.of(new, data))
        yield comparison


def _opened(old: Audience, new: Audience) -> Comparison:
    names = [placement for side in (old, new) for placement in _slots(side)]
    actions = sorted({action.name for side in (old, new) for action in side.snapshot.catalogue.actions})
    return Comparison(
        placements={name: PlacementChange() for name in names}, reach=dict.fromkeys(actions, (0, 0))
    )


def _slots(audience: Audience) -> dict[str, int]:
    """The slots of the channel by the names of their placements."""
    catalogue = audience.snapshot.catalogue
    return {catalogue.slots[slot].placement.id: slot for slot in catalogue.channel_slots[audience.channel]}


@dataclass(frozen=True)
class _Side:
    """What one configuration decides for a batch of customers."""

    snapshot: Snapshot
    decisions: Decisions
    slots: dict[str, int]
    unusable: int

    @classmethod
    def of(cls, audience: Audience, data: pa.RecordBatch) -> "_Side":
        batch, unusable = audience.requests(data)
        return cls(audience.snapshot, decide(audience.snapshot, batch), _slots(audience), unusable)

    @property
    def names(self) -> list[str | None]:
        """The names of the actions, and that of `NOTHING`."""
        return [*(action.name for action in self.snapshot.catalogue.actions), None]

    def first(self, placement: str) -> Indexes:
        """The action at the first rank of a placement, by customer; `NOTHING` where it stays empty."""
        slate = self.decisions.slate
        chosen = np.full(len(self.decisions.batch), NOTHING, dtype=np.intp)
        if placement in self.slots:
            here = (slate.slot == self.slots[placement]) & (slate.rank == 1)
            chosen[slate.row[here]] = slate.action[here]
        return chosen

    def worth(self, actions: Indexes) -> NDArray[np.float64]:
        """Propensity x value of an action for each customer, whether it may be offered or not; 0 for
        `NOTHING`."""
        rows = np.flatnonzero(actions != NOTHING)
        wanted = np.zeros((len(actions), len(self.snapshot.catalogue.actions)), dtype=np.bool_)
        wanted[rows, actions[rows]] = True
        P = propensities(self.snapshot, self.decisions.batch, wanted)
        found = np.zeros(len(actions))
        found[rows] = P[rows, actions[rows]] * self.decisions.factors.raw_value[rows, actions[rows]]
        return found

    def reached(self) -> NDArray[np.intp]:
        """A: how many customers each action is chosen for."""
        actions = len(self.snapshot.catalogue.actions)
        slate = self.decisions.slate
        pairs = np.unique(slate.row * actions + slate.action)
        return np.bincount(pairs % max(actions, 1), minlength=actions)


def _add(comparison: Comparison, old: _Side, new: _Side) -> None:
    n = len(old.decisions.batch)
    comparison.customers += n
    comparison.unusable += old.unusable + new.unusable
    anything = np.zeros(n, dtype=np.bool_)
    index = {name: position for position, name in enumerate(new.names[:-1])}
    in_new = np.array([index.get(name or "", NOTHING) for name in old.names], dtype=np.intp)
    for placement, change in comparison.placements.items():
        before, after = old.first(placement), new.first(placement)
        kept = in_new[before]  # the old choice as the new catalogue has it
        gone = (before != NOTHING) & (kept == NOTHING)
        changed = (kept != after) | gone
        anything |= changed
        change.customers += n
        change.changed += int(changed.sum())
        change.new_value += float(new.worth(after).sum())
        change.old_value += float(new.worth(kept).sum() + old.worth(np.where(gone, before, NOTHING)).sum())
        change.by_old += int(gone.sum())
        moves = Counter(zip(before[changed].tolist(), after[changed].tolist(), strict=True))
        change.moves.update({(old.names[a], new.names[b]): count for (a, b), count in moves.items()})
    comparison.changed += int(anything.sum())
    for position, side in enumerate((old, new)):
        for name, count in zip(side.names, side.reached().tolist(), strict=False):
            reach = list(comparison.reach[name or ""])
            reach[position] += count
            comparison.reach[name or ""] = (reach[0], reach[1])
