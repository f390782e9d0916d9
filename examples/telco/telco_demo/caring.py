"""How customers respond to what keeps, helps, teaches or reminds them, by hand, in log-odds."""

import numpy as np

from telco_demo.frame import Bools, Floats, Frame
from telco_demo.selling import Effect, near

DAY = 86400.0


def _nobody(c: Frame) -> Bools:
    return np.zeros(len(c), bool)


def _holders_only(c: Frame) -> Bools:
    return c("is_account_holder") == 0


def _leaving(c: Frame) -> Floats:
    return 1.3 * c.among("intent", "cancel") + 0.9 * c.has("topics_viewed_30d", "cancel_contract")


def _days_since_ticket(c: Frame, now: float) -> Floats:
    return (now - c("last_ticket_at", -1e12)) / DAY


RETENTION = {
    "renew_internet": Effect(
        lambda c: ~c.has("products", "internet") | (c("months_to_contract_end", 12) > 9),
        lambda c: (
            1.4 * near(c("months_to_contract_end", 12), 1, 3.5)
            + 0.9 * c.among("intent", "renew")
            - 0.6 * c("open_complaint")
            + 0.15 * (c("nps", 8) - 8)
            + 0.5 * (c("tenure_months") > 60)
            - 0.6
        ),
    ),
    "renew_mobile": Effect(
        lambda c: c.among("mobile_plan", "none", "prepaid") | (c("months_to_contract_end", 12) > 9),
        lambda c: (
            1.3 * near(c("months_to_contract_end", 12), 1, 3.5)
            + 0.9 * c.among("intent", "renew")
            + 0.02 * (c("device_age_months", 22) - 22)
            + 0.15 * (c("nps", 8) - 8)
            - 0.6
        ),
    ),
    "right_size_mobile": Effect(
        lambda c: c.among("mobile_plan", "none", "prepaid", "mobile_s", "unlimited"),
        lambda c: (
            2.4 * (0.45 - c("bundle_used_share", 0.5)) + 0.5 * (c("bill_change_pct") > 10) + 0.5 * _leaving(c)
        ),
    ),
    "right_size_tv": Effect(
        lambda c: ~c.among("tv_package", "family", "sport"),
        lambda c: 1.6 * np.exp(-c("tv_hours_30d", 30) / 12) - 0.8 * c.has("interests", "football"),
    ),
    "save_discount": Effect(
        lambda c: (c("tenure_months") < 6) | _holders_only(c),
        lambda c: (
            1.2 * _leaving(c)
            + 0.5 * (c("bill_change_pct") > 10)
            + 0.008 * (c("monthly_spend", 80) - 80)
            + 0.6 * near(c("months_to_contract_end", 12), 0, 5)
            - 0.7
        ),
    ),
    "save_callback": Effect(
        _holders_only,
        lambda c: (
            0.8 * _leaving(c)
            + 1.2 * c("open_complaint")
            + 0.25 * (7.5 - c("nps", 7.5))
            + 0.4 * (c("age", 40) > 60)
            - 0.4
        ),
    ),
}

SERVICE = {
    "outage_credit": Effect(
        lambda c: c("outage_minutes_30d") < 30,
        lambda c: 0.5 * np.log1p(c("outage_minutes_30d") / 60) + 0.4 * c.among("intent", "fault"),
    ),
    "outage_updates": Effect(
        lambda c: (c("outage_minutes_30d") < 10) & ~c.among("intent", "fault"),
        lambda c: 0.3 * np.log1p(c("outage_minutes_30d") / 60) + 1.0 * c.among("intent", "fault"),
    ),
    "wifi_check": Effect(
        lambda c: ~c.has("products", "internet"),
        lambda c: (
            0.055 * (58 - c("wifi_score", 58))
            + 1.0 * c.has("topics_viewed_30d", "wifi_help")
            + 0.8 * c.among("intent", "fault")
        ),
    ),
    "router_swap": Effect(
        lambda c: ~c.has("products", "internet"),
        lambda c: (
            0.015 * (c("tenure_months") - 50)
            + 0.03 * (58 - c("wifi_score", 58))
            + 0.5 * np.minimum(c("tickets_90d"), 2)
            + 0.5 * c.among("intent", "fault")
        ),
    ),
    "roaming_warning": Effect(
        lambda c: ~c.has("products", "mobile"),
        lambda c: (
            0.9 * (c("roaming_days_90d") > 0)
            + 0.8 * c.has("topics_viewed_30d", "roaming")
            + 1.2 * c.among("intent", "travel")
            - 1.2
        ),
    ),
    "roaming_pass": Effect(
        lambda c: ~c.has("products", "mobile") | c.has("products", "roaming_pass"),
        lambda c: (
            0.5 * np.log1p(c("roaming_days_90d"))
            + 0.6 * c.has("interests", "travel")
            + 1.0 * c.has("topics_viewed_30d", "roaming")
            + 1.6 * c.among("intent", "travel")
            - 0.8
        ),
    ),
    "bill_explained": Effect(
        _holders_only,
        lambda c: (
            0.9 * (np.abs(c("bill_change_pct")) > 10)
            + 0.9 * c.has("topics_viewed_30d", "billing")
            + 1.1 * c.among("intent", "bill_question")
            + 0.4 * c.among("page", "bill")
            - 0.9
        ),
    ),
    "data_alert": Effect(
        lambda c: ~c.known("bundle_used_share"),
        lambda c: 2.0 * (np.minimum(c("bundle_used_share"), 1.2) - 0.8),
    ),
    "complaint_callback": Effect(
        lambda c: (c("open_complaint") == 0) & (c("tickets_90d") == 0),
        lambda c: 1.4 * c("open_complaint") - 0.6 * c("sentiment") - 0.4,
    ),
}

