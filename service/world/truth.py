"""The true response probabilities of a synthetic world, for every customer, context and action.

The log-odds of an action are linear in K standardised terms of the customer and the context:
levels, steps, saturating curves, recencies, and products of two of them. All terms are shared; every action
has its own weights and intercept.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feature_store.documents import did_you_mean
from feature_store.schema import FeatureSchema, Source

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

CURVE, LEVEL, STEP, RECENCY = range(4)
"""Kinds of a base term: tanh((x - a) / b), x == a, x > a, exp(-(a - x) / b)."""


@dataclass(frozen=True)
class Terms:
    """How the K terms are made from X: first the base terms, then products of two base terms."""

    kind: NDArray[np.int8]
    column: Indices
    a: Floats
    b: Floats
    pairs: NDArray[np.intp]
    """Products: positions of two base terms each, shape (products, 2)."""
    centre: Floats
    scale: Floats

    def raw(self, X: Floats) -> Floats:
        """The terms before they are standardised, shape (n, K); a missing value makes a base term 0."""
        x = X[:, self.column]
        base = np.empty_like(x)
        for kind, curve in _CURVES.items():
            of = self.kind == kind
            base[:, of] = curve(x[:, of], self.a[of], self.b[of])
        base[np.isnan(x)] = 0.0
        return np.hstack([base, base[:, self.pairs[:, 0]] * base[:, self.pairs[:, 1]]])

    def standard(self, X: Floats) -> Floats:
        """The terms with mean 0 and deviation 1 over the world's population, shape (n, K)."""
        standard: Floats = (self.raw(X) - self.centre) / self.scale
        return standard


def _curve(x: Floats, a: Floats, b: Floats) -> Floats:
    curve: Floats = np.tanh((x - a) / b)
    return curve


def _level(x: Floats, a: Floats, b: Floats) -> Floats:
    level: Floats = (x == a).astype(np.float64)
    return level


def _step(x: Floats, a: Floats, b: Floats) -> Floats:
    step: Floats = (x > a).astype(np.float64)
    return step


def _recency(x: Floats, a: Floats, b: Floats) -> Floats:
    recency: Floats = np.exp(-np.maximum(a - x, 0.0) / b)
    return recency


_CURVES = {CURVE: _curve, LEVEL: _level, STEP: _step, RECENCY: _recency}


@dataclass(frozen=True)
class Truth:
    """The true probability of a positive outcome of an action, by the outcome family of its model.

    It does not depend on placement or rank.
    """

    schema: FeatureSchema
    actions: tuple[str, ...]
    terms: Terms
    weights: Floats
    """Shape (actions, K)."""
    intercepts: Floats
    """Shape (actions,)."""

    def probability(
        self, X: Floats, context: Mapping[str, object] | None, action: str | Sequence[str] | Indices
    ) -> Floats:
        """The true probability for each row of X, shape (n,).

        Args:
            X: Feature matrix in the schema's columns, shape (n, schema.width), with NaN where a value is
                missing, and without defaults filled in.
            context: Values of context features for all rows; a feature that is not named is missing. None
                takes the context columns of X as they are.
            action: One action for all rows, or one for each of them, by name or by position in `actions`.

        Raises:
            ValueError: X has another width, or a context value doesn't fit its feature.
            KeyError: an action or a context feature that the world has not.
        """
        rows = np.broadcast_to(self._positions(action), len(X))
        terms = self.terms.standard(self._with_context(X, context))
        return _logistic((terms * self.weights[rows]).sum(axis=1) + self.intercepts[rows])

    def probabilities(self, X: Floats, context: Mapping[str, object] | None = None) -> Floats:
        """The true probability of every action, shape (n, actions).

        One matrix product: the same as `probability` but for the last bits of its rounding.
        """
        terms = self.terms.standard(self._with_context(X, context))
        return _logistic(terms @ self.weights.T + self.intercepts)

    def _positions(self, action: str | Sequence[str] | Indices) -> Indices:
        if isinstance(action, np.ndarray) and action.dtype.kind in "iu":
            return action
        names = [action] if isinstance(action, str) else list(action)
        known = {name: position for position, name in enumerate(self.actions)}
        for name in names:
            if name not in known:
                raise KeyError(f"no action '{name}'{did_you_mean(name, self.actions)}")
        return np.array([known[name] for name in names], np.intp)

    def _with_context(self, X: Floats, context: Mapping[str, object] | None) -> Floats:
        if X.ndim != 2 or X.shape[1] != self.schema.width:
            raise ValueError(f"X must have {self.schema.width} columns, one for each of the schema's")
        if context is None:
            return X
        filled = X.copy()
        for feature in self.schema.by_source(Source.CONTEXT):
            filled[:, self.schema.slice(feature.name)] = np.nan
        for name, value in context.items():
            filled[:, self.schema.slice(name)] = self.schema.feature(name).encode(value)
        return filled

    def save(self, folder: Path) -> None:
        """Write truth.json (what the arrays belong to) and truth.npz."""
        about = {"features": self.schema.fingerprint, "actions": self.actions}
        (folder / "truth.json").write_text(json.dumps(about) + "\n", encoding="utf-8")
        arrays = {f"terms_{name}": getattr(self.terms, name) for name in Terms.__dataclass_fields__}
        np.savez(folder / "truth.npz", weights=self.weights, intercepts=self.intercepts, **arrays)


def load_truth(folder: Path) -> Truth:
    """The truth of the world that `write_world` wrote there.

    Raises:
        FileNotFoundError: the folder holds no synthetic world.
        ValueError: its features.yaml has been changed since.
    """
    about = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    schema = FeatureSchema.load(folder / "features.yaml")
    if schema.fingerprint != about["features"]:
        raise ValueError(f"{folder / 'features.yaml'} is not the one that truth.npz was made for")
    with np.load(folder / "truth.npz", allow_pickle=False) as arrays:
        terms = Terms(**{name: arrays[f"terms_{name}"] for name in Terms.__dataclass_fields__})
        return Truth(schema, tuple(about["actions"]), terms, arrays["weights"], arrays["intercepts"])


def _logistic(log_odds: Floats) -> Floats:
    probability: Floats = 1.0 / (1.0 + np.exp(-log_odds))
    return probability
