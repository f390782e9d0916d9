"""Actions, treatments and placements that nobody will ever see."""

from collections.abc import Iterator

import numpy as np

from feature_store.documents import Document, Problem
from feature_store.feature import iso_timestamp
from service.workspace.lint.subject import Subject, warning


def never_available(subject: Subject) -> Iterator[Problem]:
    """Actions that are stopped, have ended, or have nothing to say. One that is switched off is meant so."""
    catalogue = subject.catalogue
    stopped = subject.workspace.policies.policies.emergency_exclusion
    for index, name in enumerate(stopped):
        message = f"'{name}' is stopped: it is offered to nobody as long as it stands here"
        yield warning((subject.policies, ("emergency_exclusion", index)), message)
    said = np.flatnonzero(catalogue.channel_actions.any(axis=0))
    for index, action in enumerate(catalogue.actions):
        if not action.active or action.name in stopped:
            continue
        if action.end <= subject.now:
            yield warning(
                subject.action(index, "end"),
                f"is over since {iso_timestamp(action.end)}: the action is never offered",
            )
        elif index not in said:
            yield warning(
                subject.action(index), "has no live treatment with a placement: it is never offered"
            )


def unplaced_treatments(subject: Subject) -> Iterator[Problem]:
    """Treatments without a placement."""
    for index, treatment in enumerate(subject.catalogue.treatments):
        if treatment.active and not treatment.placements:
            yield warning(
                subject.treatment(index, "placements"), "names no placement: the treatment is never shown"
            )


def hidden_treatments(subject: Subject) -> Iterator[Problem]:
    """Treatments before which another one of the action always comes."""
    catalogue = subject.catalogue
    first: dict[tuple[str, str, str], int] = {}
    for index, treatment in enumerate(catalogue.treatments):
        if not treatment.active or not treatment.placements:
            continue
        places = [(treatment.action, treatment.channel, placement) for placement in treatment.placements]
        if all(place in first for place in places):
            others = sorted({catalogue.treatments[first[place]].name for place in places})
            names = " and ".join(f"'{name}'" for name in others)
            yield warning(
                subject.treatment(index), f"is never shown: {names} comes first in all its placements"
            )
        if not subject.of_treatment[index]:
            for place in places:
                first.setdefault(place, index)


def empty_placements(subject: Subject) -> Iterator[Problem]:
    """Placements that no action has something to say in."""
    filled = (subject.catalogue.slot_treatments >= 0).any(axis=1)
    channels = _channels(subject)
    for index in np.flatnonzero(~filled).tolist():
        slot = subject.catalogue.slots[index]
        loc = ("channels", slot.channel, "placements", slot.placement.id)
        yield warning((channels, loc), "stays empty: no live treatment names it")


def _channels(subject: Subject) -> Document:
    return next(one for one in subject.workspace.files.documents if one.file == "channels.yaml")
