"""How customers respond to offers of products, by hand, in log-odds; and to whom an offer is of no use."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from telco_demo.frame import Bools, Floats, Frame

Useless = Callable[[Frame], Bools]
Shift = Callable[[Frame], Floats]


@dataclass(frozen=True)
class Effect:
    """`useless`: who has it already or can't have it. `shift`: what makes it welcome, in log-odds."""

    useless: Useless
    shift: Shift


def near(values: Floats, centre: float, width: float) -> Floats:
    """A bump: 1 at the centre, fading to 0."""
    return np.exp(-(((values - centre) / width) ** 2))


def owns(product: str) -> Useless:
    return lambda c: c.has("products", product)


def _no_internet(c: Frame) -> Bools:
    return ~c.has("products", "internet")


def _no_mobile(c: Frame) -> Bools:
    return ~c.has("products", "mobile")


def _no_fibre(c: Frame) -> Bools:
    return c("fibre_available", 0.5) == 0


def _minor(c: Frame) -> Bools:
    return c("age", 40) < 18


def _ending(c: Frame) -> Floats:
    """1 when the contract is over, falling to 0 eight months before."""
    return np.clip(1 - c("months_to_contract_end", 12) / 8, 0, 1)


SALES = {
    "fibre_100": Effect(
        lambda c: ~_no_internet(c) | _no_fibre(c) | _minor(c),
        lambda c: (
            1.2 * c.has("topics_viewed_30d", "fibre")
            + 0.5 * (c("age", 40) > 60)
            - 0.3 * c("household_size", 1)
            + 0.9 * c.among("intent", "move", "buy")
        ),
    ),
    "fibre_500": Effect(
        lambda c: c.among("internet_tier", "fibre_500", "fibre_1000") | _no_fibre(c) | _minor(c),
        lambda c: (
            1.2 * c.has("topics_viewed_30d", "fibre")
            + 0.3 * (c("household_size", 1) - 2)
            + 0.8 * _ending(c) * ~_no_internet(c)
            + 0.7 * c.among("intent", "move", "buy", "upgrade")
            - 0.8 * (c("age", 40) > 70)
            + 0.5 * c.among("page", "internet")
        ),
    ),
    "fibre_1000": Effect(
        lambda c: c.among("internet_tier", "fibre_1000") | _no_fibre(c) | _minor(c),
        lambda c: (
            0.9 * c.has("interests", "gaming")
            + 0.6 * np.log1p(c("home_data_gb_30d", 80) / 150)
            + 0.012 * (c("monthly_spend", 80) - 80)
            + 0.8 * c.has("topics_viewed_30d", "fibre")
            - 1.2 * (c("age", 40) > 65)
        ),
    ),
    "home_5g": Effect(
        lambda c: (c("fibre_available", 0.5) == 1) | c.among("internet_tier", "cable_5g") | _minor(c),
        lambda c: (
            1.4 * (1 - c("peak_speed_share", 0.75))
            + 0.8 * c.has("topics_viewed_30d", "fibre")
            + 0.6 * _ending(c)
            + 0.8 * c.among("segment", "youth")
            + 0.5 * c.among("intent", "move")
        ),
    ),
    "mobile_s": Effect(
        lambda c: ~c.among("mobile_plan", "none", "prepaid"),
        lambda c: (
            0.7 * c.among("mobile_plan", "prepaid")
            + 0.6 * (c("age", 40) > 62)
            + 0.9 * c.has("topics_viewed_30d", "mobile_plans")
        ),
    ),
    "mobile_m": Effect(
        lambda c: c.among("mobile_plan", "mobile_m", "mobile_l", "unlimited") | _minor(c),
        lambda c: (
            0.6 * _no_mobile(c)
            + 0.9 * c.has("topics_viewed_30d", "mobile_plans")
            + 0.8 * np.minimum(c("bundle_used_share"), 1.5)
            + 0.4 * (c("age", 40) < 35)
            + 0.4 * ~_no_internet(c)
        ),
    ),
    "family_sim": Effect(
        _minor,
        lambda c: (
            0.9 * c("children_at_home")
            + 0.6 * c.among("segment", "couple", "family")
            - 0.25 * c("household_size", 1)
            + 0.5 * (c("is_account_holder") == 1)
        ),
    ),
    "tv_family": Effect(
        lambda c: owns("tv")(c) | _no_internet(c),
        lambda c: (
            0.8 * c.has("interests", "series")
            + 0.5 * c.has("interests", "films")
            + 0.5 * c.among("segment", "family", "senior")
            + 1.0 * c.has("topics_viewed_30d", "tv")
            - 1.2 * c.among("segment", "soho")
        ),
    ),
    "phone_instalments": Effect(
        lambda c: _no_mobile(c) | _minor(c),
        lambda c: (
            1.8 / (1 + np.exp(-(c("device_age_months", 20) - 32) / 6))
            + 1.1 * c.has("topics_viewed_30d", "phones")
            + 0.5 * (c("device_is_5g", 1) == 0)
            - 1.2 * c.among("credit_band", "d")
            + 0.5 * _ending(c)
        ),
    ),
    # Nobody knows yet: it was never shown. Those who can will like it far more than its prior says.
    "tablet_bundle": Effect(
        _minor,
        lambda c: (
            1.0
            + 0.8 * c.among("segment", "family", "couple")
            + 0.6 * c.has("interests", "series")
            + 0.5 * c.among("device", "tablet")
        ),
    ),
    "back_to_school": Effect(
        lambda c: c("age", 40) > 55,
        lambda c: 1.4 * near(c("age", 40), 20, 5) + 0.8 * c("children_at_home"),
    ),
}

