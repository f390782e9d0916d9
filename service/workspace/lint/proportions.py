"""Numbers that outweigh everything else."""

from collections.abc import Iterator

import numpy as np

from feature_store.documents import Document, Loc, Problem
from service.workspace.lint.subject import Subject, warning

MOST = 4.0
"""How many times the usual lever (the median of the live actions) a lever may be, or the other way round.
Beyond it the lever decides, and neither propensity nor value has much to say."""


MOST_VALUE = 50.0
"""How many times the usual value (the median of the live actions) a value may be where none is scaled.
Propensities rarely differ more."""


def levers(subject: Subject) -> Iterator[Problem]:
    """Levers out of proportion: told where most of it is written, with the issue, the group or the action."""
    live = np.flatnonzero(subject.live & (subject.catalogue.levers > 0))
    if not subject.workspace.arbitration.lever or not live.size:
        return
    usual = float(np.median(subject.catalogue.levers[live]))
    places: dict[tuple[str, Loc], tuple[Document, Loc, list[int]]] = {}
    for index in live.tolist():
        ratio = subject.catalogue.levers[index] / usual
        if not 1 / MOST <= ratio <= MOST:
            document, loc = _main_part(subject, index)
            places.setdefault((document.file, loc), (document, loc, []))[2].append(index)
    for document, loc, indexes in places.values():
        lever = subject.catalogue.actions[indexes[0]].lever
        times = f"{lever / usual:.3g} times" if lever > usual else f"1/{usual / lever:.3g} of"
        message = (
            f"makes the lever of {subject.named_actions(indexes)} {lever:.3g}, {times} the usual "
            f"{usual:.3g}: beyond {MOST:g} times it decides alone, and propensity and value hardly matter"
        )
        yield warning((document, loc), message)


def values(subject: Subject) -> Iterator[Problem]:
    """Values that swallow every answer as long as nothing scales them; told of the largest. What a formula
    will make of a customer is not known."""
    arbitration = subject.workspace.arbitration
    computed = [action for action, _ in arbitration.valuation.business]
    stated = subject.live & (subject.catalogue.values > 0)
    stated[computed] = False
    if not arbitration.value or arbitration.valuation.scaling.method != "none" or not stated.any():
        return
    usual = float(np.median(subject.catalogue.values[stated]))
    largest = int(np.argmax(np.where(stated, subject.catalogue.values, 0.0)))
    value = float(subject.catalogue.values[largest])
    if value > MOST_VALUE * usual:
        message = (
            f"is {value / usual:,.0f} times the usual value of {usual:g}: beyond {MOST_VALUE:g} times an "
            "action goes first nearly everywhere; value_scaling draws values together"
        )
        yield warning(subject.action(largest, "value"), message)


def _main_part(subject: Subject, index: int) -> tuple[Document, Loc]:
    """Where the largest part of an action's lever is written."""
    action = subject.catalogue.actions[index]
    document, loc = subject.action(index, "lever")
    group = ("groups", action.group, "lever")
    by_size = sorted(
        zip(map(abs, action.levers), (2, 1, 0), (("lever",), group, loc), strict=True),
        key=lambda part: (-part[0], -part[1]),
    )
    return document, by_size[0][2]
