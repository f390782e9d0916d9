"""Derived features: what models and rules make of all that is known, before anything else is decided."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.calibration import HeadCalibration
from models.layout import Layout
from models.quickscorer import Panel
from models.scorers import CompiledScorer, Scorer
from models.tables import BoundForest
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
class Shown:
    """A column of X that shows a head of a model times `scale`; `default` stands where it says nothing."""

    column: int
    default: float
    model: int
    head: int
    scale: float


@dataclass(frozen=True)
class Guessed:
    """A column of X that shows the most probable level of a model, by the code of each of its heads, unless
    the context states one."""

    column: int
    default: float
    model: int
    codes: Floats
    stated: Stated | None

    def write(self, X: Floats, scores: Floats) -> None:
        """Write the column from the scores of the model, shape (n, heads)."""
        found = np.where(np.isnan(scores[:, 0]), np.nan, self.codes[scores.argmax(axis=1)])
        if self.stated is not None:
            found = self.stated.overrule(X, found)
        X[:, self.column] = np.where(np.isnan(found), self.default, found)


@dataclass(frozen=True)
class Scores:
    """What models say, all that machine code can score in one call. `columns` and `moments` are how wide X
    is, and which of it are timestamps."""

    models: tuple[BoundCustomerModel, ...]
    shown: tuple[Shown, ...]
    guessed: tuple[Guessed, ...]
    columns: int
    moments: NDArray[np.intp]

    def fill(self, X: Floats, now: Floats, scored: NDArray[np.bool_]) -> None:
        """See `Step`."""
        scores = self._calibration.apply(self._margins(X, now, scored))
        if self.shown:
            columns, heads, scales, defaults = self._places
            found = scores.take(heads, axis=1) * scales
            X[:, columns] = np.where(np.isnan(found), defaults, found)
        for guess in self.guessed:
            guess.write(X, scores[:, self._ends[guess.model] : self._ends[guess.model + 1]])

    def _margins(self, X: Floats, now: Floats, scored: NDArray[np.bool_]) -> Floats:
        """Of each head, shape (n, heads); NaN for who is not asked about."""
        asked = np.repeat(scored[:, None], self._ends[-1], axis=1)
        for first, end, column in self._spared:
            asked[:, first:end] &= np.isnan(X[:, column])[:, None]
        margins = np.full(asked.shape, np.nan)
        if self._panel is not None:
            self._panel.score(X, now, np.zeros(len(X), np.intp), asked, margins)
        for head, owner, scorer in self._others:
            rows = np.flatnonzero(asked[:, head])
            nothing = np.full(len(rows), np.nan)
            inputs = self.models[owner].layout.rows(X, rows, now[rows], nothing, nothing)
            margins[rows, head] = scorer.margins(inputs)
        return margins

    @cached_property
    def _spared(self) -> list[tuple[int, int, int]]:
        """The heads of models of which nobody is asked about whose context has said it, and its column."""
        needed = {shown.model for shown in self.shown}
        said: dict[int, set[int | None]] = {}
        for guess in self.guessed:
            column = guess.stated.column if guess.stated is not None else None
            said.setdefault(guess.model, set()).add(column)
        return [
            (self._ends[model], self._ends[model + 1], column)
            for model, columns in said.items()
            if model not in needed and len(columns) == 1
            for column in columns
            if column is not None
        ]

    @cached_property
    def _calibration(self) -> HeadCalibration:
        return HeadCalibration.together([model.calibration for model in self.models])

    @cached_property
    def _places(self) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats, Floats]:
        """Of what is shown: its columns, heads, scales and defaults."""
        return (
            np.array([shown.column for shown in self.shown], np.intp),
            np.array([self._ends[shown.model] + shown.head for shown in self.shown], np.intp),
            np.array([shown.scale for shown in self.shown]),
            np.array([shown.default for shown in self.shown]),
        )

    @cached_property
    def _ends(self) -> list[int]:
        """Where the heads of each model begin, and the last ones end."""
        return list(accumulate((len(model.scorers) for model in self.models), initial=0))

    @cached_property
    def _heads(self) -> list[tuple[int, int, Scorer]]:
        """Each head with the number of its model."""
        pairs = [(owner, scorer) for owner, model in enumerate(self.models) for scorer in model.scorers]
        return [(head, owner, scorer) for head, (owner, scorer) in enumerate(pairs)]

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
