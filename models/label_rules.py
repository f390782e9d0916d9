"""What a response is, and for how long one counts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

DEFAULT_WINDOW = 7 * 86_400.0
"""Seconds."""
IMPRESSION = "impression"
"""The outcome that says that an offer was seen."""


@dataclass(frozen=True)
class LabelRules:
    """What a workspace says of labels.

    families    by name of a model, the outcomes that are a response
    actions     by name of an action, its family; an action that has none is left out
    windows     by name of an action, for how many seconds after its decision an outcome counts
    impressions the channels that report impressions
    otherwise   the family of an action that has none; without it, such an action has no response
    """

    families: Mapping[str, Sequence[str]]
    actions: Mapping[str, str]
    windows: Mapping[str, float] = field(default_factory=dict)
    impressions: Collection[str] = ()
    default_window: float = DEFAULT_WINDOW
    otherwise: str | None = None

    def __post_init__(self) -> None:
        if not self.families:
            raise ValueError("there is nothing to label: no model says which outcomes are a response")
