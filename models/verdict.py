"""What the gate found: whether a challenger becomes champion, and why."""

from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from models.evaluation.bootstrap import Interval
from models.metrics import Metrics

VERDICT = "verdict.json"
"""The file beside a version that has it."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Difference(_Record):
    """By how much the challenger exceeds the champion, and between what that lies with 95 % confidence."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, interval: Interval) -> Self:
        """From an interval."""
        return cls(value=interval.value, low=interval.low, high=interval.high)

    def __str__(self) -> str:
        return f"{self.value:+.4f} ({self.low:+.4f} to {self.high:+.4f})"


class Comparison(_Record):
    """Both on the same decisions, those after `since`, which neither has learned from.

    `differences` are of log loss, ece and auc; `values`, by estimator, of what a decision earns in responses
    if the action that the model ranks first is chosen: empty where chance chose too little to tell.
    """

    since: AwareDatetime
    decisions: int
    customers: int
    challenger: Metrics
    champion: Metrics
    differences: dict[str, Difference]
    values: dict[str, Difference]


class Verdict(_Record):
    """`champion` is the version that served; without one there is nothing to compare with."""

    passed: bool
    champion: str | None = None
    reasons: tuple[str, ...]
    comparison: Comparison | None = None
