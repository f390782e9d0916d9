"""Exploration: how a choice among candidates is left to chance, with known probabilities."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exploration:
    """How the candidates of a turn are chosen from. `none` takes the highest priority."""

    method: str = "none"
