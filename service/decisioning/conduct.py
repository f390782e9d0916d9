"""Conducts: the ways to decide among which experiments choose."""

from dataclasses import dataclass, field
from typing import Literal

from service.decisioning.arbitration import Arbitration
from service.decisioning.exploration import Exploration
from service.decisioning.stages import Stage


@dataclass(frozen=True)
class Conduct:
    """One way to decide: how candidates are arbitrated and explored, which stages do not speak, and what
    takes the place of the model's propensity and of the priority."""

    arbitration: Arbitration = field(default_factory=Arbitration)
    exploration: Exploration = field(default_factory=Exploration)
    skips: frozenset[Stage] = frozenset()
    propensity: Literal["model", "random"] = "model"
    ranking: Literal["priority", "random"] = "priority"
