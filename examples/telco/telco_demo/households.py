"""Accounts: who lives together, where, and what they have subscribed to."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]
Texts = NDArray[np.str_]

MONTH = 30.4375 * 86400.0

SEGMENTS = {"youth": 0.12, "single": 0.2, "couple": 0.2, "family": 0.27, "senior": 0.15, "soho": 0.06}
SIZES = {
    "youth": [1.0],
    "single": [1.0],
    "couple": [0.25, 0.75],
    "family": [0.0, 0.22, 0.35, 0.3, 0.13],
    "senior": [0.58, 0.42],
    "soho": [0.6, 0.28, 0.12],
}
HOLDER_AGES = {
    "youth": (18, 26),
    "single": (24, 64),
    "couple": (24, 66),
    "family": (28, 57),
    "senior": (62, 91),
    "soho": (25, 66),
}
REGIONS = {"capital": 0.28, "coast": 0.18, "north": 0.16, "east": 0.14, "south": 0.16, "highlands": 0.08}
FIBRE_REACH = {
    "capital": 0.82,
    "coast": 0.66,
    "north": 0.55,
    "east": 0.5,
    "south": 0.46,
    "highlands": 0.16,
}
LANGUAGES = {
    "capital": {"en": 0.3, "nl": 0.3, "fr": 0.3, "de": 0.1},
    "coast": {"en": 0.15, "nl": 0.75, "fr": 0.05, "de": 0.05},
    "north": {"en": 0.12, "nl": 0.8, "fr": 0.03, "de": 0.05},
    "east": {"en": 0.1, "nl": 0.3, "fr": 0.05, "de": 0.55},
    "south": {"en": 0.1, "nl": 0.25, "fr": 0.6, "de": 0.05},
    "highlands": {"en": 0.05, "nl": 0.05, "fr": 0.5, "de": 0.4},
}
HAS_INTERNET = {
    "youth": 0.5,
    "single": 0.7,
    "couple": 0.8,
    "family": 0.9,
    "senior": 0.75,
    "soho": 0.95,
}
HAS_TV = {"youth": 0.15, "single": 0.35, "couple": 0.5, "family": 0.6, "senior": 0.68, "soho": 0.1}
FIBRE_TIERS = {
    "youth": [0.45, 0.4, 0.15],
    "single": [0.45, 0.43, 0.12],
    "couple": [0.35, 0.5, 0.15],
    "family": [0.2, 0.5, 0.3],
    "senior": [0.7, 0.27, 0.03],
    "soho": [0.15, 0.5, 0.35],
}
TIERS = ("fibre_100", "fibre_500", "fibre_1000")


@dataclass(frozen=True)
class Households:
    """One entry for each account, shape (accounts,)."""

    segment: Texts
    size: Indices
    holder_age: Indices
    region: Texts
    dwelling: Texts
    language: Texts
    fibre_available: Bools
    tenure_months: Indices
    months_to_end: Floats
    internet: Texts
    tv: Texts
    addons: dict[str, Bools]

    def __len__(self) -> int:
        return len(self.segment)


def draw_households(rng: np.random.Generator, customers: int) -> Households:
    """Accounts with exactly `customers` members together."""
    segment = pick(rng, SEGMENTS, customers)
    size = by(segment, {name: lambda n, p=p: 1 + rng.choice(len(p), n, p=p) for name, p in SIZES.items()})
    total = np.cumsum(size)
    accounts = int(np.searchsorted(total, customers)) + 1
    segment, size = segment[:accounts], size[:accounts].astype(np.intp)
    size[-1] -= int(total[accounts - 1]) - customers
    age = by(segment, {s: lambda n, a=a: rng.integers(a[0], a[1] + 1, n) for s, a in HOLDER_AGES.items()})
    region = pick(rng, REGIONS, accounts)
    language = by(region, {r: lambda n, p=p: pick(rng, p, n) for r, p in LANGUAGES.items()})
    dwelling = _dwellings(rng, segment, region)
    reach = look_up(region, FIBRE_REACH) - 0.15 * (dwelling == "detached")
    fibre = rng.random(accounts) < reach
    tenure = _tenure(rng, age.astype(np.intp))
    internet = _internet(rng, segment, fibre, tenure)
    online = internet != "none"
    tv = np.where(
        online & (rng.random(accounts) < look_up(segment, HAS_TV)),
        pick(rng, {"basic": 0.38, "family": 0.4, "sport": 0.22}, accounts),
        "none",
    )
    return Households(
        segment=segment,
        size=size,
        holder_age=age.astype(np.intp),
        region=region,
        dwelling=dwelling,
        language=language,
        fibre_available=fibre,
        tenure_months=tenure,
        months_to_end=_months_to_end(rng, tenure),
        internet=internet,
        tv=tv,
        addons=_addons(rng, segment, size, dwelling, online, tv != "none"),
    )


def _dwellings(rng: np.random.Generator, segment: Texts, region: Texts) -> Texts:
    town = pick(rng, {"flat": 0.7, "terraced": 0.25, "detached": 0.05}, len(segment))
    country = pick(rng, {"flat": 0.22, "terraced": 0.4, "detached": 0.38}, len(segment))
    home = np.where(region == "capital", town, country)
    return np.where((segment == "soho") & (rng.random(len(segment)) < 0.55), "office", home)


def _tenure(rng: np.random.Generator, age: Indices) -> Indices:
    """Whole months since the first contract, which nobody signs before 18."""
    months = 1 + rng.gamma(1.3, 42.0, len(age))
    return np.minimum(months, np.minimum(240, 1 + (age - 18) * 12)).astype(np.intp)


def _months_to_end(rng: np.random.Generator, tenure: Indices) -> Floats:
    """Months until the 24-month term ends; negative where it has run out and was not renewed."""
    into = tenure % 24
    lapsed = (tenure > 24) & (rng.random(len(tenure)) < 0.28)
    over = np.minimum(tenure - 24, rng.integers(0, 19, len(tenure)))
    return np.where(lapsed, -over, 24 - into).astype(np.float64)


def _internet(rng: np.random.Generator, segment: Texts, fibre: Bools, tenure: Indices) -> Texts:
    n = len(segment)
    tier = by(segment, {s: lambda m, p=p: rng.choice(TIERS, m, p=p) for s, p in FIBRE_TIERS.items()})
    still_dsl = rng.random(n) < 0.1 + 0.4 * (tenure > 48)
    without = np.where(rng.random(n) < 0.72, "dsl_50", "cable_5g")
    tariff = np.where(fibre, np.where(still_dsl, "dsl_50", tier), without)
    return np.where(rng.random(n) < look_up(segment, HAS_INTERNET), tariff, "none")


def _addons(
    rng: np.random.Generator, segment: Texts, size: Indices, dwelling: Texts, online: Bools, tv: Bools
) -> dict[str, Bools]:
    """Add-ons of the whole household."""

    def share(chance: Any, possible: Bools) -> Bools:
        return possible & (rng.random(len(segment)) < chance)

    soho = segment == "soho"
    return {
        "landline": share(np.where(segment == "senior", 0.62, np.where(soho, 0.5, 0.1)), online),
        "wifi_pods": share(np.where(dwelling == "detached", 0.25, 0.07), online),
        "safe_online": share(0.16, online),
        "kids_online": share(0.22, online & (segment == "family") & (size > 1)),
        "streaming_duo": share(np.where(tv, 0.22, 0.1), online & ~soho),
        "smart_home": share(np.where(dwelling == "detached", 0.12, 0.04), online & ~soho),
        "backup_4g": share(0.2, online & soho),
        "static_ip": share(0.28, online & soho),
    }


def pick(rng: np.random.Generator, shares: dict[str, float], n: int) -> Texts:
    """n names drawn by their shares."""
    return rng.choice(np.array(list(shares)), n, p=list(shares.values()))


def look_up(keys: Texts, table: dict[str, float]) -> Floats:
    """The table's number for each key."""
    names, inverse = np.unique(keys, return_inverse=True)
    return np.array([table[str(name)] for name in names])[inverse]


def by(keys: Texts, draws: dict[str, Any]) -> NDArray[Any]:
    """For each key a draw of its own kind: `draws[key](how_many)`."""
    parts = [(keys == key, draw) for key, draw in draws.items()]
    drawn = [(where, draw(int(where.sum()))) for where, draw in parts]
    result = np.empty(len(keys), np.result_type(*(values for _, values in drawn)))
    for where, values in drawn:
        result[where] = values
    return result
