"""The policy of the slate and the volume limits as columns, computed once per snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.decisioning.slate_policy import Bundle, SlatePolicy
from service.decisioning.turns import NOBODY
from service.decisioning.volumes import UNLIMITED


@dataclass(frozen=True, eq=False)
class Counted:
    """What K limits count among A actions.

    counts   K x A  1 for the actions that a limit counts
    needs    K x A  what choosing an action takes of a limit: a fixed bundle comes as a whole
    most     K      the most of these
    codes    K      of `removed_by`
    """

    counts: NDArray[np.intp]
    needs: NDArray[np.intp]
    most: NDArray[np.intp]
    codes: NDArray[np.intp]

    @classmethod
    def of(cls, actions: NDArray[np.bool_], codes: NDArray[np.intp], bundles: Sequence[Bundle]) -> "Counted":
        """Of limits that count these actions (K x A)."""
        counts = actions.astype(np.intp)
        needs = counts.copy()
        for bundle in bundles:
            if bundle.fixed:
                needs[:, bundle.lead] = counts[:, bundle.actions].sum(axis=1)
        return cls(counts, needs, needs.max(axis=1, initial=0), codes)

    def __add__(self, other: "Counted") -> "Counted":
        """Both, one after the other."""
        return Counted(
            np.concatenate([self.counts, other.counts]),
            np.concatenate([self.needs, other.needs]),
            np.concatenate([self.most, other.most]),
            np.concatenate([self.codes, other.codes]),
        )


@dataclass(frozen=True, eq=False)
class SlateRules:
    """The limits of the slate before the volume limits, and the bundles, over A actions, B bundles and C
    channels.

    limits            what both count
    room     C x K    what each of these lets into an answer, volume limits without their budgets
    bundled           the actions of the bundles, one bundle after the other
    begins   B + 1    where each begins there, and the end
    fixed    B        the code by which a fixed bundle keeps its actions out; 0 for a flexible one
    leads    A        the bundle that begins with an action, -1 where there is none
    follows  A        who stands in fixed bundles only
    tiers    A        0 before all others
    """

    limits: Counted
    room: NDArray[np.intp]
    bundles: tuple[Bundle, ...]
    bundled: NDArray[np.intp]
    begins: NDArray[np.intp]
    fixed: NDArray[np.intp]
    leads: NDArray[np.intp]
    follows: NDArray[np.bool_]
    tiers: NDArray[np.intp]

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
        leads = np.full(actions, NOBODY, np.intp)
        leads[[bundle.lead for bundle in bundles]] = np.arange(len(bundles))
        follows = np.zeros(actions, np.bool_)
        follows[[action for bundle in bundles if bundle.fixed for action in bundle.actions[1:]]] = True
        room = np.full((channels, len(covered)), UNLIMITED, np.intp)
        for at, limit in enumerate(limits):
            room[limit.channels, at] = limit.at_most
        return cls(
            limits=Counted.of(counted, np.concatenate(codes), bundles),
            room=room,
            bundles=bundles,
            bundled=np.array([action for bundle in bundles for action in bundle.actions], np.intp),
            begins=np.cumsum([0, *(len(bundle.actions) for bundle in bundles)]),
            fixed=np.array(
                [first_bundle + at if bundle.fixed else 0 for at, bundle in enumerate(bundles)], np.intp
            ),
            leads=leads,
            follows=follows,
            tiers=np.zeros(actions, np.intp) if policy.tiers is None else policy.tiers.astype(np.intp),
        )

    def drop_incomplete(self, removed_by: NDArray[np.int32]) -> None:
        """Take out (in place, n x A) what is left of fixed bundles of which an action is out."""
        for bundle, code in zip(self.bundles, self.fixed.tolist(), strict=True):
            if bundle.fixed:
                left = removed_by[:, bundle.actions] == 0
                broken = left & ~left.all(axis=1, keepdims=True)
                removed_by[:, bundle.actions] = np.where(broken, code, removed_by[:, bundle.actions])
