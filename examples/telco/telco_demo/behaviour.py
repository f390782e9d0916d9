"""What the customers did lately: usage, quality, trouble, visits and payments."""

import numpy as np

from telco_demo.frame import Bools, Floats, Frame
from telco_demo.households import Indices

DAY = 86400.0
BUNDLES = {"prepaid": 2.0, "mobile_s": 5.0, "mobile_m": 25.0, "mobile_l": 60.0}


def add_behaviour(rng: np.random.Generator, people: Frame, account: Indices, now: float) -> None:
    """Fill the behaviour features and the recommendation score; profile features must be there."""
    _add_mobile_use(rng, people)
    _add_home_use(rng, people, account)
    _add_trouble(rng, people, account, now)
    _add_payment(rng, people)
    _add_satisfaction(rng, people)
    _add_visits(rng, people)
    _add_clicks(rng.spawn(1)[0], people)  # chance of its own: who somebody is does not depend on clicks


def _add_mobile_use(rng: np.random.Generator, people: Frame) -> None:
    n, age, mobile = len(people), people("age"), people.has("products", "mobile")
    bundle = np.zeros(n)
    for plan, size in BUNDLES.items():
        bundle[people.among("mobile_plan", plan)] = size
    eager = 0.35 * (age < 30) - 0.5 * (age > 65) + rng.normal(0, 0.65, n)
    share = np.minimum(np.exp(-0.75 + eager), 2.5)
    unlimited = people.among("mobile_plan", "unlimited")
    used = np.where(unlimited, 45.0 * np.exp(0.8 * eager), bundle * share)
    abroad = rng.random(n) < 0.05 + 0.2 * people.has("interests", "travel")
    people.put("mobile_data_gb_30d", np.round(used, 2), mobile)
    people.put("bundle_used_share", np.round(share, 3), mobile & ~unlimited)
    people.put("call_minutes_30d", np.rint(rng.gamma(1.4, 70.0, n)), mobile)
    people.put("roaming_days_90d", np.where(mobile & abroad, rng.geometric(0.16, n), 0))


def _add_home_use(rng: np.random.Generator, people: Frame, account: Indices) -> None:
    """Measured on the line, so the same for all of a household."""
    n = len(people)
    shock, noise, places = _shared(rng, account), _shared(rng, account), _shared(rng, account)
    online, tv = people.has("products", "internet"), people.has("products", "tv")
    size = people("household_size")
    slow = people.among("internet_tier", "dsl_50", "cable_5g")
    gigabit = people.among("internet_tier", "fibre_1000")
    data = 90 * np.sqrt(size) * np.exp(0.7 * shock + 0.35 * gigabit - 0.35 * slow + 0.3 * tv)
    speed = 1 / (1 + np.exp(-(1.9 - 1.1 * slow - 0.35 * shock + 0.6 * noise)))
    large = people.among("dwelling", "detached", "office")
    wifi = 74 - 16 * large + 14 * people.has("products", "wifi_pods") - 2.5 * size + 14 * places
    people.put("home_data_gb_30d", np.round(data, 1), online)
    people.put("peak_speed_share", np.round(speed, 3), online)
    people.put("wifi_score", np.rint(np.clip(wifi, 5, 100)), online)
    people.put("devices_at_home", np.rint(1 + 3.2 * size * np.exp(0.3 * places)), online)
    hours = rng.gamma(1.6, 26.0, n) * np.where(people("age") > 60, 1.6, 1.0)
    people.put("tv_hours_30d", np.round(np.minimum(hours, 300.0), 1), tv)


def _add_trouble(rng: np.random.Generator, people: Frame, account: Indices, now: float) -> None:
    n, online = len(people), people.has("products", "internet")
    hit = _shared(rng, account) > 1.15
    minutes = np.exp(4.6 + 1.1 * _shared(rng, account))
    outage = np.where(hit & online, np.rint(np.minimum(minutes, 4000.0)), 0)
    bad_wifi = people.known("wifi_score") & (people("wifi_score") < 45)
    rate = 0.1 + 0.45 * bad_wifi + 0.6 * (outage > 120) + 0.5 * (outage > 480)
    tickets = rng.poisson(rate * np.where(people("is_account_holder") == 1, 1.0, 0.2))
    since = people("customer_since")
    recent = np.maximum(now - np.rint(rng.uniform(0.1, 90, n) * DAY), since)
    before = now - 90 * DAY - rng.random(n) * np.maximum(now - 90 * DAY - since, 0)
    once = (since < now - 120 * DAY) & (rng.random(n) < 0.3)
    bill = np.where(rng.random(n) < 0.09, rng.gamma(2.0, 14.0, n), rng.normal(0, 2.0, n))
    extra = people.known("bundle_used_share") & (people("bundle_used_share") > 1.1)
    bill = np.round(bill + extra * rng.gamma(2.0, 8.0, n), 1)
    calls = rng.poisson(0.12 + 0.8 * tickets + 0.5 * (bill > 20))
    people.put("outage_minutes_30d", outage)
    people.put("tickets_90d", tickets)
    people.put("last_ticket_at", np.where(tickets > 0, recent, np.rint(before)), (tickets > 0) | once)
    people.put("open_complaint", (tickets > 0) & (rng.random(n) < 0.08 + 0.15 * (tickets > 1)))
    people.put("bill_change_pct", bill)
    people.put("care_calls_90d", calls)


