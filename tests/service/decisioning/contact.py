"""Contact histories and policies for the tests of the core."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from feature_store.history import RECORD, name_hash
from service.decisioning.catalogue import Action, Catalogue
from service.decisioning.contact import Contact
from service.decisioning.counting import Counting, Per, Scope
from service.decisioning.frequency import Cap, Frequency, Pause
from service.decisioning.touches import Touches, Vocabulary

OUTCOMES = ("impression", "click", "reject")
DAY = 86_400.0

ACTIONS = [
    Action("fibre", "sales", "internet", propensity=0.5),
    Action("dsl", "sales", "internet", propensity=0.4),
    Action("phone", "sales", "mobile", propensity=0.3),
    Action("wifi_help", "service", "internet", propensity=0.2),
]


class Touch(NamedTuple):
    """A record in names; `expires` makes it a reservation."""

    row: int
    time: float
    outcome: str = "impression"
    channel: str = "web"
    action: str = "fibre"
    issue: str | None = None
    group: str | None = None
    treatment: str | None = None
    expires: float = np.inf


def touches(n: int, history: Sequence[Touch], **columns: Any) -> Touches:
    """The histories of n requests; issue and group are those of the action unless told otherwise."""
    known = {action.name: action for action in ACTIONS}
    records = np.zeros(len(history), RECORD)
    for record, touch in zip(records, history, strict=True):
        action = known.get(touch.action)
        names = {
            "outcome": touch.outcome,
            "channel": touch.channel,
            "issue": touch.issue or (action.issue if action else "gone"),
            "group": touch.group or (action.group if action else "gone"),
            "action": touch.action,
            "treatment": touch.treatment or f"{touch.action}_{touch.channel}",
        }
        record["time"] = touch.time
        for kind, name in names.items():
            record[kind] = name_hash(name)
    return Touches(
        records,
        np.array([touch.row for touch in history], np.intp),
        np.array([touch.expires for touch in history], np.float64),
        columns.pop("since", np.full(n, -np.inf)),
        **columns,
    )


def counting(
    catalogue: Catalogue,
    per: Per,
    of: Collection[str] = ("impression",),
    outcomes: Sequence[str] = OUTCOMES,
    **scope: Any,
) -> Counting:
    return Counting.of(catalogue, Vocabulary.of(catalogue, outcomes), of, per, Scope(**scope))


def cap(at_most: int, within: float, counting: Counting, **options: Any) -> Cap:
    options = {"name": "cap", "meaning": "", "suppress": False, **options}
    return Cap(counting=counting, within=within, at_most=at_most, **options)


def pause(after: int, within: float, rest: float, counting: Counting, **options: Any) -> Pause:
    options = {"name": "pause", "meaning": "", "suppress": False, **options}
    return Pause(counting=counting, within=within, after=after, pause=rest, **options)


def contact(catalogue: Catalogue, *policies: Frequency, **parts: Any) -> Contact:
    return Contact(policies, vocabulary=Vocabulary.of(catalogue, OUTCOMES), **parts)
