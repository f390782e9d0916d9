"""What contact policies count: which records of the history, and what of them together."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.decisioning.catalogue import Catalogue
from service.decisioning.touches import Kind, Vocabulary

Per = Literal["treatment", "action", "group", "issue", "channel", "everything"]
UNCOVERED = -1


@dataclass(frozen=True, slots=True)
class Scope:
    """What a policy covers, and which records it counts: None does not narrow it."""

    channels: tuple[str, ...] | None = None
    issue: str | None = None
    group: str | None = None
    action: str | None = None
    treatment: str | None = None

    def covered(self, catalogue: Catalogue) -> NDArray[np.bool_]:
        """C x A: what it is about."""
        channels = np.array([self.has_channel(channel.name) for channel in catalogue.channels], np.bool_)
        actions = np.array(
            [
                self.issue in (None, action.issue)
                and self.group in (None, action.group)
                and self.action in (None, action.name)
                for action in catalogue.actions
            ],
            np.bool_,
        )
        return channels[:, None] & actions

    def has_channel(self, name: str) -> bool:
        """Whether a channel is covered."""
        return self.channels is None or name in self.channels


@dataclass(frozen=True)
class Counting:
    """Which records count, and what is counted together.

    outcomes  whether each place of an outcome counts; the last stands for unknown ones
    per       the kind of name under whose places records are counted
    size      how many places there are, with one for unknown names
    keys      C x A, or T if `per` is treatment: the place under which each action (treatment) counts in each
              channel; -1 where the policy does not cover it
    only      by kind, whether each place of a name counts; the last stands for unknown ones
    """

    outcomes: NDArray[np.bool_]
    per: Per
    size: int
    keys: NDArray[np.intp]
    only: Mapping[Kind, NDArray[np.bool_]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, catalogue: Catalogue, vocabulary: Vocabulary, outcomes: Collection[str], per: Per, scope: Scope
    ) -> "Counting":
        """From names. A treatment in the scope needs `per` to be treatment."""
        wanted: dict[Kind, list[bool]] = {}
        if scope.channels is not None:
            wanted["channel"] = [name in scope.channels for name in vocabulary.channels]
        if scope.issue is not None:
            wanted["issue"] = [name == scope.issue for name in vocabulary.issues]
        if scope.group is not None:
            wanted["group"] = [name == scope.group for _, name in vocabulary.groups]
        if scope.action is not None:
            wanted["action"] = [name == scope.action for name in vocabulary.actions]
        if scope.treatment is not None:
            wanted["treatment"] = [name == scope.treatment for name in vocabulary.treatments]
        return cls(
            outcomes=np.array([*(name in outcomes for name in vocabulary.outcomes), False]),
            per=per,
            size=1 if per == "everything" else vocabulary.count(per) + 1,
            keys=_keys(catalogue, vocabulary, per, scope),
            only={kind: np.array([*names, False]) for kind, names in wanted.items()},
        )

    @property
    def of_treatments(self) -> bool:
        """Whether treatments are covered, instead of actions."""
        return self.per == "treatment"

    def wanted(self, vocabulary: Vocabulary) -> Mapping[Kind, NDArray[np.bool_]]:
        """By kind, the places of the names that count, also of those with the same hash as one that does; any
        name of a kind that is left out does."""
        wanted: Mapping[Kind, NDArray[np.bool_]] = {"outcome": self.outcomes, **self.only}
        return {kind: _by_hash(vocabulary.hashes(kind).hashes, names) for kind, names in wanted.items()}


def _by_hash(hashes: NDArray[np.uint64], names: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.append(np.isin(hashes, hashes[names[:-1]]), names[-1])


def _keys(catalogue: Catalogue, vocabulary: Vocabulary, per: Per, scope: Scope) -> NDArray[np.intp]:
    covered = scope.covered(catalogue)
    places: Sequence[int] | NDArray[np.intp]
    match per:
        case "treatment":
            return np.array(
                [
                    place
                    if covered[catalogue.channel_index[said.channel], catalogue.action_index[said.action]]
                    and scope.treatment in (None, said.name)
                    else UNCOVERED
                    for place, said in enumerate(catalogue.treatments)
                ],
                np.intp,
            )
        case "action":
            places = range(len(catalogue.actions))
        case "group":
            places = [vocabulary.groups.index((action.issue, action.group)) for action in catalogue.actions]
        case "issue":
            places = [vocabulary.issues.index(action.issue) for action in catalogue.actions]
        case "channel":
            places = np.arange(len(catalogue.channels))[:, None]
        case "everything":
            places = [0] * len(catalogue.actions)
    return np.where(covered, places, UNCOVERED)
