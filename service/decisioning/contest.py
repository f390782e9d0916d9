"""The contest for a place: what each answer of a batch has to keep to while it is being filled."""

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.headroom import headroom
from service.decisioning.slate_rules import Counted
from service.decisioning.snapshot import Snapshot
from service.decisioning.turns import Rules


def contest(snapshot: Snapshot, batch: Batch, mandatory: NDArray[np.bool_] | None = None) -> Rules:
    """The rules of the slate with what limits leave to each request: those of the slate, then the volume
    limits, of which each request has a budget, and the caps of contacts.

    `mandatory` (n x A) says who comes first of all.
    """
    rules, duplicates = snapshot.slate_rules, snapshot.slate_policy.duplicates
    limits, left = rules.limits, rules.room.take(batch.channel, axis=0)
    if batch.budgets is not None:
        left[:, left.shape[1] - batch.budgets.shape[1] :] = batch.budgets
    caps = headroom(snapshot.contact, batch, duplicates=duplicates)
    if caps is not None:
        limits += Counted.of(caps.counted, snapshot.first_code("caps") + caps.places, rules.bundles)
        left = np.concatenate([left, caps.left], axis=1)
    return Rules(
        duplicates=duplicates,
        left=left,
        counts=limits.counts,
        needs=limits.needs,
        most=limits.most,
        codes=limits.codes,
        bundled=rules.bundled,
        bundles=rules.begins,
        fixed=rules.fixed,
        leads=rules.leads,
        follows=rules.follows,
        tiers=rules.tiers,
        mandatory=np.empty((0, len(rules.tiers)), np.bool_) if mandatory is None else mandatory,
    )
