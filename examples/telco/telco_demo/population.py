"""The customers of Telvara: members of households, what they own, pay and do."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feature_store.schema import FeatureSchema
from telco_demo.behaviour import add_behaviour
from telco_demo.frame import Bools, Floats, Frame
from telco_demo.households import MONTH, Households, Indices, Texts, by, draw_households, pick

PLANS = {"prepaid": 0.12, "mobile_s": 0.26, "mobile_m": 0.34, "mobile_l": 0.19, "unlimited": 0.09}
CHILD_PLANS = {"prepaid": 0.4, "mobile_s": 0.48, "mobile_m": 0.12, "mobile_l": 0.0, "unlimited": 0.0}
YOUNG_PLANS = {"prepaid": 0.08, "mobile_s": 0.14, "mobile_m": 0.34, "mobile_l": 0.28, "unlimited": 0.16}
OLD_PLANS = {"prepaid": 0.28, "mobile_s": 0.42, "mobile_m": 0.22, "mobile_l": 0.07, "unlimited": 0.01}
INTERESTS = {
    "football": 0.28,
    "cycling": 0.2,
    "films": 0.3,
    "series": 0.34,
    "gaming": 0.18,
    "music": 0.3,
    "travel": 0.26,
    "smart_home": 0.1,
}
PRICES = {
    "internet": {"dsl_50": 34, "cable_5g": 39, "fibre_100": 29, "fibre_500": 42, "fibre_1000": 55},
    "mobile": {"prepaid": 8, "mobile_s": 9, "mobile_m": 17, "mobile_l": 25, "unlimited": 35},
    "tv": {"basic": 7, "family": 14, "sport": 26},
    "addons": {
        "landline": 5,
        "wifi_pods": 6,
        "safe_online": 3,
        "kids_online": 4,
        "streaming_duo": 16,
        "smart_home": 9,
        "backup_4g": 12,
        "static_ip": 8,
    },
}


@dataclass(frozen=True)
class Population:
    """Customers with their features, and the account of each."""

    customers: Frame
    account: Indices
    """The number of each customer's account, ascending, shape (n,)."""


def draw_population(
    rng: np.random.Generator, schema: FeatureSchema, customers: int, now: float
) -> Population:
    """A population as it stands at `now` (epoch seconds); context features are missing."""
    homes = draw_households(rng, customers)
    account = np.repeat(np.arange(len(homes)), homes.size)
    first = np.cumsum(homes.size) - homes.size
    member = np.arange(customers) - first[account]
    people = Frame(schema, np.full((customers, schema.width), np.nan))
    age = _ages(rng, homes, account, member)
    plan = _plans(rng, homes, account, member, age)
    _add_person(rng, people, homes, account, member, age)
    _add_contract(rng, people, homes, account, plan, now)
    _add_products(rng, people, homes, account, plan, age)
    _add_spend(rng, people, homes, account, plan)
    _add_relation(rng, people, member == 0, age)
    add_behaviour(rng, people, account, now)
    _forget(rng, people)
    return Population(people, account)


def _ages(rng: np.random.Generator, homes: Households, account: Indices, member: Indices) -> Indices:
    """Partners are near the holder's age; in families the others are children, 17 years younger or more."""
    holder = homes.holder_age[account]
    partner = np.clip(holder + np.rint(rng.normal(0, 3.5, len(holder))), 18, 95)
    child = np.clip(rng.integers(8, 25, len(holder)), 8, holder - 17)
    single_parent = (homes.size == 2) & (rng.random(len(homes)) < 0.5)
    is_child = (homes.segment[account] == "family") & (
        (member > 1) | ((member == 1) & single_parent[account])
    )
    return np.where(member == 0, holder, np.where(is_child, child, partner)).astype(np.intp)


def _plans(
    rng: np.random.Generator, homes: Households, account: Indices, member: Indices, age: Indices
) -> Texts:
    """Everybody but a holder with home internet is a customer because of a SIM."""
    kind = np.select([age < 16, age < 31, age > 66], ["child", "young", "old"], "adult")
    tables = {"child": CHILD_PLANS, "young": YOUNG_PLANS, "old": OLD_PLANS, "adult": PLANS}
    plan = by(kind, {name: lambda n, p=p: pick(rng, p, n) for name, p in tables.items()})
    internet_only = (member == 0) & (homes.internet[account] != "none") & (rng.random(len(age)) < 0.36)
    return np.where(internet_only, "none", plan)


def _add_person(
    rng: np.random.Generator,
    people: Frame,
    homes: Households,
    account: Indices,
    member: Indices,
    age: Indices,
) -> None:
    minors = np.bincount(account, weights=age < 18)
    people.put("age", age)
    people.put("is_account_holder", member == 0)
    people.put("household_size", homes.size[account])
    people.put("children_at_home", minors[account] > 0)
    people.put_levels("segment", homes.segment[account])
    people.put("is_business", homes.segment[account] == "soho")
    people.put_levels("region", homes.region[account])
    people.put_levels("dwelling", homes.dwelling[account])
    people.put_levels("language", homes.language[account])
    sport = homes.tv[account] == "sport"
    tilt = {
        "football": 0.35 * sport,
        "cycling": 0.2 * sport,
        "gaming": 0.3 * (age < 30),
        "travel": 0.1 * (age > 45),
    }
    people.put_members(
        "interests", {k: rng.random(len(age)) < p + tilt.get(k, 0.0) for k, p in INTERESTS.items()}
    )


