"""The policies of a synthetic workspace that uses every kind there is: what a benchmark has to decide by.

Each action has a rule of eligibility, of applicability and of suitability, dealt from a pool of predicates
that most customers fulfil; together they leave about 60 % of the actions to a customer.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_store.schema import Feature, FeatureSchema, FeatureType, Source
from service.world.offers import Offers

Floats = NDArray[np.float64]
Predicate = tuple[str, float]
"""An expression, and the share of customers for whom it holds."""

PREDICATES = 60
STAGES = ("eligibility", "applicability", "suitability")
QUANTILES = (0.05, 0.1, 0.15, 0.2, 0.25)
USUAL = (0.75, 0.95)
"""Between these shares of the customers fulfil a predicate: 0.85 to the third power is about 60 %."""

EXPERIMENTS: dict[str, Any] = {
    "universal_control": {
        "description": "What all selling together is worth",
        "namespace": "holdout",
        "unit": "customer",
        "arms": {"control": {"share": "2%", "withhold": {"issues": ["sales"]}}},
    },
    "standing_arms": {
        "description": "What rules and models are worth, each against everybody else",
        "namespace": "arbitration",
        "unit": "customer",
        "arms": {
            "random_eligible": {"from": "0%", "share": "0.5%", "conduct": "random_eligible"},
            "propensity_only": {"from": "1%", "share": "0.5%", "conduct": "propensity_only"},
        },
    },
}


def synthetic_policies(
    rng: np.random.Generator, schema: FeatureSchema, offers: Offers, sample: Floats
) -> dict[str, Any]:
    """What policies.yaml has besides arbitration: rules, consent, contact policies and so on.

    `sample` is X of some customers, shape (n, schema.width), on whom the rules are drawn.
    """
    pool = predicates(rng, schema, sample)
    first = offers.actions[0]
    return {
        **_rules(rng, offers, [expression for expression, _ in pool]),
        "consent": {
            "marketing": {
                "description": "Being advertised to",
                "channels": ["web", "email"],
                "issues": [first.issue],
                "unknown": "granted",
            }
        },
        "contact_policies": _contact_policies(first.issue),
        "volume_limits": [{"name": "stock", "action": first.name, "at_most": 1_000_000_000, "per": "day"}],
        "exploration": {"method": "thompson", "share": 0.2, "floor": 0.005},
    }


def predicates(rng: np.random.Generator, schema: FeatureSchema, sample: Floats) -> list[Predicate]:
    """Up to `PREDICATES` different expressions that most of a sample fulfil, fewer where features are few."""
    low, high = USUAL
    stored = (feature for feature in schema.features if feature.source is not Source.CONTEXT)
    found = [
        (expression, share)
        for feature in stored
        for expression, share in _of_feature(feature, sample[:, schema.slice(feature.name)])
        if low <= share <= high
    ]
    chosen = rng.permutation(len(found))[:PREDICATES]
    return [found[position] for position in chosen]


def _of_feature(feature: Feature, values: Floats) -> Iterator[Predicate]:
    """Predicates of one feature with values (n, feature.width): who has none fulfils them."""
    name = f"customer.{feature.name}"
    match feature.type:
        case FeatureType.NUMBER:
            known = values[~np.isnan(values)]
            for limit in np.unique(np.quantile(known, QUANTILES).round(3)) if len(known) else ():
                yield f"!has({name}) || {name} > {float(limit)!r}", 1 - float((values <= limit).mean())
        case FeatureType.CATEGORY:
            for code, level in enumerate(feature.levels):
                yield f'!has({name}) || {name} != "{level}"', 1 - float((values == code).mean())
        case FeatureType.SET:
            for column, member in enumerate(feature.members):
                yield f'!has({name}) || !("{member}" in {name})', 1 - float((values[:, column] == 1).mean())


def _rules(rng: np.random.Generator, offers: Offers, pool: list[str]) -> Mapping[str, Any]:
    if not pool:
        return {}
    expressions = _deal(rng, pool)
    rules: dict[str, list[dict[str, str]]] = {stage: [] for stage in STAGES}
    for action in offers.actions:
        for stage in STAGES:
            rules[stage].append(
                {
                    "name": f"{action.name}_{stage}",
                    "action": action.name,
                    "when": next(expressions),
                    "description": f"The {stage} of {action.name}",
                }
            )
    return rules


def _deal(rng: np.random.Generator, pool: list[str]) -> Iterator[str]:
    """The pool without an end, shuffled anew each time: all are used, and as often."""
    while True:
        yield from (pool[position] for position in rng.permutation(len(pool)))


def _contact_policies(issue: str) -> dict[str, Any]:
    """Three caps and a pause, all by the customer; where the history can't be read they let pass."""
    common = {"channels": ["web"], "without_history": "allow"}
    return {
        "caps": [
            {"name": "action_a_week", "at_most": 1, "of": ["impression"], "within": "7d", "per": "action"}
            | common,
            {"name": "web_a_day", "at_most": 40, "of": ["impression"], "within": "24h", "per": "channel"}
            | common,
            {"name": "group_a_fortnight", "at_most": 20, "of": ["impression"], "within": "14d"}
            | {"per": "group", "issue": issue}
            | common,
        ],
        "pauses": [
            {"name": "no_means_no", "issue": issue, "after": 1, "of": ["reject"], "pause": "90d"}
            | {"per": "action", "without_history": "allow"}
        ],
    }
