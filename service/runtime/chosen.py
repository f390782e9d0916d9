"""What was chosen for a batch, as lists: it is answered, counted and logged from them."""

from collections.abc import Sequence
from functools import cached_property
from itertools import compress
from typing import Any, NamedTuple, Self

from service.decisioning.pipeline import Decisions


class Picks(NamedTuple):
    """One element for each chosen action, in order of request, slot and rank; see `Slate` and `Factors`."""

    row: list[int]
    slot: list[int]
    action: list[int]
    treatment: list[int]
    rank: list[int]
    bundle: list[int]
    position: list[int]
    propensity: list[float]
    predicted: list[float]
    context_weight: list[float]
    value: list[float]
    lever: list[float]
    priority: list[float]
    selection_probability: list[float]

    @classmethod
    def none(cls) -> Self:
        """Those of nobody yet."""
        return cls(*([] for _ in cls._fields))


class Empty(NamedTuple):
    """One element for each slot that stays empty, with the code of the removal that left it so."""

    row: list[int]
    slot: list[int]
    code: list[int]

    @classmethod
    def none(cls) -> Self:
        """Those of nobody yet."""
        return cls(*([] for _ in cls._fields))


class Chosen:
    """The decisions of a batch, gathered from their columns at the first use, and once for all requests."""

    def __init__(self, decisions: Decisions) -> None:
        self.decisions = decisions

    @cached_property
    def picks(self) -> Picks:
        """Of all requests."""
        slate, factors = self.decisions.slate, self.decisions.factors
        places = (
            slate.row,
            slate.slot,
            slate.action,
            slate.treatment,
            slate.rank,
            slate.bundle,
            slate.position,
        )
        at = slate.row, slate.action
        propensity = factors.propensity[at]
        corrected = self.decisions.batch.corrections is not None
        predicted = self.decisions.predicted[at] if corrected else propensity
        numbers = (
            propensity, predicted, factors.context_weight[at], factors.value[at], factors.lever[at],
            factors.priority[at], slate.selection_probability,
        )  # fmt: skip
        return Picks(*(column.tolist() for column in (*places, *numbers)))

    @cached_property
    def empty(self) -> Empty:
        """Of all requests."""
        slate = self.decisions.slate
        return Empty(slate.empty_row.tolist(), slate.empty_slot.tolist(), slate.empty_code.tolist())

    @cached_property
    def fallback(self) -> list[bool]:
        """Who is offered something, and nothing but fallbacks."""
        fallback = self.decisions.fallback
        return [False] * len(self.decisions.batch) if fallback is None else fallback.tolist()

    def picks_of(self, row: int) -> Sequence[tuple[Any, ...]]:
        """What was chosen for one request: the elements of `Picks`, pick by pick."""
        return self._picks_by_row.get(row, ())

    def empty_of(self, row: int) -> dict[int, int]:
        """Of one request, by slot without an action the code of the removal that left it so."""
        return self._empty_by_row.get(row, {})

    def among(self, rows: Sequence[int]) -> tuple[Picks, Empty]:
        """Of some requests, which are then numbered as they are given."""
        if rows == [*range(len(self.decisions.batch))]:
            return self.picks, self.empty
        places = {row: place for place, row in enumerate(rows)}
        return Picks(*_placed(self.picks, places)), Empty(*_placed(self.empty, places))

    @cached_property
    def _picks_by_row(self) -> dict[int, list[tuple[Any, ...]]]:
        found: dict[int, list[tuple[Any, ...]]] = {}
        for pick in zip(*self.picks, strict=True):
            found.setdefault(pick[0], []).append(pick)
        return found

    @cached_property
    def _empty_by_row(self) -> dict[int, dict[int, int]]:
        found: dict[int, dict[int, int]] = {}
        for row, slot, code in zip(*self.empty, strict=True):
            found.setdefault(row, {})[slot] = code
        return found


def _placed(columns: tuple[list[Any], ...], places: dict[int, int]) -> list[list[Any]]:
    """The elements of rows that have a place, in the terms of it; the first column is the row."""
    rows, *others = columns
    kept = [row in places for row in rows]
    return [[places[row] for row in compress(rows, kept)], *(list(compress(c, kept)) for c in others)]
