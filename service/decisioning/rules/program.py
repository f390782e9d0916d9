"""A program: all expressions of a workspace as few numpy calls as they have kinds of parts.

Instructions of one kind that wait for no others are done together, then those that waited for these, and so
on: the number of calls depends on how deep expressions are and of how many kinds of parts, not on how many.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.decisioning.rules.operations import KINDS, Group, Instruction, Operation, Tables

Array = NDArray[Any]
IDEMPOTENT = frozenset({"all", "any"})
"""Kinds to which it makes no difference if one of their columns is taken twice."""


class Columns:
    """What a program has computed for n requests: by its place, a column of doubles or of truth values, n.

    `flags` has all columns of truth values, one a row; see `Program.rows`.
    """

    def __init__(self, rows: Sequence[int], values: NDArray[np.float64], flags: NDArray[np.bool_]) -> None:
        self._rows, self._values, self.flags = rows, values, flags

    def __getitem__(self, place: int) -> Array:
        row = self._rows[place]
        found: Array = self.flags[row] if row >= 0 else self._values[~row]
        return found


class Program:
    """Operations in their order. Immutable: what is computed lives in the result of `run`."""

    def __init__(self, instructions: Sequence[Instruction] = ()) -> None:
        """The columns of the instructions, whose places are their numbers; each takes only such as stand
        before it."""
        keys = _keys(instructions)
        order = sorted(range(len(instructions)), key=keys.__getitem__)
        self._rows = _rows(instructions, order)
        self._flags = sum(row >= 0 for row in self._rows)
        self._operations = tuple(
            self._operation(instructions, list(members), taken, kind)
            for (_, kind, taken), members in groupby(order, key=keys.__getitem__)
        )

    def __len__(self) -> int:
        """How many operations there are."""
        return len(self._operations)

    def rows(self, places: Sequence[int]) -> NDArray[np.intp]:
        """Where in `Columns.flags` some columns of truth values stand, by their places."""
        return np.array([self._rows[place] for place in places], np.intp)

    def run(self, X: NDArray[np.float64], now: NDArray[np.float64]) -> Columns:
        """All columns for a batch: X has shape (n, features), now (n,)."""
        values = np.empty((len(self._rows) - self._flags, len(X)))
        flags = np.empty((self._flags, len(X)), np.bool_)
        tables = Tables(X.T, now, values, flags)
        with np.errstate(all="ignore"):
            for operation in self._operations:
                operation(tables)
        return Columns(self._rows, values, flags)

    def _operation(
        self, instructions: Sequence[Instruction], numbers: Sequence[int], taken: int, kind: str
    ) -> Operation:
        """What does all instructions of a depth and a kind that take as many columns."""
        rows = [_row(self._rows[number]) for number in numbers]
        of = np.array(
            [
                [_row(self._rows[argument]) for argument in _padded(instructions[number].of, taken)]
                for number in numbers
            ],
            np.intp,
        )
        literals = [instructions[number].literals for number in numbers]
        return KINDS[kind].make(Group(of.T.copy(), literals, slice(rows[0], rows[-1] + 1)))


def _keys(instructions: Sequence[Instruction]) -> list[tuple[int, str, int]]:
    """Of each instruction how deep it stands, its kind, and how many columns it takes, where that may be
    padded the next power of two."""
    keys: list[tuple[int, str, int]] = []
    for instruction in instructions:
        depth = 1 + max((keys[number][0] for number in instruction.of), default=-1)
        taken = len(instruction.of)
        if instruction.kind in IDEMPOTENT:
            taken = 1 << (taken - 1).bit_length()
        keys.append((depth, instruction.kind, taken))
    return keys


def _rows(instructions: Sequence[Instruction], order: Sequence[int]) -> list[int]:
    """The row of each instruction in its table, of doubles its complement."""
    rows, flags, values = [0] * len(instructions), 0, 0
    for number in order:
        if KINDS[instructions[number].kind].flags:
            rows[number], flags = flags, flags + 1
        else:
            rows[number], values = ~values, values + 1
    return rows


def _row(place: int) -> int:
    """The row in its table, of doubles or of truth values."""
    return place if place >= 0 else ~place


def _padded(of: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The first one once more, as often as it takes."""
    return of + of[:1] * (size - len(of))
