"""What exploration may cost in a day, as a budget."""

from dataclasses import dataclass

from service.decisioning.periods import Daily, Period
from service.decisioning.snapshot import Snapshot

DAILY = Daily()
UNITS = 10_000
UNITS_PER_BLOCK = 200


@dataclass(frozen=True, slots=True)
class ExplorationCost:
    """`at_most` units of priority are given up in a day, as it comes. Without the store nothing more is."""

    at_most: float
    period: Period = DAILY
    name: str = "exploration"
    counter: str = "cost:{exploration}:day"
    available_without_store: bool = False

    @classmethod
    def of(cls, snapshot: Snapshot) -> "ExplorationCost | None":
        """What exploring may cost under a snapshot: the least that one of its conducts declares, for all of
        them together; None where nobody declares a limit."""
        explorations = [conduct.exploration for conduct in (snapshot.conduct, *snapshot.experiments.conducts)]
        declared = [
            found.daily_cost for found in explorations if found.has_means and found.daily_cost is not None
        ]
        return cls(min(declared)) if declared else None

    @property
    def unit(self) -> float:
        """The least that is counted."""
        return self.at_most / UNITS

    @property
    def block(self) -> float:
        """What a worker may hold without having spent it: 2 % of the day."""
        return self.unit * UNITS_PER_BLOCK

    def ceiling(self, now: float) -> float:
        """How much may be spent by a time."""
        return self.at_most
