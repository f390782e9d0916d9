"""The answer to a request, as the runtime has it."""

from collections.abc import Mapping
from typing import Any, Self

import msgspec

from service.decisioning.experiments import DEFAULT_ARM
from service.decisioning.offers import Promise
from service.decisioning.pipeline import Decisions
from service.decisioning.snapshot import Snapshot
from service.runtime.chosen import Chosen
from service.runtime.requests import CheckedRequest, DecisionRequest

FEATURES_TIMEOUT, FEATURES_UNAVAILABLE, FEATURES_INCOMPLETE, SCORING_DEADLINE = (
    "features:timeout",
    "features:unavailable",
    "features:incomplete",
    "scoring:deadline",
)


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The answer to one request: a row of the batch that it was decided in. Durations are in seconds."""

    decision_id: str
    request: DecisionRequest
    checked: CheckedRequest
    snapshot: Snapshot
    chosen: Chosen
    row: int
    known: bool
    degraded: tuple[str, ...]
    decided_at: float
    features_seconds: float
    scoring_seconds: float
    total_seconds: float
    account_id: str | None = None
    """The account for which contacts count, too."""
    experiments: Mapping[str, str] = {}
    """The arm of each experiment that the customer takes part in."""
    arm: str = DEFAULT_ARM
    """The arm that the decision counts under."""

    @property
    def decisions(self) -> Decisions:
        """Those of its batch."""
        return self.chosen.decisions

    def but(self, **changes: Any) -> Self:
        """The same decision with other values in some fields."""
        return msgspec.structs.replace(self, **changes)

    def offer(self, action: int) -> Promise | None:
        """The terms on which an action is offered; None: it has no offers."""
        offered = self.decisions.offered
        return None if offered is None else offered.of(self.row, action)

    @property
    def mode(self) -> str:
        if self.is_fallback:
            return "fallback"
        return "degraded" if self.degraded else "full"

    @property
    def scored(self) -> bool:
        """Whether there was time for the models to speak."""
        return SCORING_DEADLINE not in self.degraded

    @property
    def is_fallback(self) -> bool:
        """Whether there is something in the answer, and nothing but fallbacks."""
        return self.chosen.fallback[self.row]
