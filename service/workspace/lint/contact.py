"""Contact policies that never hold anybody back."""

from collections.abc import Iterator

import numpy as np

from feature_store.documents import Loc, Problem
from service.workspace.lint.subject import Subject, warning
from service.workspace.shapes.contact import CapDocument, CountedDocument, GapDocument, PauseDocument

KEY = "contact_policies"
COARSER = {
    "treatment": {"action", "group", "issue", "channel", "everything"},
    "action": {"group", "issue", "everything"},
    "group": {"issue", "everything"},
    "issue": {"everything"},
    "channel": {"everything"},
    "everything": set(),
}
"""What counts at least all that is counted per treatment, action and so on."""


def idle(subject: Subject) -> Iterator[Problem]:
    """Policies that cover nothing, and those that another one always reaches first."""
    entries = subject.workspace.policies.policies.contact_policies
    counted: list[tuple[Loc, CapDocument | GapDocument | PauseDocument]] = [
        ((KEY, kind, index), entry)
        for kind in ("caps", "gaps", "pauses")
        for index, entry in enumerate(getattr(entries, kind))
    ]
    for position, (loc, entry) in enumerate(counted):
        if not _covers(subject, entry):
            yield _nothing(subject, loc)
            continue
        for at, (_, other) in enumerate(counted):
            if at != position and _implies(other, entry) and not (_implies(entry, other) and at > position):
                message = f"never holds anybody back: '{other.name}' does already wherever it would"
                yield warning((subject.policies, loc), message)
                break
    for index, hours in enumerate(subject.workspace.engagement.contact.quiet_hours):
        if not (hours.covers & subject.catalogue.channel_actions).any():
            yield _nothing(subject, (KEY, "quiet_hours", index))


def _nothing(subject: Subject, loc: Loc) -> Problem:
    return warning(
        (subject.policies, loc), "covers nothing: none of its actions has a live treatment in its channels"
    )


def _covers(subject: Subject, entry: CountedDocument) -> bool:
    """Whether a policy is about something that may be shown."""
    catalogue = subject.catalogue
    channels = np.array([entry.channels is None or c.name in entry.channels for c in catalogue.channels])
    said = catalogue.channel_actions[channels].any(axis=0)
    treated = {t.action for t in catalogue.treatments if entry.treatment in (None, t.name) and t.active}
    return any(
        said[index]
        and action.name in treated
        and entry.issue in (None, action.issue)
        and entry.group in (None, action.group)
        and entry.action in (None, action.name)
        for index, action in enumerate(catalogue.actions)
    )


def _implies(other: CountedDocument, entry: CountedDocument) -> bool:
    """Whether another policy holds whenever one does: it covers and counts at least as much, for at least as
    long, and allows no more."""
    if entry.without_history == "suppress" and other.without_history == "allow":
        return False
    if getattr(entry, "reserve", None) and not getattr(other, "reserve", None):
        return False
    counts = (
        set(entry.of) <= set(other.of)
        and entry.unit == other.unit
        and (other.per == entry.per or other.per in COARSER[entry.per])
    )
    return counts and _within_scope(entry, other) and _no_laxer(other, entry)


def _within_scope(entry: CountedDocument, other: CountedDocument) -> bool:
    names = ("issue", "group", "action", "treatment")
    narrower = all(getattr(other, name) in (None, getattr(entry, name)) for name in names)
    return narrower and (
        other.channels is None or (entry.channels is not None and set(entry.channels) <= set(other.channels))
    )


def _no_laxer(other: CountedDocument, entry: CountedDocument) -> bool:
    match other, entry:
        case CapDocument(), CapDocument():
            return other.at_most <= entry.at_most and other.within >= entry.within
        case (CapDocument() | GapDocument(), GapDocument()):  # a gap says nothing of one answer, a cap does
            return getattr(other, "at_most", 1) == 1 and other.within >= entry.within
        case PauseDocument(), PauseDocument():
            longer = (other.within or np.inf) >= (entry.within or np.inf)
            return longer and other.after <= entry.after and other.pause >= entry.pause
    return False