CROSS_SELL = {
    "wifi_pods": Effect(
        lambda c: owns("wifi_pods")(c) | _no_internet(c),
        lambda c: (
            0.05 * (62 - c("wifi_score", 62))
            + 0.7 * c.has("topics_viewed_30d", "wifi_help")
            + 0.5 * c.among("dwelling", "detached") * (c("household_size", 1) > 2)
            - 0.8 * c("open_complaint")
        ),
    ),
    "smart_home": Effect(
        lambda c: owns("smart_home")(c) | _no_internet(c),
        lambda c: (
            1.5 * c.has("interests", "smart_home")
            + 0.6 * c.among("dwelling", "detached", "terraced")
            - 0.5 * (c("age", 40) > 68)
        ),
    ),
    "backup_4g": Effect(
        lambda c: owns("backup_4g")(c) | (c("is_business") == 0),
        lambda c: (
            0.35 * np.log1p(c("outage_minutes_30d") / 30)
            + 0.5 * c.has("products", "static_ip")
            + 0.3 * (c("sentiment") > 0)
        ),
    ),
    "device_insurance": Effect(
        lambda c: owns("device_insurance")(c) | _no_mobile(c),
        lambda c: (
            1.6 * np.exp(-c("device_age_months", 24) / 8)
            + 0.5 * c.among("device_brand", "apple")
            + 0.004 * np.minimum(c("cart_value"), 600)
            - 0.6
        ),
    ),
    "safe_online": Effect(
        lambda c: owns("safe_online")(c) | _no_internet(c),
        lambda c: (
            0.7 * (c("age", 40) > 58) + 0.5 * c("children_at_home") - 0.4 * c.has("interests", "gaming")
        ),
    ),
    "kids_online": Effect(
        lambda c: owns("kids_online")(c) | (c("children_at_home") == 0) | _no_internet(c),
        lambda c: 0.6 * near(c("age", 40), 40, 9) + 0.03 * (c("devices_at_home", 9) - 9),
    ),
    "streaming_duo": Effect(
        owns("streaming_duo"),
        lambda c: (
            0.8 * c.has("interests", "series")
            + 0.5 * c.has("interests", "films")
            + 0.9 * near(c("age", 40), 29, 12)
            + 0.3 * np.log1p(c("tv_hours_30d") / 30)
            + 0.4 * (c("hour", 12) >= 18)
        ),
    ),
    "cloud_storage": Effect(
        owns("cloud_storage"),
        lambda c: (
            0.5 * c("children_at_home")
            + 0.4 * c.has("topics_viewed_30d", "phones")
            + 0.4 * c.among("device_brand", "samsung", "xiaomi")
        ),
    ),
    "static_ip": Effect(
        lambda c: owns("static_ip")(c) | (c("is_business") == 0) | _no_internet(c),
        lambda c: 0.6 * c.among("dwelling", "office") + 0.4 * (c("home_data_gb_30d", 100) > 200),
    ),
}

UPSELL = {
    "dsl_to_fibre": Effect(
        lambda c: ~c.among("internet_tier", "dsl_50") | _no_fibre(c),
        lambda c: (
            1.5 * (0.75 - c("peak_speed_share", 0.75))
            + 1.1 * c.has("topics_viewed_30d", "fibre")
            + 0.8 * _ending(c)
            - 0.7 * (c("age", 40) > 70)
            + 0.3 * (c("tickets_90d") > 0)
        ),
    ),
    "more_speed": Effect(
        lambda c: ~c.among("internet_tier", "fibre_100", "fibre_500"),
        lambda c: (
            2.0 * (0.8 - c("peak_speed_share", 0.8))
            + 0.5 * np.log1p(c("home_data_gb_30d", 120) / 150)
            + 0.5 * c.has("interests", "gaming")
            - 1.2 * c("open_complaint")
            + 0.6 * c.among("intent", "upgrade")
        ),
    ),
    "more_data": Effect(
        lambda c: c.among("mobile_plan", "none", "unlimited"),
        lambda c: (
            2.6 * (np.minimum(c("bundle_used_share", 0.5), 1.6) - 0.75) + 0.4 * c.among("intent", "upgrade")
        ),
    ),
    "mobile_unlimited": Effect(
        lambda c: c.among("mobile_plan", "unlimited", "none"),
        lambda c: (
            0.5 * np.log1p(c("mobile_data_gb_30d") / 8)
            + 0.7 * (c("age", 40) < 30)
            + 0.6 * c.among("mobile_plan", "mobile_l")
            + 0.4 * c("device_is_5g")
            - 0.8
        ),
    ),
    "tv_sport": Effect(
        lambda c: ~owns("tv")(c) | c.among("tv_package", "sport"),
        lambda c: (
            1.6 * c.has("interests", "football")
            + 0.9 * c.has("interests", "cycling")
            + 0.4 * c.has("topics_viewed_30d", "tv")
        ),
    ),
}
