"""What the slate has to keep to, beside the order of priorities: limits, tiers, bundles."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.decisioning.stages import Removal, Stage


@dataclass(frozen=True, eq=False)
class AnswerLimit:
    """At most `at_most` of some actions (A, bool) in one answer of some channels (C, bool), over all its
    placements."""

    name: str
    at_most: int
    actions: NDArray[np.bool_]
    channels: NDArray[np.bool_]
    description: str = ""

    @property
    def removal(self) -> Removal:
        """What it says of an action that it keeps out."""
        meaning = self.description or f"the answer has {self.at_most} of these already, and may not have more"
        return Removal(Stage.SLATE, f"limit:{self.name}", meaning, no_action="answer_limit_reached")


@dataclass(frozen=True, slots=True)
class Bundle:
    """Actions (indexes, the lead first) that stand together, in consecutive ranks of one placement.

    The lead competes with its own priority, and the others come with it. Of a `fixed` bundle all are chosen
    or none, and none but the lead competes; those of another one may also be chosen by themselves.
    """

    name: str
    actions: tuple[int, ...]
    fixed: bool
    description: str = ""

    @property
    def lead(self) -> int:
        return self.actions[0]

    @property
    def removal(self) -> Removal:
        """What it says of an action that it keeps out."""
        meaning = self.description or "not all actions of the bundle can stand together in a placement"
        return Removal(Stage.SLATE, f"bundle:{self.name}", meaning, no_action="bundle_incomplete")


@dataclass(frozen=True)
class SlatePolicy:
    """The rules of an answer as a whole.

    duplicates  whether an action may stand in several placements of an answer
    tiers       A  the tier of each action, 0 before all others; None: there are none
    """

    duplicates: bool = False
    limits: tuple[AnswerLimit, ...] = ()
    tiers: NDArray[np.int8] | None = None
    bundles: tuple[Bundle, ...] = ()

    @property
    def removals(self) -> tuple[Removal, ...]:
        """What keeps actions out of an answer: the limits, then the bundles."""
        return (*(limit.removal for limit in self.limits), *(bundle.removal for bundle in self.bundles))
