"""The true response of Telvara's customers to any action in any channel."""

import numpy as np

from feature_store.schema import FeatureSchema
from service.world.history import Reaction
from service.world.offers import Offers, Placement
from telco_demo.caring import COLLECTIONS, ENGAGEMENT, RETENTION, SERVICE
from telco_demo.frame import Bools, Floats, Frame
from telco_demo.households import Indices
from telco_demo.selling import CROSS_SELL, SALES, UPSELL

EFFECTS = {**SALES, **CROSS_SELL, **UPSELL, **RETENTION, **SERVICE, **ENGAGEMENT, **COLLECTIONS}

USELESS = 0.02
"""Of the chance that remains where an offer is of no use: somebody always clicks."""
PLACES = {
    "home_hero": 0.1,
    "home_tiles": -0.5,
    "cart_upsell": 0.2,
    "account_tile": -0.3,
    "newsletter_lead": -0.5,
    "service_mail": -0.1,
    "app_push": -0.3,
    "counter_screen": 0.7,
    "next_activities": 0.8,
    "agent_advice": 0.6,
    "wrap_up": 0.1,
}
PERSONAL = frozenset({"shop", "sales", "call_centre"})


class Responses:
    """True probabilities, and what a sloppy set of rules would think of them."""

    def __init__(self, schema: FeatureSchema, offers: Offers) -> None:
        self._schema = schema
        self._offers = offers
        priors = np.clip(offers.propensities, 1e-4, 0.99)
        self._base = np.log(priors / (1 - priors))

    def probability(self, X: Floats, placement: Placement, actions: Indices) -> Floats:
        """The true probability of a positive outcome for each row of X, shape (m,)."""
        probabilities = np.empty(len(X))
        for action in np.unique(actions):
            rows = np.flatnonzero(actions == action)
            customers = Frame(self._schema, X[rows])
            probabilities[rows] = self._action(customers, placement, int(action))
        return probabilities

    def _action(self, customers: Frame, placement: Placement, action: int) -> Floats:
        about = self._offers.actions[action]
        log_odds = self._base[action] + PLACES[placement.name] + _attention(customers, placement)
        if about.issue in ("sales", "cross_sell", "upsell"):
            log_odds = log_odds + _buying_mood(customers, placement)
        effect = EFFECTS.get(about.name)
        if effect is None:
            return _logistic(log_odds)
        probability = _logistic(log_odds + effect.shift(customers))
        return np.where(effect.useless(customers), USELESS * probability, probability)

    def preference(self, X: Floats, placement: Placement, treatments: Indices) -> Floats:
        """Weights of the logging policy (n, k): by expected value, softened, with a few simple rules.

        It shows a quarter of what is of no use, as companies do, and hears what the customer came for.
        """
        actions = self._offers.action_of[treatments]
        customers = Frame(self._schema, X)
        worth = (self._offers.propensities * self._offers.values)[actions] ** 0.35
        weights = np.tile(worth, (len(X), 1))
        for column, action in enumerate(actions):
            about = self._offers.actions[int(action)]
            weights[:, column] *= 1 + 2.0 * _asked_for(customers, about.issue)
            effect = EFFECTS.get(about.name)
            if effect is not None:
                weights[effect.useless(customers), column] *= 0.25
        return weights


def _attention(c: Frame, placement: Placement) -> Floats:
    """How likely the customer is to notice, by channel."""
    match placement.channel:
        case "email":
            return 2.0 * (c("email_open_rate_90d", 0.3) - 0.35)
        case "push":
            return 0.03 * (np.minimum(c("app_sessions_30d"), 25) - 8) - 0.3 * (c("hour", 12) >= 21)
        case "web":
            paid = 0.35 * c.among("campaign", "search_ad", "newsletter")
            return paid - 0.25 * c.among("device", "phone") * (placement.name == "home_tiles")
        case _:
            return 0.5 * c("sentiment") + 0.01 * (c("age", 45) - 45)


def _buying_mood(c: Frame, placement: Placement) -> Floats:
    """What makes customers buy less, whatever it is; on the web few buy on the spot."""
    mood = -1.3 * c("open_complaint") - 0.4 * (c("tickets_90d") > 1) - 1.0 * (c("days_past_due") > 10)
    mood += 0.08 * (c("nps", 8) - 8) + 0.25 * c.among("loyalty_tier", "gold")
    mood += 0.6 * c.among("intent", "buy", "upgrade") - 1.6 * c.among("intent", "fault", "cancel")
    mood += 0.4 * c.among("page", "cart")
    mood -= 0.3 * ((c("age", 45) > 65) & (placement.channel not in PERSONAL))
    return mood - 0.25 * (placement.channel not in PERSONAL)


def _asked_for(c: Frame, issue: str) -> Bools:
    match issue:
        case "retention":
            return c.among("intent", "cancel", "renew")
        case "service":
            return c.among("intent", "fault", "bill_question", "travel")
        case "sales" | "upsell":
            return c.among("intent", "buy", "upgrade", "move")
        case _:
            return np.zeros(len(c), bool)


def reaction(channel: str, model: str | None) -> Reaction:
    """Online people click and then act; face to face they say yes or no."""
    if channel in PERSONAL:
        return Reaction(final="accept", clicks=0.0, refusal="reject", refusals=0.45, delay=240.0)
    match model:
        case "engagement":
            return Reaction(final="accept", clicks=1.0, finals=0.35, delay=900.0)
        case "service":
            return Reaction(final="accept", clicks=1.6, delay=300.0)
        case "collections":
            return Reaction(final="convert", clicks=1.8, refusals=0.01, delay=7200.0)
        case "retention":
            return Reaction(final="accept", clicks=2.5, delay=3600.0)
        case _:
            return Reaction(final="convert", clicks=4.0, refusals=0.04, delay=5400.0)


def _logistic(log_odds: Floats) -> Floats:
    probability: Floats = 1 / (1 + np.exp(-log_odds))
    return probability
