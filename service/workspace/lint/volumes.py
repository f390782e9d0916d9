"""Volume limits that never limit anything."""

from collections.abc import Iterator

from feature_store.documents import Problem
from service.decisioning.periods import Campaign, Daily, Hourly
from service.decisioning.volumes import VolumeLimit
from service.workspace.lint.subject import Subject, warning

MOST_HOURS = 26
"""That a day takes part in: one with 25 of them, in a zone that is half an hour off."""


def idle(subject: Subject) -> Iterator[Problem]:
    """Limits that cover nothing, whose campaign is over, or that a stricter one always reaches first."""
    limits = subject.workspace.engagement.volumes
    for index, limit in enumerate(limits):
        place = (subject.policies, ("volume_limits", index))
        covered = subject.catalogue.channel_actions[limit.channels][:, limit.actions]
        period = limit.period
        if not covered.any():
            yield warning(
                place, "limits nothing: no action that it covers has a live treatment in its channels"
            )
        elif isinstance(period, Campaign) and period.dates.end <= subject.now:
            yield warning(place, "is over: after its end the actions are not offered any more")
        else:
            stricter = (
                other for at, other in enumerate(limits) if at != index and _implies(other, limit, at < index)
            )
            for other in stricter:
                yield warning(
                    place, f"is never reached: '{other.name}' covers all that it does and is stricter"
                )
                break


def _implies(other: VolumeLimit, limit: VolumeLimit, earlier: bool) -> bool:
    """Whether a limit is never reached because of another. Of two that are equal the later one is not."""
    if not (limit.actions <= other.actions).all() or not (limit.channels <= other.channels).all():
        return False
    if isinstance(limit.period, Daily) and isinstance(other.period, Hourly):
        return other.at_most * MOST_HOURS <= limit.at_most
    if limit.period != other.period or (limit.even and not other.even):
        return False
    return other.at_most < limit.at_most or (other.at_most == limit.at_most and earlier)
