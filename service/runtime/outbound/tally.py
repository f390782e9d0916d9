"""What came of customers, counted."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import msgspec

MOST_TOLD = 100
"""Rows of which it is told why they are not decided for."""


@dataclass
class Tally:
    """customers   who were decided for
    answered    those of them who are offered something
    chosen      how often each action was chosen
    empty       why placements stay empty: how many, by reason
    unusable    values that can't be used and count as missing, by feature
    refused     rows that nobody could be decided for by, and of the first ones (number, why)
    """

    customers: int = 0
    answered: int = 0
    chosen: dict[str, int] = field(default_factory=dict)
    empty: dict[str, int] = field(default_factory=dict)
    unusable: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    refusals: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Count in what came of others."""
        self.customers += other.customers
        self.answered += other.answered
        self.chosen = _together(self.chosen, other.chosen)
        self.empty = _together(self.empty, other.empty)
        self.unusable = _together(self.unusable, other.unusable)
        self.refused += other.refused
        self.refusals = sorted([*self.refusals, *other.refusals])[:MOST_TOLD]

    @property
    def rows(self) -> int:
        """Of the table, as far as they are counted here."""
        return self.customers + self.refused

    def pack(self) -> bytes:
        """JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """The tally that `pack` made."""
        return msgspec.json.decode(packed, type=cls)


def _together(counts: Mapping[str, int], others: Mapping[str, int]) -> dict[str, int]:
    return dict(Counter(counts) + Counter(others))