def _add_payment(rng: np.random.Generator, people: Frame) -> None:
    """Only who pays the bill can be late with it; a direct debit seldom fails."""
    n, band = len(people), people("credit_band")
    payer = people("is_account_holder") == 1
    chance = np.array([0.03, 0.08, 0.2, 0.42])[band.astype(np.intp)]
    chance *= np.where(people.among("payment_method", "direct_debit"), 0.25, 1.3)
    late = payer & (rng.random(n) < chance)
    days = np.where(late, np.minimum(np.ceil(rng.exponential(16 + 12 * band)), 120), 0)
    due = people("monthly_spend") * np.ceil(days / 30)
    people.put("days_past_due", days)
    people.put("balance_due", np.round(due, 2))


def _add_satisfaction(rng: np.random.Generator, people: Frame) -> None:
    happy = 8.1 - 3.5 * people("open_complaint") - 0.7 * people("tickets_90d")
    happy += -1.0 * (people("bill_change_pct") > 15) - 1.2 * (people("outage_minutes_30d") > 480)
    score = np.clip(np.rint(happy + rng.normal(0, 1.8, len(people))), 0, 10)
    asked = (people("age") >= 16) & (rng.random(len(people)) < 0.32)
    people.put("nps", score, asked)


def _add_visits(rng: np.random.Generator, people: Frame) -> None:
    n, age = len(people), people("age")
    adult = age >= 16
    web = np.where(adult, rng.negative_binomial(0.8, 0.25, n), 0)
    app = np.where(people("app_installed") == 1, rng.negative_binomial(1.5, 0.15, n), 0)
    rate = np.clip(rng.beta(2.0, 4.0, n) + 0.05 * (age > 50), 0, 1)
    people.put("web_visits_30d", web)
    people.put("app_sessions_30d", app)
    people.put("email_open_rate_90d", np.round(rate, 2), people("email_opt_in") == 1)
    active = 1 - np.exp(-(web + 0.5 * app) / 4)
    people.put_members("topics_viewed_30d", _topics(rng, people, active))


def _topics(rng: np.random.Generator, people: Frame, active: Floats) -> dict[str, Bools]:
    """Who looks at what: mostly at what moves them now."""
    ending = people.known("months_to_contract_end") & (people("months_to_contract_end") <= 3)
    slow = people.among("internet_tier", "none", "dsl_50", "cable_5g")
    unhappy = (people("open_complaint") == 1) | (people.known("nps") & (people("nps") <= 4))
    bundle = people("bundle_used_share")
    chances = {
        "fibre": 0.06 + 0.25 * (slow & (people("fibre_available") == 1)),
        "mobile_plans": 0.08 + 0.2 * (bundle > 0.95) + 0.12 * ending,
        "phones": 0.07 + 0.22 * (people("device_age_months") > 34),
        "tv": 0.06 + 0.1 * people.has("interests", "series"),
        "wifi_help": 0.03 + 0.3 * (people.known("wifi_score") & (people("wifi_score") < 50)),
        "roaming": 0.04 + 0.2 * people.has("interests", "travel"),
        "billing": 0.15 + 0.3 * (people("bill_change_pct") > 12),
        "cancel_contract": 0.01 + 0.1 * ending + 0.2 * unhappy,
    }
    return {topic: rng.random(len(people)) < chance * active for topic, chance in chances.items()}


def _add_clicks(rng: np.random.Generator, people: Frame) -> None:
    """What events would add up to: who visits often has been here lately."""
    n, visits = len(people), people("web_visits_30d")
    product_views = rng.poisson(0.25 * visits)
    hours = np.round(rng.exponential(720 / (1 + visits)), 1)
    here = hours < 1.0
    people.put("product_views_7d", product_views)
    people.put("pages_viewed_30m", np.where(here, 1 + rng.poisson(3, n), 0))
    people.put("engagement", np.round(0.6 * visits * 2 ** (-hours / 72) + 0.5 * product_views, 2))
    people.put("hours_since_visit", hours, visits > 0)


def _shared(rng: np.random.Generator, account: Indices) -> Floats:
    """A standard normal that all customers of an account share, shape (n,)."""
    return rng.normal(size=int(account[-1]) + 1)[account]
