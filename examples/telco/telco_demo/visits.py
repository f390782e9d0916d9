"""When customers come by, over which channel, and with what in mind."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feature_store.schema import FeatureSchema
from service.world.history import Visits
from service.world.offers import Placement
from telco_demo.frame import Floats, Frame
from telco_demo.households import Indices

DAY = 86400.0
HISTORY_DAYS = 90.0
ROW_SHARES = {
    "home_hero": 0.2,
    "home_tiles": 0.23,
    "cart_upsell": 0.06,
    "account_tile": 0.18,
    "newsletter_lead": 0.08,
    "service_mail": 0.06,
    "app_push": 0.07,
    "counter_screen": 0.04,
    "next_activities": 0.02,
    "agent_advice": 0.045,
    "wrap_up": 0.015,
}
"""Shares of the actions shown; the push and mail volume is small because people have limits."""
INTENTS = ("browse", "buy", "renew", "upgrade", "bill_question", "fault", "travel", "move", "cancel")
PAGES = {
    "home_hero": ["home"],
    "home_tiles": ["home", "internet", "mobile", "tv", "phones"],
    "cart_upsell": ["cart"],
    "account_tile": ["account", "bill", "help"],
}
AIMS = {
    "browse": "home",
    "buy": "phones",
    "renew": "account",
    "upgrade": "internet",
    "bill_question": "bill",
    "fault": "help",
    "travel": "mobile",
    "move": "internet",
    "cancel": "account",
}
"""The page that is about what somebody wants."""
AIMING = 0.6
"""How many go there, where they can."""
HOURS = np.array([1, 0.5, 0.3, 0.2, 0.2, 0.4, 1, 2, 3, 4, 5, 5, 5, 4, 4, 4, 4, 5, 6, 7, 7, 6, 4, 2], float)


def draw_visits(
    rng: np.random.Generator, people: Frame, placements: tuple[Placement, ...], shown: int, now: float
) -> Visits:
    """Visits of the last 90 days that show about `shown` actions."""
    counts = np.rint(shown * _per_action(placements)).astype(np.intp)
    return _drawn(rng, people, placements, counts, now, (2.5, HISTORY_DAYS))


def coming_visits(
    rng: np.random.Generator,
    people: Frame,
    placements: tuple[Placement, ...],
    count: int,
    midnight: float,
    days: int,
) -> Visits:
    """About so many visits of the days from a midnight on."""
    shares = _per_action(placements)
    counts = np.rint(count * shares / shares.sum()).astype(np.intp)
    return _drawn(rng, people, placements, counts, midnight + days * DAY, (1.0, days + 1.0))


def _per_action(placements: tuple[Placement, ...]) -> Floats:
    """How many visits to each placement show one action, as one of all."""
    return np.array([ROW_SHARES[placement.name] / placement.limit for placement in placements])


def _drawn(
    rng: np.random.Generator,
    people: Frame,
    placements: tuple[Placement, ...],
    counts: Indices,
    now: float,
    ago: tuple[float, float],
) -> Visits:
    """So many visits to each placement, on days between two ages in days."""
    placement = np.repeat(np.arange(len(placements)), counts)
    customer = np.concatenate(
        [
            _draw_customers(rng, people, slot, int(count))
            for slot, count in zip(placements, counts, strict=True)
        ]
    )
    hour = _hours(rng, np.isin(placement, _personal(placements)))
    days = np.floor(rng.uniform(*ago, len(placement)))
    midnight = now - now % DAY
    at = np.rint(midnight - days * DAY + 3600 * hour + rng.uniform(0, 3600, len(placement)))
    order = np.argsort(at, kind="stable")
    placement, customer, at, hour = placement[order], customer[order], at[order], hour[order]
    context = _Contexts(rng, people, placements).draw(placement, customer, hour)
    return Visits(np.arange(len(at)), customer, at, placement, context)


def _personal(placements: tuple[Placement, ...]) -> list[int]:
    return [i for i, slot in enumerate(placements) if slot.channel in ("shop", "sales", "call_centre")]


def _hours(rng: np.random.Generator, personal: NDArray[np.bool_]) -> Floats:
    """Local hours: shops and desks are open from 9 to 19."""
    online = rng.choice(24, len(personal), p=HOURS / HOURS.sum())
    return np.where(personal, rng.integers(9, 19, len(personal)), online).astype(np.float64)


def _draw_customers(rng: np.random.Generator, people: Frame, slot: Placement, count: int) -> Indices:
    """Who comes by: a few often, and only those who can be reached there."""
    adult, holder = people("age", 40) >= 16, people("is_account_holder") == 1
    match slot.channel:
        case "web":
            weight = (0.3 + people("web_visits_30d")) * adult
        case "email":
            weight = (people("email_opt_in") if slot.name == "newsletter_lead" else holder) * 1.0
        case "push":
            weight = people("push_opt_in") * (1 + 0.1 * people("app_sessions_30d"))
        case "sales":
            weight = holder * (1.0 + 5 * people("is_business"))
        case "call_centre":
            weight = adult * (0.15 + 0.6 * holder) * (0.2 + people("care_calls_90d"))
        case _:
            weight = adult * rng.lognormal(0, 0.6, len(people))
    weight = weight + 1e-9  # in a tiny population there may be nobody who fits
    chosen: Indices = rng.choice(len(people), count, p=weight / weight.sum())
    return chosen


@dataclass(frozen=True)
class _Contexts:
    rng: np.random.Generator
    people: Frame
    placements: tuple[Placement, ...]

    def draw(self, placement: Indices, customer: Indices, hour: Floats) -> Floats:
        """Context features (n, their width): of the site, the desk or the phone; the rest is missing."""
        schema = self.people.schema
        own = FeatureSchema(tuple(f for f in schema.features if f.source == "context"))
        n, rng = len(placement), self.rng
        context = Frame(own, np.full((n, own.width), np.nan))
        channel = np.array([slot.channel for slot in self.placements])[placement]
        web = channel == "web"
        intent = self._intents(customer)
        self._put_pages(context, placement, intent)
        phone = np.clip(0.75 - 0.008 * (self.people("age", 40)[customer] - 30), 0.15, 0.85)
        luck = rng.random(n)
        context.put("device", np.select([luck < phone, luck < phone + 0.07], [1.0, 2.0], 0.0), web)
        cart = np.round(np.exp(rng.normal(4.3, 0.9, n)), 2)
        full = context.among("page", "cart") | (rng.random(n) < 0.06)
        context.put("cart_value", np.where(full, cart, 0.0), web)
        campaign = rng.choice(5, n, p=[0.62, 0.16, 0.1, 0.06, 0.06])
        context.put("campaign", campaign, web)
        context.put("hour", hour)
        stated = np.isin(channel, ["shop", "sales", "call_centre"]) | (web & (rng.random(n) < 0.7))
        context.put("intent", intent, stated)
        mood = 0.25 - 0.7 * np.isin(intent, [5, 8]) - 0.6 * self.people("open_complaint")[customer]
        mood = np.clip(mood + rng.normal(0, 0.35, n), -1, 1)
        context.put("sentiment", np.round(mood, 2), channel == "call_centre")
        return context.X

    def _put_pages(self, context: Frame, placement: Indices, intent: Indices) -> None:
        """Where there are several pages, most go to the one that is about what they want."""
        codes = context.schema.feature("page").codes
        aims = np.array([codes[AIMS[name]] for name in INTENTS], float)[intent]
        pages = np.full(len(placement), np.nan)
        for position, slot in enumerate(self.placements):
            rows = np.flatnonzero(placement == position)
            if slot.name in PAGES:
                choices = [codes[page] for page in PAGES[slot.name]]
                aimed = np.isin(aims[rows], choices) & (self.rng.random(len(rows)) < AIMING)
                pages[rows] = np.where(aimed, aims[rows], self.rng.choice(choices, len(rows)))
        context.put("page", pages)

    def _intents(self, customer: Indices) -> Indices:
        """What they come for follows from what happened to them."""
        people = self.people
        ending = people("months_to_contract_end", 12) <= 3
        unhappy = (people("open_complaint") == 1) | people.has("topics_viewed_30d", "cancel_contract")
        trouble = (people("tickets_90d") > 0) | (people("outage_minutes_30d") > 60)
        weights = np.stack(
            [
                np.full(len(people), 4.0),
                0.8 + people.has("topics_viewed_30d", "phones"),
                0.15 + 1.5 * ending,
                0.4 + 0.8 * (people("bundle_used_share") > 0.95),
                0.5 + 2.5 * (np.abs(people("bill_change_pct")) > 12),
                0.3 + 3.0 * trouble,
                0.2 + 0.8 * people.has("topics_viewed_30d", "roaming"),
                np.full(len(people), 0.12),
                0.08 + 0.8 * ending * unhappy + 1.2 * unhappy,
            ],
            axis=1,
        )
        edges = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)[customer]
        drawn = (self.rng.random((len(customer), 1)) > edges).sum(axis=1)
        return np.minimum(drawn, len(INTENTS) - 1).astype(np.intp)
