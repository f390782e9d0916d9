"""The moments in which a decision is asked for: a channel, placements and what is known right then."""

from collections.abc import Mapping, Sequence
from random import Random

Json = dict[str, object]

WEB_PAGES: Mapping[str, Sequence[str]] = {  # the placements of each page
    "home": ("home_hero", "home_tiles"),
    "internet": ("home_tiles",),
    "mobile": ("home_tiles",),
    "phones": ("home_tiles",),
    "cart": ("cart_upsell",),
    "account": ("account_tile",),
    "bill": ("account_tile",),
}
PAGE_VIEWS = {"home": 40, "internet": 12, "mobile": 12, "phones": 8, "cart": 6, "account": 14, "bill": 8}
DEVICES = {"phone": 62, "desktop": 32, "tablet": 6}
CAMPAIGNS = {"none": 70, "search_ad": 14, "social_ad": 8, "affiliate": 3, "newsletter": 5}
CALL_INTENTS = {
    "bill_question": 34,
    "fault": 28,
    "renew": 10,
    "upgrade": 8,
    "cancel": 9,
    "move": 6,
    "travel": 5,
}
DESK_INTENTS = {"browse": 35, "buy": 30, "upgrade": 20, "renew": 15}


def pick(random: Random, weights: Mapping[str, int]) -> str:
    """One of the names, by its weight."""
    return random.choices(list(weights), list(weights.values()))[0]


def page_view(random: Random) -> Json:
    """A page of the site, with what it knows of the visit."""
    page = pick(random, PAGE_VIEWS)
    context: Json = {
        "page": page,
        "device": pick(random, DEVICES),
        "campaign": pick(random, CAMPAIGNS),
        "hour": random.randrange(7, 24),
    }
    if page == "cart":
        context["cart_value"] = round(random.lognormvariate(4, 0.8), 2)
    return {"channel": "web", "placements": [{"id": name} for name in WEB_PAGES[page]], "context": context}


def call(random: Random) -> Json:
    """A call to customer care: why they call, and in what mood."""
    context = {
        "intent": pick(random, CALL_INTENTS),
        "sentiment": round(random.triangular(-1, 1, -0.1), 2),
        "hour": random.randrange(8, 20),
    }
    return {"channel": "call_centre", "context": context}


def desk(random: Random) -> Json:
    """A conversation at a shop's counter or at the sellers' desk."""
    channel = random.choice(["shop", "sales"])
    return {
        "channel": channel,
        "context": {"intent": pick(random, DESK_INTENTS), "hour": random.randrange(9, 19)},
    }


def mailing() -> Json:
    """One recipient of the newsletter."""
    return {"channel": "email", "placements": [{"id": "newsletter_lead"}]}


def push() -> Json:
    """One recipient of a push message."""
    return {"channel": "push"}
