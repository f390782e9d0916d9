"""Draws the truth of a synthetic world: which terms count, and how much for which action."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from feature_store.schema import Feature, FeatureSchema, FeatureType, Source
from service.world.truth import CURVE, LEVEL, RECENCY, STEP, Terms, Truth

Floats = NDArray[np.float64]

MAX_FEATURES = 16
"""More features than this don't matter, as in life."""
PRODUCTS = 14
SPREAD = 0.9
"""Deviation of the log-odds of one action over the population."""
FAMILY_SHARE = 0.65
"""Part of an action's variance that it shares with the other actions of its model."""
YEAR = 365 * 86400.0


def draw_truth(
    rng: np.random.Generator, schema: FeatureSchema, actions: Sequence[str], models: Sequence[int], X: Floats
) -> Truth:
    """A truth for actions of the given models (by number), scaled on a sample X (n, schema.width)."""
    terms = _draw_terms(rng, schema, X)
    sample = terms.standard(X)
    family = _sparse(rng, max(models) + 1, sample.shape[1])[np.array(models)]
    own = _sparse(rng, len(actions), sample.shape[1])
    weights = _scaled(np.sqrt(FAMILY_SHARE) * family + np.sqrt(1 - FAMILY_SHARE) * own, sample)
    rates = np.clip(0.03 * np.exp(rng.normal(0.0, 0.65, len(actions))), 0.006, 0.18)
    return Truth(schema, tuple(actions), terms, weights, _intercepts(sample @ weights.T, rates))


def _draw_terms(rng: np.random.Generator, schema: FeatureSchema, X: Floats) -> Terms:
    stored = [f for f in schema.features if f.source is not Source.CONTEXT]
    picked = rng.permutation(len(stored))[:MAX_FEATURES]
    chosen = [*schema.by_source(Source.CONTEXT), *(stored[i] for i in sorted(picked))]
    base = [term for feature in chosen for term in _feature_terms(rng, feature, schema, X)]
    kind, column, a, b = (np.array(values) for values in zip(*base, strict=True))
    pairs = rng.integers(0, len(base), (PRODUCTS, 2))
    pairs = pairs[column[pairs[:, 0]] != column[pairs[:, 1]]]
    blank = np.zeros(len(base) + len(pairs))
    terms = Terms(kind.astype(np.int8), column.astype(np.intp), a, b, pairs, blank, blank + 1)
    raw = terms.raw(X)
    deviation = raw.std(axis=0)
    scale = np.where(deviation > 0.02, deviation, 1.0)  # a term that hardly varies must not blow up
    return Terms(terms.kind, terms.column, a, b, pairs, raw.mean(axis=0), scale)


def _feature_terms(
    rng: np.random.Generator, feature: Feature, schema: FeatureSchema, X: Floats
) -> list[tuple[int, int, float, float]]:
    """Base terms (kind, column, a, b) of one feature."""
    columns = range(schema.width)[schema.slice(feature.name)]
    known = X[:, columns[0]][~np.isnan(X[:, columns[0]])]
    match feature.type:
        case FeatureType.NUMBER:
            low, middle, high = np.quantile(known, [0.2, 0.5, 0.8]) if len(known) else (0.0, 0.5, 1.0)
            step = float(np.round(rng.uniform(low, high), 3))
            return [
                (CURVE, columns[0], float(middle), float(max(high - low, 1e-3))),
                (STEP, columns[0], step, 1.0),
            ]
        case FeatureType.FLAG:
            return [(LEVEL, columns[0], 1.0, 1.0)]
        case FeatureType.CATEGORY:
            levels = rng.permutation(len(feature.levels))[:2]
            return [(LEVEL, columns[0], float(level), 1.0) for level in sorted(levels)]
        case FeatureType.SET:
            members = rng.permutation(len(columns))[:2]
            return [(LEVEL, columns[member], 1.0, 1.0) for member in sorted(members)]
        case _:
            return [(RECENCY, columns[0], float(known.max()) if len(known) else 0.0, YEAR)]


def _sparse(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """Normal weights (rows, columns), most of them zero, but at least one of each row is not."""
    kept = rng.random((rows, columns)) < 0.3
    kept[np.arange(rows), rng.integers(0, columns, rows)] = True
    return np.where(kept, rng.normal(size=(rows, columns)), 0.0)


def _scaled(weights: Floats, sample: Floats) -> Floats:
    """Each action's weights, scaled so that its log-odds vary by `SPREAD` over the sample."""
    deviation = (sample @ weights.T).std(axis=0)
    scaled: Floats = weights * (SPREAD / np.where(deviation > 1e-9, deviation, 1.0))[:, None]
    return scaled


def _intercepts(log_odds: Floats, rates: Floats) -> Floats:
    """Intercepts with which each action's mean probability over the sample is its rate: by bisection."""
    low, high = np.full(len(rates), -20.0), np.full(len(rates), 10.0)
    for _ in range(26):
        middle = (low + high) / 2
        above = (1.0 / (1.0 + np.exp(-(log_odds + middle)))).mean(axis=0) > rates
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    intercepts: Floats = (low + high) / 2
    return intercepts
