"""The policy of the slate and the volume limits as columns, computed once per snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.decisioning.slate_policy import Bundle, SlatePolicy
from service.decisioning.volumes import UNLIMITED

NOBODY = -1


@dataclass(frozen=True, eq=False)
class Counted:
    """What K limits count among A actions.

    counts   K x A  1 for the actions that a limit counts
    needs    K x A  what choosing an action takes of a limit: a fixed bundle comes as a whole
    most     K      the most of these
    members         of each limit the actions that need it
    codes    K      of `removed_by`
    """

    counts: NDArray[np.int64]
    needs: NDArray[np.int64]
    most: NDArray[np.int64]
    members: tuple[NDArray[np.intp], ...]
    codes: NDArray[np.intp]

    @classmethod
    def of(cls, actions: NDArray[np.bool_], codes: NDArray[np.intp], bundles: Sequence[Bundle]) -> "Counted":
        """Of limits that count these actions (K x A)."""
        counts = actions.astype(np.int64)
        needs = counts.copy()
        for bundle in bundles:
            if bundle.fixed:
                needs[:, bundle.lead] = counts[:, bundle.actions].sum(axis=1)
        members = tuple(np.flatnonzero(needed) for needed in needs)
        return cls(counts, needs, needs.max(axis=1, initial=0), members, codes)

    def __add__(self, other: "Counted") -> "Counted":
        """Both, one after the other."""
        return Counted(
            np.concatenate([self.counts, other.counts]),
            np.concatenate([self.needs, other.needs]),
            np.concatenate([self.most, other.most]),
            self.members + other.members,
            np.concatenate([self.codes, other.codes]),
        )


class FixedBundle(NamedTuple):
    """A fixed bundle, with the code by which it keeps its actions out."""

    members: list[int]
    code: int

    @property
    def lead(self) -> int:
        return self.members[0]


@dataclass(frozen=True, eq=False)
class SlateRules:
    """The limits of the slate before the volume limits, and the bundles, over A actions and C channels.

    limits          what both count
    room     C x L  what each of the L limits of the slate lets into an answer
    leads    A      the bundle that begins with an action, -1 where there is none
    follows  A      who stands in fixed bundles only; None where there are none
    tiers    A      None where there are none
    """

    limits: Counted
    room: NDArray[np.int64]
    bundles: tuple[Bundle, ...]
    fixed: tuple[FixedBundle, ...]
    leads: NDArray[np.intp]
    follows: NDArray[np.bool_] | None
    tiers: NDArray[np.int8] | None

    @classmethod
    def of(
        cls,
        policy: SlatePolicy,
        first_code: int,
        volumes: NDArray[np.bool_],
        first_volume_code: int,
        channels: int,
    ) -> "SlateRules":
        """`volumes` (V x A) are the actions of the volume limits. Codes follow one another from the first."""
        limits, bundles, actions = policy.limits, policy.bundles, volumes.shape[1]
        covered = [*(limit.actions for limit in limits), *volumes]
        counted = np.array(covered, np.bool_).reshape(len(covered), actions)
        codes = [first_code + np.arange(len(limits)), first_volume_code + np.arange(len(volumes))]
        first_bundle = first_code + len(limits)
        fixed = [
            FixedBundle(list(bundle.actions), first_bundle + number)
            for number, bundle in enumerate(bundles)
            if bundle.fixed
        ]
        leads = np.full(actions, NOBODY, np.intp)
        leads[[bundle.lead for bundle in bundles]] = np.arange(len(bundles))
        follows = np.zeros(actions, np.bool_)
        follows[[action for bundle in fixed for action in bundle.members[1:]]] = True
        room = [np.where(limit.channels, limit.at_most, UNLIMITED) for limit in limits]
        return cls(
            limits=Counted.of(counted, np.concatenate(codes), bundles),
            room=np.array(room, np.int64).reshape(len(limits), channels).T,
            bundles=bundles,
            fixed=tuple(fixed),
            leads=leads,
            follows=follows if fixed else None,
            tiers=policy.tiers,
        )
