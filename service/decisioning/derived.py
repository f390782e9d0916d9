"""Derived features: what models and rules make of all that is known, before anything else is decided."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.calibration import HeadCalibration
from models.layout import Layout
from models.quickscorer import BoundForest, Panel
from models.scorers import CompiledScorer, Scorer
from service.decisioning.batch import Batch
from service.decisioning.rules.program import Program

Floats = NDArray[np.float64]


class Step(Protocol):
    """Features that can be made at the same time: they don't read each other."""

    def fill(self, X: Floats, now: Floats, scored: NDArray[np.bool_]) -> None:
        """Write their columns of X, shape (n, F); `scored`, shape (n,), says for whom there is time for
        models."""


@dataclass(frozen=True)
class BoundCustomerModel:
    """A model of customers bound to the live schema: a scorer for each head."""

    name: str
    version: str
    scorers: tuple[Scorer, ...]
    layout: Layout
    calibration: HeadCalibration

    @property
    def kind(self) -> str:
        """Which of the scorers serves it."""
        return self.scorers[0].kind


@dataclass(frozen=True)
class Stated:
    """A column of the context that says itself what would be predicted, and what its codes are here."""

    column: int
    codes: Floats

    def overrule(self, X: Floats, found: Floats) -> Floats:
        """What is stated, and where nothing is, what was found; shape (n,)."""
        said = X[:, self.column]
        known = ~np.isnan(said)
        return np.where(known, self.codes[np.where(known, said, 0.0).astype(np.intp)], found)


@dataclass(frozen=True)
class Output:
    """A column of X that shows what a model says: one of its heads times `scale`, or, with `codes` for each
    head, the most probable one. `default` stands where it says nothing."""

    column: int
    default: float
    head: int = 0
    scale: float = 1.0
    codes: Floats | None = None
    stated: Stated | None = None

    def write(self, X: Floats, scores: Floats) -> None:
        """Write the column from scores of shape (n, heads)."""
        if self.codes is None:
            found = scores[:, self.head] * self.scale
        else:
            found = np.where(np.isnan(scores[:, 0]), np.nan, self.codes[scores.argmax(axis=1)])
        if self.stated is not None:
            found = self.stated.overrule(X, found)
        X[:, self.column] = np.where(np.isnan(found), self.default, found)


@dataclass(frozen=True)
class Scores:
    """What models say, all that machine code can score in one call. `columns` and `moments` are how wide X
    is, and which of it are timestamps."""

    models: tuple[BoundCustomerModel, ...]
    outputs: tuple[tuple[Output, ...], ...]
    columns: int
    moments: NDArray[np.intp]

    def fill(self, X: Floats, now: Floats, scored: NDArray[np.bool_]) -> None:
        """See `Step`."""
        asked = [self._asked(outputs, X, scored) for outputs in self.outputs]
        margins = np.full((len(X), self._ends[-1]), np.nan)
        if self._panel is not None:
            candidates = np.stack(asked, axis=1).take(self._owners, axis=1)
            self._panel.score(X, now, np.zeros(len(X), np.intp), candidates, margins)
        for head, owner, scorer in self._others:
            rows = np.flatnonzero(asked[owner])
            nothing = np.full(len(rows), np.nan)
            inputs = self.models[owner].layout.rows(X, rows, now[rows], nothing, nothing)
            margins[rows, head] = scorer.margins(inputs)
        ends = self._ends
        for number, (model, outputs) in enumerate(zip(self.models, self.outputs, strict=True)):
            scores = model.calibration.apply(margins[:, ends[number] : ends[number + 1]])
            for output in outputs:
                output.write(X, scores)

    @staticmethod
    def _asked(outputs: Sequence[Output], X: Floats, scored: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Of whom a model has to be asked, shape (n,): not of those whose context has said it."""
        said = {output.stated.column if output.stated is not None else None for output in outputs}
        column = said.pop()
        return scored if said or column is None else scored & np.isnan(X[:, column])

    @cached_property
    def _ends(self) -> list[int]:
        """Where the heads of each model begin, and the last ones end."""
        return list(accumulate((len(model.scorers) for model in self.models), initial=0))

    @cached_property
    def _owners(self) -> NDArray[np.intp]:
        """The model of each head."""
        return np.repeat(np.arange(len(self.models)), np.diff(self._ends))

    @cached_property
    def _heads(self) -> list[tuple[int, int, Scorer]]:
        """Each head with the number of its model."""
        scorers = [scorer for model in self.models for scorer in model.scorers]
        return list(zip(range(len(scorers)), self._owners.tolist(), scorers, strict=True))

    @cached_property
    def _panel(self) -> Panel | None:
        forests = [
            BoundForest(
                scorer.forest,
                places=np.append(self.models[model].layout.columns, [0, 0]),  # no action, no channel
                actions=np.array([head]),
            )
            for head, model, scorer in self._heads
            if isinstance(scorer, CompiledScorer)
        ]
        return Panel(forests, self.columns, self.moments) if forests else None

    @cached_property
    def _others(self) -> list[tuple[int, int, Scorer]]:
        """The heads that are scored one by one."""
        return [entry for entry in self._heads if not isinstance(entry[2], CompiledScorer)]


@dataclass(frozen=True)
class Share:
    """The column of a segment by shares of a score: its code is how many of the `cuts`, the highest one
    first, the score does not reach."""

    column: int
    default: float
    of: int
    cuts: Floats

    def fill(self, X: Floats, now: Floats, scored: NDArray[np.bool_]) -> None:
        """See `Step`."""
        score = X[:, self.of]
        codes = (score[:, None] < self.cuts).sum(axis=1)
        X[:, self.column] = np.where(np.isnan(score), self.default, codes)


@dataclass(frozen=True)
class Segment:
    """The column of a segment by rules: the places of its conditions in a program, and their codes."""

    column: int
    default: float
    places: tuple[int, ...]
    codes: tuple[float, ...]


@dataclass(frozen=True)
class Segments:
    """Segments by rules, evaluated together."""

    program: Program
    segments: tuple[Segment, ...]

    def fill(self, X: Floats, now: Floats, scored: NDArray[np.bool_]) -> None:
        """See `Step`."""
        computed = self.program.run(X, now)
        for segment in self.segments:
            found = np.full(len(X), segment.default)
            for place, code in zip(reversed(segment.places), reversed(segment.codes), strict=True):
                found[computed[place]] = code
            X[:, segment.column] = found


@dataclass(frozen=True)
class Derived:
    """All derived features of a snapshot, in an order in which each reads only what is there.

    models   those that they take
    tracked  the names and columns of the segments that customers move between: those that don't depend on
             the context of a request
    """

    steps: tuple[Step, ...] = ()
    models: tuple[BoundCustomerModel, ...] = ()
    tracked: tuple[tuple[str, int], ...] = field(default=())

    def complete(self, batch: Batch) -> Batch:
        """The batch with its derived features."""
        if not self.steps:
            return batch
        X = batch.X.copy()
        self.fill(X, batch.now, batch.scored)
        return replace(batch, X=X)

    def fill(self, X: Floats, now: Floats, scored: NDArray[np.bool_] | None = None) -> None:
        """Write all derived columns of X, shape (n, F), whose others are there, with their defaults."""
        for step in self.steps:
            step.fill(X, now, np.ones(len(X), np.bool_) if scored is None else scored)
