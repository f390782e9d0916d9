"""What one worker holds of a budget that all workers share, in one period."""

import math
from typing import Protocol

from feature_store.budgets import Claim, Standing
from feature_store.store import StoreUnavailable
from service.decisioning.periods import Period, Span

STARVES_FOR = 2.0
"""Seconds for which something that could not be spent is waited for."""
YIELDS_FOR = 10.0
"""Seconds after another worker starved for which an idle one is ready to give back what it holds."""
KEPT = 2 * 86_400.0
"""Seconds after its period for which a counter can still be looked at."""
LONGEST_KEPT = 4_000_000_000
"""Until the year 2096: what ends later is not forgotten before."""


class Budget(Protocol):
    """What is shared, in whole multiples of a unit."""

    @property
    def name(self) -> str: ...

    @property
    def counter(self) -> str:
        """The key of its counter, without the period."""

    @property
    def at_most(self) -> float: ...

    @property
    def unit(self) -> float: ...

    @property
    def block(self) -> float:
        """What a worker holds at most unspent: so much is lost when it is killed."""

    @property
    def period(self) -> Period: ...

    @property
    def available_without_store(self) -> bool: ...

    def ceiling(self, now: float) -> float:
        """How much may be spent by a time."""


class Purse:
    """Leased from the store, and spent.

    All amounts are totals of the period. `away` says that the last claim got no answer, and `needed` is what
    it should hold at least.
    """

    def __init__(self, budget: Budget, span: Span, worker: str) -> None:
        self.budget, self.span, self._worker = budget, span, worker
        self.leased = self.spent = 0.0
        self.away = False
        self.needed = 0.0
        self._all_leased = self._all_spent = self._told = 0.0
        self._number = 0
        self._spent_at_rest = 0.0
        self._starved_at = self._others_starved_at = -math.inf

    @property
    def left(self) -> float:
        """What can be spent at once."""
        return self.leased - self.spent

    @property
    def spent_by_all(self) -> float:
        """As far as it is known here: what all have told, and what this worker has not told yet."""
        return self._all_spent + self.spent - self._told

    @property
    def settled(self) -> bool:
        """Whether the store knows all, and has back all that is left."""
        return self.leased == self.spent == self._told

    def can_have_more(self, now: float) -> bool:
        """Whether it runs low, and there was more for it when the store last answered."""
        low = self.left < self.budget.block / 2 and self.span.has(now)
        return low and self.budget.ceiling(now) >= self._all_leased + self.budget.unit

    def starve(self, now: float) -> None:
        """Say that something could have been spent that was not there."""
        self._starved_at = now

    def rest(self) -> None:
        """Begin to watch afresh whether anything is spent."""
        self._spent_at_rest = self.spent

    def claim(self, now: float, *, leaves: bool = False) -> Claim:
        """What to say to the store now. One that leaves gives back what it does not need."""
        over = now >= self.span.end
        starves = now - self._starved_at < STARVES_FOR
        idle = self.spent == self._spent_at_rest and not starves and not self.needed
        yields = idle and now - self._others_starved_at < YIELDS_FOR
        wanted = self.spent if leaves or over else self.spent + max(self.budget.block, self.needed)
        # what may be given back is not spent any more, whether the answer comes or not
        self.leased = min(self.leased, self.spent if yields else wanted)
        self._number += 1
        return Claim(
            budget=f"{self.budget.counter}:{int(self.span.start)}",
            worker=self._worker,
            number=self._number,
            wanted=wanted,
            spent=self.spent,
            ceiling=0.0 if over else self.budget.ceiling(max(now, self.span.start)),
            unit=self.budget.unit,
            starves=starves,
            yields=yields,
            forgotten_at=min(self.span.end + KEPT, LONGEST_KEPT),
        )

    def heard(self, claim: Claim, standing: Standing | StoreUnavailable, now: float) -> None:
        """Take in the answer to the last claim, or that there was none."""
        self.away = isinstance(standing, StoreUnavailable)
        if isinstance(standing, StoreUnavailable):
            return
        self.leased = standing.mine
        self._all_leased, self._all_spent = standing.leased, standing.spent
        self._told = claim.spent
        self._others_starved_at = now - standing.starved
        if self.left >= self.budget.unit:
            self._starved_at = -math.inf
