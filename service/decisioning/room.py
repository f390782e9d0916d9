"""Room: how many more actions of a kind an answer may have."""

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.headroom import Headroom
from service.decisioning.slate_policy import Bundle
from service.decisioning.snapshot import Snapshot
from service.decisioning.volumes import UNLIMITED


class Room:
    """What K limits leave to the answers of a batch while these are being filled: those of the slate, then
    the volume limits, of which each request has a budget, and the caps of contacts.

    counted  K x A  the actions that each limit counts, one each
    needs    K x A  what choosing an action takes of each limit: a fixed bundle comes as a whole
    left     n x K
    codes    K      of `removed_by`
    """

    def __init__(self, snapshot: Snapshot, batch: Batch, caps: Headroom | None = None) -> None:
        policy, actions, n = snapshot.slate_policy, len(snapshot.catalogue.actions), len(batch)
        counted = [np.array([limit.actions for limit in policy.limits], np.bool_).reshape(-1, actions)]
        of_limits = [
            np.where(limit.channels[batch.channel], limit.at_most, UNLIMITED) for limit in policy.limits
        ]
        left = [np.array(of_limits, np.int64).reshape(-1, n).T]
        codes = [snapshot.first_code("slate") + np.arange(len(policy.limits))]
        if batch.budgets is not None:
            counted.append(snapshot.volume_actions)
            left.append(batch.budgets.astype(np.int64))
            codes.append(snapshot.first_code("volumes") + np.arange(len(snapshot.volumes)))
        if caps is not None:
            counted.append(caps.counted)
            left.append(caps.left)
            codes.append(snapshot.first_code("caps") + caps.places)
        self.counted = np.concatenate(counted).astype(np.int64)
        self.left = np.concatenate(left, axis=1)
        self.codes = np.concatenate(codes)
        self.needs = self._needs(policy.bundles)
        self._most = self.needs.max(axis=1, initial=0)

    def _needs(self, bundles: tuple[Bundle, ...]) -> NDArray[np.int64]:
        needs = self.counted.copy()
        for bundle in bundles:
            if bundle.fixed:
                needs[:, bundle.lead] = self.counted[:, bundle.actions].sum(axis=1)
        return needs

    def shut(self, rows: NDArray[np.intp]) -> NDArray[np.int32]:
        """m x A: the code of the first limit that has no room for an action; 0 where all have."""
        codes = np.zeros((len(rows), self.needs.shape[1]), np.int32)
        left = self.left[rows]
        for limit in np.flatnonzero(left.min(axis=0, initial=np.iinfo(np.int64).max) < self._most):
            members = np.flatnonzero(self.needs[limit])
            full = left[:, limit, None] < self.needs[limit, members]
            found = codes[:, members]
            codes[:, members] = np.where(full & (found == 0), self.codes[limit], found)
        return codes

    def take(self, rows: NDArray[np.intp], actions: NDArray[np.intp]) -> None:
        """Book one chosen action for each of these rows."""
        self.left[rows] -= self.counted[:, actions].T
