"""Room: how many more actions of a kind an answer may have."""

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.headroom import Headroom
from service.decisioning.slate_rules import Counted
from service.decisioning.snapshot import Snapshot
from service.decisioning.volumes import UNLIMITED


class Room:
    """What limits leave to the answers of a batch while these are being filled: those of the slate, then the
    volume limits, of which each request has a budget, and the caps of contacts."""

    def __init__(self, snapshot: Snapshot, batch: Batch, caps: Headroom | None = None) -> None:
        rules = snapshot.slate_rules
        limits, volumes = rules.room.shape[1], len(snapshot.volumes)
        left = np.full((len(batch), limits + volumes), UNLIMITED, np.int64)
        left[:, :limits] = rules.room[batch.channel]
        if batch.budgets is not None:
            left[:, limits:] = batch.budgets
        self._limits, self._left = rules.limits, left
        if caps is not None:
            codes = snapshot.first_code("caps") + caps.places
            self._limits += Counted.of(caps.counted, codes, rules.bundles)
            self._left = np.concatenate([left, caps.left], axis=1)

    def shut(self, rows: NDArray[np.intp]) -> NDArray[np.int32]:
        """m x A: the code of the first limit that has no room for an action; 0 where all have."""
        limits, left = self._limits, self._left[rows]
        codes = np.zeros((len(rows), limits.needs.shape[1]), np.int32)
        if left.size:
            for limit in np.flatnonzero(left.min(axis=0) < limits.most).tolist():
                members = limits.members[limit]
                full = left[:, limit, None] < limits.needs[limit, members]
                found = codes[:, members]
                codes[:, members] = np.where(full & (found == 0), limits.codes[limit], found)
        return codes

    def take(self, rows: NDArray[np.intp], actions: NDArray[np.intp]) -> None:
        """Book one chosen action for each of these rows."""
        self._left[rows] -= self._limits.counts[:, actions].T
