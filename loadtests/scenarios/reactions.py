"""What people do with what they are shown, told back with the token that came with each action."""

from collections.abc import Iterator
from random import Random
from typing import Any

Json = dict[str, Any]

CLICK_SHARE = 0.06
ACCEPT_SHARE = 0.15  # of those who clicked
AGENT_REACTIONS = {"accept": 18, "reject": 52, "no_response": 30}


def offered(decision: Json) -> Iterator[Json]:
    """All actions of an answer, over its placements."""
    for placement in decision["placements"]:
        yield from placement["actions"]


def of_a_visitor(random: Random, decision: Json) -> list[Json]:
    """Everything on the page was seen; now and then something is clicked, and then perhaps ordered."""
    outcomes = []
    for action in offered(decision):
        outcomes.append({"token": action["token"], "outcome": "impression"})
        if random.random() < CLICK_SHARE / action["rank"]:
            outcomes.append({"token": action["token"], "outcome": "click"})
            if random.random() < ACCEPT_SHARE:
                outcomes.append({"token": action["token"], "outcome": "accept", "value": action["value"]})
    return outcomes


def of_a_conversation(random: Random, decision: Json) -> list[Json]:
    """An agent brings up the first action of the list and notes the answer."""
    for action in offered(decision):
        outcome = random.choices(list(AGENT_REACTIONS), list(AGENT_REACTIONS.values()))[0]
        return [{"token": action["token"], "outcome": outcome}]
    return []