def _add_contract(
    rng: np.random.Generator, people: Frame, homes: Households, account: Indices, plan: Texts, now: float
) -> None:
    tenure = homes.tenure_months[account]
    since = now - (homes.tenure_months + rng.random(len(homes)) * 0.9) * MONTH
    term = (homes.internet[account] != "none") | ~np.isin(plan, ["none", "prepaid"])
    to_end = homes.months_to_end[account]
    people.put("customer_since", np.rint(since)[account])
    people.put("tenure_months", tenure)
    people.put("contract_end", np.rint(now + to_end * MONTH), term)
    people.put("months_to_contract_end", to_end, term)
    people.put("fibre_available", homes.fibre_available[account])


def _add_products(
    rng: np.random.Generator, people: Frame, homes: Households, account: Indices, plan: Texts, age: Indices
) -> None:
    n = len(people)
    mobile = plan != "none"
    device_age = np.where(mobile, np.minimum(np.rint(rng.exponential(22.0, n)), 96), np.nan)
    young_phone = device_age < 30
    people.put_levels("internet_tier", homes.internet[account])
    people.put_levels("mobile_plan", plan)
    people.put_levels("tv_package", homes.tv[account])
    brands = {"apple": 0.33, "samsung": 0.37, "google": 0.06, "xiaomi": 0.13, "other": 0.11}
    people.put_levels("device_brand", pick(rng, brands, n), mobile)
    people.put("device_age_months", device_age)
    people.put("device_is_5g", rng.random(n) < np.where(young_phone, 0.88, 0.22), mobile)
    people.put_members(
        "products",
        {
            "internet": homes.internet[account] != "none",
            "mobile": mobile,
            "tv": homes.tv[account] != "none",
            **{name: held[account] for name, held in homes.addons.items()},
            "device_insurance": mobile & young_phone & (rng.random(n) < 0.24),
            "cloud_storage": rng.random(n) < 0.1,
            "roaming_pass": mobile & people.has("interests", "travel") & (rng.random(n) < 0.12),
        },
    )


def _add_spend(
    rng: np.random.Generator, people: Frame, homes: Households, account: Indices, plan: Texts
) -> None:
    """The household's invoice: all that its members have, on one bill."""

    def price(kind: str, held: Texts) -> Floats:
        names, inverse = np.unique(held, return_inverse=True)
        return np.array([float(PRICES[kind].get(str(name), 0)) for name in names])[inverse]

    bill = price("internet", homes.internet) + price("tv", homes.tv)
    for name, held in homes.addons.items():
        bill += PRICES["addons"][name] * held
    own = price("mobile", plan) + 7 * people.has("products", "device_insurance")
    own += 5 * people.has("products", "cloud_storage")
    bill += np.bincount(account, weights=own)
    bill *= rng.lognormal(0.02, 0.08, len(bill))
    people.put("monthly_spend", np.round(bill, 2)[account])
    points = homes.tenure_months / 60 + bill / 80 + rng.normal(0, 0.3, len(bill))
    people.put("loyalty_tier", np.digitize(points, [1.9, 3.2])[account])


def _add_relation(rng: np.random.Generator, people: Frame, holder: Bools, age: Indices) -> None:
    """How they pay and how Telvara may talk to them; a household pays in one way."""
    n = len(people)
    account = np.cumsum(holder) - 1
    debit = rng.random(n) < 0.62
    method = np.where(debit, 0, np.where(rng.random(n) < 0.45, 1, 2))[holder][account]
    band = np.digitize(rng.normal(size=n) - 0.3 * (method == 0) + 0.4 * (age < 26), [0.3, 1.1, 1.9])
    app = rng.random(n) < np.clip(1.0 - 0.0115 * (age - 16), 0.12, 0.9)
    people.put("payment_method", method)
    people.put("credit_band", band[holder][account])
    people.put("paperless", (rng.random(n) < np.where(app, 0.75, 0.35))[holder][account])
    people.put("app_installed", app)
    people.put("push_opt_in", app & (rng.random(n) < 0.68))
    people.put("email_opt_in", (age >= 16) & (rng.random(n) < 0.64))


def _forget(rng: np.random.Generator, people: Frame) -> None:
    """Values that a real company would not have."""
    shares = {
        "age": 0.03,
        "dwelling": 0.07,
        "language": 0.01,
        "fibre_available": 0.02,
        "device_brand": 0.04,
        "device_is_5g": 0.05,
        "credit_band": 0.08,
        "wifi_score": 0.12,
        "interests": 0.3,
        "topics_viewed_30d": 0.06,
    }
    for name, share in shares.items():
        lost: NDArray[np.bool_] = rng.random(len(people)) < share
        people.X[lost, people.schema.slice(name)] = np.nan
