"""What other policies would have earned with the very candidates that a decision had, by the truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

POLICIES = ("random", "rules only", "propensity only", "Arbiter", "Arbiter, no exploring", "oracle")
RANDOM, RULES, PROPENSITY, ARBITER, GREEDY, ORACLE = range(len(POLICIES))


@dataclass(frozen=True)
class Contest:
    """One choice among the k candidates that rules, consents and contact policies have left, and that no
    tier came before.

    number      how many decisions came before it
    day         from 0
    weight      k  what a response counts, C x V x L
    prior       k  the declared propensity
    propensity  k  what Arbiter takes it for
    true        k  what it is
    chosen         the place of what was offered
    """

    number: int
    day: int
    weight: Floats
    prior: Floats
    propensity: Floats
    true: Floats
    chosen: int

    @property
    def best(self) -> int:
        """The place of the highest priority."""
        return int((self.propensity * self.weight).argmax())

    def rewards(self) -> Floats:
        """What a choice of each of `POLICIES` is worth, on average over what the customer may do."""
        worth = self.true * self.weight
        return np.array(
            [
                worth.mean(),
                worth[(self.prior * self.weight).argmax()],
                worth[self.propensity.argmax()],
                worth[self.chosen],
                worth[self.best],
                worth.max(),
            ]
        )


@dataclass(frozen=True)
class Earned:
    """The rewards of `POLICIES` in m contests, in their order.

    number    m  how many decisions came before
    day       m
    rewards   m x policies
    explored  m  whether something else than the best was offered, so as to learn
    """

    number: NDArray[np.intp]
    day: NDArray[np.intp]
    rewards: Floats
    explored: NDArray[np.bool_]

    @classmethod
    def of(cls, contests: Sequence[Contest]) -> "Earned":
        """Of these contests."""
        return cls(
            number=np.array([contest.number for contest in contests], np.intp),
            day=np.array([contest.day for contest in contests], np.intp),
            rewards=np.array([contest.rewards() for contest in contests]).reshape(-1, len(POLICIES)),
            explored=np.array([contest.chosen != contest.best for contest in contests], np.bool_),
        )

    def of_day(self, day: int) -> "Earned":
        """The contests of one day."""
        rows = self.day == day
        return Earned(self.number[rows], self.day[rows], self.rewards[rows], self.explored[rows])

    def gain(self, policy: int = ARBITER) -> float:
        """How much of what the oracle earns above chance a policy earns, too."""
        return gain_of(self.rewards.sum(axis=0), policy)

    def cumulative(self, decisions: int) -> Floats:
        """The rewards of `decisions` decisions, summed up to each contest, m x policies: each contest stands
        for those around it."""
        share = decisions / max(len(self.number), 1)
        return np.cumsum(self.rewards, axis=0) * share

    def blocks(self, decisions: int, count: int) -> list[tuple[int, float]]:
        """After how many decisions which share of the oracle's gain was reached since the last of them."""
        edges = np.linspace(0, decisions, count + 1)[1:]
        block = np.searchsorted(edges, self.number, side="right").clip(max=count - 1)
        sums = np.array([self.rewards[block == place].sum(axis=0) for place in range(count)])
        return [(round(edge), gain_of(total)) for edge, total in zip(edges, sums, strict=True)]


def gain_of(total: Floats, policy: int = ARBITER) -> float:
    """The share of the oracle's gain over chance, of rewards summed up by policy."""
    possible = total[ORACLE] - total[RANDOM]
    return float((total[policy] - total[RANDOM]) / possible) if possible > 0 else float("nan")


def reached(blocks: Sequence[tuple[int, float]], aim: float) -> int | None:
    """After how many decisions the share was at the aim for good; None: it was not at the end."""
    below = [place for place, (_, share) in enumerate(blocks) if not share >= aim]
    place = below[-1] + 1 if below else 0
    return None if place == len(blocks) else blocks[place - 1][0] if place else 0