ENGAGEMENT = {
    "app_install": Effect(
        lambda c: c("app_installed") == 1,
        lambda c: (
            0.03 * (48 - c("age", 48))
            + 0.1 * np.minimum(c("web_visits_30d"), 8)
            + 0.3 * c.among("device", "phone")
        ),
    ),
    "paperless_bill": Effect(
        lambda c: (c("paperless") == 1) | _holders_only(c),
        lambda c: 0.5 * c("app_installed") - 0.6 * (c("age", 40) > 66) + 0.5 * c.among("page", "bill"),
    ),
    "scam_tips": Effect(
        _nobody, lambda c: 0.03 * (c("age", 45) - 45) + 0.4 * c.has("products", "safe_online")
    ),
    "wifi_placement": Effect(
        lambda c: ~c.has("products", "internet"),
        lambda c: 0.04 * (60 - c("wifi_score", 60)) + 0.8 * c.has("topics_viewed_30d", "wifi_help"),
    ),
    "first_bill_guide": Effect(
        lambda c: c("tenure_months") > 4,
        lambda c: 0.5 * (c("tenure_months") <= 2) + 0.7 * c.has("topics_viewed_30d", "billing"),
    ),
    "esim_setup": Effect(
        lambda c: ~c.has("products", "mobile"),
        lambda c: 0.7 * (c("device_age_months", 24) < 10) + 0.5 * c.among("device_brand", "apple", "google"),
    ),
    "bonus_data": Effect(
        lambda c: ~c.known("bundle_used_share"),
        lambda c: 1.2 * (np.minimum(c("bundle_used_share"), 1.2) - 0.6) + 0.5 * (c("age", 40) < 30),
    ),
    "tenure_gift": Effect(
        lambda c: c("tenure_months") < 60,
        lambda c: (
            0.4 * c.has("interests", "films") + 0.3 * c.among("segment", "couple") + 0.1 * (c("nps", 8) - 8)
        ),
    ),
    "gold_upgrade": Effect(
        lambda c: ~c.among("loyalty_tier", "silver"),
        lambda c: 0.5 * (c("roaming_days_90d") > 0) + 0.02 * np.minimum(c("app_sessions_30d"), 20),
    ),
    "refer_a_friend": Effect(
        lambda c: c.known("nps") & (c("nps") <= 5),
        lambda c: 0.35 * (c("nps", 7.5) - 7.5) + 0.7 * (c("age", 40) < 30) + 0.5 * (c("tenure_months") < 12),
    ),
    "recycle_phone": Effect(
        lambda c: ~c.has("products", "mobile"),
        lambda c: 0.8 * (c("device_age_months", 20) < 5) + 0.3 * c.among("region", "capital"),
    ),
}

COLLECTIONS = {
    "payment_reminder": Effect(
        lambda c: c("days_past_due") < 2,
        lambda c: 1.6 - 0.03 * c("days_past_due") - 0.5 * c.among("credit_band", "d"),
    ),
    "direct_debit": Effect(
        lambda c: c.among("payment_method", "direct_debit") | _holders_only(c),
        lambda c: 0.5 * (c("days_past_due") > 0) + 0.3 * c("paperless") + 0.3 * (c("age", 40) > 50),
    ),
    "payment_plan": Effect(
        lambda c: c("days_past_due") < 10,
        lambda c: 0.006 * c("balance_due") + 0.4 * c.among("credit_band", "c", "d") + 0.5,
    ),
    "hardship_tariff": Effect(
        lambda c: c("days_past_due") < 30,
        lambda c: 0.8 * c.among("credit_band", "d") + 0.01 * c("days_past_due"),
    ),
}
