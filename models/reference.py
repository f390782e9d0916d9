"""The reference of a model: how its inputs and its score were spread over what it was not trained on.

What is served is counted into the same bins. How far the two are from one another says the population
stability index, the sum over bins of `(served - trained) * ln(served / trained)`; 0.1 is a shift to look at,
0.2 one to act on (Siddiqi, Credit Risk Scorecards, 2006).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Floats = NDArray[np.float64]

QUANTILES = 10
LEAST_SHARE = 1e-4
"""Of a bin: where nothing was met, the logarithm has no value."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spread(_Record):
    """How a column is spread: a value belongs to the bin of as many edges as it is greater than; the share of
    who has none comes last."""

    edges: tuple[float, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, values: Floats) -> Self:
        """Of n values, NaN where there is none: tenths, or single values where there are no more of them."""
        known = np.sort(values[~np.isnan(values)])
        distinct = np.unique(known)
        if len(distinct) <= QUANTILES:
            edges = (distinct[1:] + distinct[:-1]) / 2.0
        else:
            edges = np.unique(np.quantile(known, np.arange(1, QUANTILES) / QUANTILES))
        counts = np.diff([0, *known.searchsorted(edges, side="right"), len(known), len(values)])
        shares = np.round(counts / max(1, len(values)), 6)
        return cls(edges=tuple(edges.tolist()), shares=tuple(shares.tolist()))


class Reference(_Record):
    """The spreads of the columns of a model's features, in its order, and that of its score."""

    features: dict[str, Spread]
    score: Spread

    @classmethod
    def of(cls, columns: Sequence[str], rows: Floats, scores: Floats) -> Self:
        """Of n rows whose first columns have these names, and their n scores."""
        features = {name: Spread.of(rows[:, place]) for place, name in enumerate(columns)}
        return cls(features=features, score=Spread.of(scores))

    @property
    def bins(self) -> "Bins":
        """What counts into the bins of the features, and of the score at last."""
        return Bins((*self.features.values(), self.score))


@dataclass(frozen=True)
class Bins:
    """The bins of c columns, all as many as that with the most has, and one more for who has no value."""

    spreads: tuple[Spread, ...]

    @cached_property
    def _edges(self) -> Floats:
        """c x e, filled up by what nothing is greater than."""
        most = max(len(spread.edges) for spread in self.spreads)
        edges = np.full((len(self.spreads), most), np.inf)
        for row, spread in enumerate(self.spreads):
            edges[row, : len(spread.edges)] = spread.edges
        return edges

    @property
    def shape(self) -> tuple[int, int]:
        """c x (e + 2)."""
        columns, edges = self._edges.shape
        return columns, edges + 2

    @cached_property
    def shares(self) -> Floats:
        """Those of training, in the shape."""
        shares = np.zeros(self.shape)
        for row, spread in enumerate(self.spreads):
            shares[row, : len(spread.edges) + 1] = spread.shares[:-1]
            shares[row, -1] = spread.shares[-1]
        return shares

    def counts(self, values: Floats) -> Floats:
        """How many of n values (n x c) fall into each bin, in the shape."""
        columns, width = self.shape
        numbers = (values[:, :, None] > self._edges).sum(axis=2)
        numbers[np.isnan(values)] = width - 1
        numbers += np.arange(columns) * width
        return np.bincount(numbers.ravel(), minlength=columns * width).reshape(columns, width).astype(float)

    def instability(self, counts: Floats) -> Floats:
        """The population stability index of each column, (c,), of what was counted."""
        served = counts / np.maximum(1.0, counts.sum(axis=1, keepdims=True))
        served, trained = np.maximum(served, LEAST_SHARE), np.maximum(self.shares, LEAST_SHARE)
        found: Floats = ((served - trained) * np.log(served / trained)).sum(axis=1)
        return found
