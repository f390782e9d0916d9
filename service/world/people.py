"""Synthetic customers: features of every type whose values hang together through a few latent traits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_store.schema import Feature, FeatureSchema, FeatureType, Source

Floats = NDArray[np.float64]

EPOCH = 1_767_225_600.0
"""When synthetic time stands still: 2026-01-01T00:00:00Z. A world depends on its seed, not on the day."""
DAY = 86400.0
TRAITS = 4

_KINDS = [
    (FeatureType.NUMBER, Source.PROFILE),
    (FeatureType.NUMBER, Source.BEHAVIOUR),
    (FeatureType.CATEGORY, Source.PROFILE),
    (FeatureType.FLAG, Source.PROFILE),
    (FeatureType.SET, Source.PROFILE),
    (FeatureType.TIMESTAMP, Source.BEHAVIOUR),
    (FeatureType.NUMBER, Source.BEHAVIOUR),
    (FeatureType.FLAG, Source.BEHAVIOUR),
    (FeatureType.NUMBER, Source.PROFILE),
    (FeatureType.CATEGORY, Source.BEHAVIOUR),
    (FeatureType.NUMBER, Source.BEHAVIOUR),
    (FeatureType.TIMESTAMP, Source.PROFILE),
]
"""Types and sources go round in this order, so that a small world has a mix of them, too."""

CONTEXT = (
    Feature(
        "page",
        FeatureType.CATEGORY,
        Source.CONTEXT,
        levels=("home", "search", "product", "cart", "account"),
        description="Page of the site",
    ),
    Feature(
        "device",
        FeatureType.CATEGORY,
        Source.CONTEXT,
        levels=("desktop", "phone", "tablet"),
        description="Device of the visitor",
    ),
    Feature("cart_value", FeatureType.NUMBER, Source.CONTEXT, description="Value of the basket in EUR"),
)


def synthetic_features(rng: np.random.Generator, count: int) -> FeatureSchema:
    """A schema of `count` features in all, the three context features among them."""
    features = []
    for position in range(count - len(CONTEXT)):
        kind, source = _KINDS[position % len(_KINDS)]
        name = f"{source}_{kind}_{position + 1}"
        size = int(rng.integers(3, 9))
        levels = tuple(f"l{i + 1}" for i in range(size)) if kind is FeatureType.CATEGORY else ()
        members = tuple(f"m{i + 1}" for i in range(size)) if kind is FeatureType.SET else ()
        text = f"Synthetic {kind}, {source} feature {position + 1}"
        features.append(Feature(name, kind, source, levels=levels, members=members, description=text))
    return FeatureSchema((*features, *CONTEXT))


class People:
    """The joint distribution of the customers of one world."""

    def __init__(self, rng: np.random.Generator, schema: FeatureSchema) -> None:
        self._schema = schema
        count = len(schema.features)
        self._loadings = rng.normal(0.0, 0.5, (count, TRAITS))
        self._shape = rng.integers(0, 4, count)
        self._size = np.round(rng.uniform(1.0, 60.0, count), 1)
        self._share = rng.uniform(0.1, 0.6, count)
        self._missing = np.where(rng.random(count) < 0.4, rng.uniform(0.02, 0.25, count), 0.0)

    def draw(self, rng: np.random.Generator, n: int) -> Floats:
        """X of n customers, shape (n, schema.width); context columns are NaN."""
        X = np.full((n, self._schema.width), np.nan)
        traits = rng.normal(size=(n, TRAITS))
        for position, feature in enumerate(self._schema.features):
            if feature.source is Source.CONTEXT:
                continue
            score = (traits @ self._loadings[position] + rng.normal(size=n)) / np.sqrt(2.0)
            values = self._values(rng, position, feature, score)
            values[rng.random(n) < self._missing[position]] = np.nan
            X[:, self._schema.slice(feature.name)] = values
        return X

    def _values(self, rng: np.random.Generator, position: int, feature: Feature, score: Floats) -> Floats:
        """Values (n, feature.width) from a standard normal score (n,)."""
        share, size = self._share[position], float(self._size[position])
        match feature.type:
            case FeatureType.NUMBER:
                return _number(int(self._shape[position]), size, score)[:, None]
            case FeatureType.FLAG:
                return _column(score > np.quantile(_NORMAL, 1 - share))
            case FeatureType.CATEGORY:
                shares = np.linspace(0, 1, len(feature.levels) + 1)[1:-1] ** 1.3
                return _column(np.searchsorted(np.quantile(_NORMAL, shares), score))
            case FeatureType.SET:
                noisy = score[:, None] + 1.5 * rng.normal(size=(len(score), feature.width))
                members: Floats = (noisy > 1.8 * np.quantile(_NORMAL, 1 - share)).astype(np.float64)
                return members
            case _:
                age = np.minimum(200.0 * np.exp(0.9 * score), 5000.0)
                return _column(EPOCH - np.rint(age * DAY))


_NORMAL = np.random.default_rng(0).normal(size=20_001)
"""A fixed normal sample to read quantiles from."""


def _number(shape: int, size: float, score: Floats) -> Floats:
    match shape:
        case 0:  # as a measure: symmetric
            return np.round(size + 0.3 * size * score, 2)
        case 1:  # as an amount: long tail
            return np.round(size * np.exp(0.8 * score), 2)
        case 2:  # as a count: many zeros
            return np.floor(np.maximum(0.0, 3.0 * np.exp(0.9 * score) - 1.5))
        case _:  # as a share: between 0 and 1
            return np.round(1.0 / (1.0 + np.exp(-1.3 * score)), 4)


def _column(values: NDArray[Any]) -> Floats:
    """Values (n,) as a column (n, 1)."""
    column: Floats = values.astype(np.float64)[:, None]
    return column
