"""How a derived feature is made of others, as features.yaml says it. What it names is checked where models
and rules are known."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ByModel:
    """What a model of the customer says, times `scale`: its score, or of a model of several levels the most
    probable one, or how probable the level `probability_of` is. Where the context has the feature `unless`,
    its level counts instead."""

    model: str
    scale: float = 1.0
    probability_of: str | None = None
    unless: str | None = None


@dataclass(frozen=True)
class ByRules:
    """The level of the first condition that holds: pairs of a level and a condition."""

    segments: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ByShares:
    """A level for each of the top shares (in whole percent) of those on whom the model of the score `of` was
    trained, from the highest scores down; the last level is everybody else's."""

    of: str
    percents: tuple[int, ...]


Derivation = ByModel | ByRules | ByShares
