"""Rules of the answer as a whole that never apply."""

from collections.abc import Iterator

import numpy as np

from feature_store.documents import Problem
from service.decisioning.slate_policy import AnswerLimit
from service.workspace.lint.subject import Subject, warning


def idle(subject: Subject) -> Iterator[Problem]:
    """Limits that no answer reaches, and bundles whose actions are not to be had."""
    policy, catalogue = subject.workspace.engagement.slate, subject.catalogue
    for index, limit in enumerate(policy.limits):
        place = (subject.policies, ("slate", "limits", index))
        said = catalogue.channel_actions[limit.channels].any(axis=0)
        covered = int((said & limit.actions & subject.live).sum())
        stricter = [
            other.name
            for at, other in enumerate(policy.limits)
            if at != index and _implies(other, limit, at < index)
        ]
        if covered <= limit.at_most and not policy.duplicates:
            yield warning(
                place, f"is never reached: it covers {covered} live actions and allows {limit.at_most}"
            )
        elif stricter:
            yield warning(place, f"is never reached: '{stricter[0]}' covers all that it does and is stricter")
    gone = ~subject.live | ~catalogue.channel_actions.any(axis=0)
    for index, bundle in enumerate(policy.bundles):
        missing = [position for position, action in enumerate(bundle.actions) if gone[action]]
        place = (subject.policies, ("slate", "bundles", index))
        if missing and (bundle.fixed or 0 in missing or len(missing) == len(bundle.actions) - 1):
            name = catalogue.actions[bundle.actions[missing[0]]].name
            yield warning(place, f"is never offered as a bundle: '{name}' is not to be had")


def _implies(other: AnswerLimit, limit: AnswerLimit, earlier: bool) -> bool:
    """Whether a limit is never reached because of another. Of two that are equal the later one is not."""
    covers = np.all(limit.actions <= other.actions) and np.all(limit.channels <= other.channels)
    stricter = other.at_most < limit.at_most or (other.at_most == limit.at_most and earlier)
    return bool(covers) and stricter
