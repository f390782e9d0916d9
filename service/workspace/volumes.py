"""Volume limits from policies.yaml."""

from math import isfinite
from zoneinfo import ZoneInfo, available_timezones

from feature_store.documents import Document, Loc, Problem, did_you_mean
from service.decisioning.periods import Campaign, Daily, Hourly, Period, Span
from service.decisioning.volumes import VolumeLimit
from service.workspace.coverage import Coverage
from service.workspace.shapes.volumes import VolumeLimitDocument


def read_volumes(coverage: Coverage, entries: list[VolumeLimitDocument]) -> tuple[VolumeLimit, ...]:
    """The declared limits as columns; what is wrong with them is among the problems of `coverage`."""
    first: dict[str, int] = {}
    limits = []
    for index, entry in enumerate(entries):
        loc: Loc = ("volume_limits", index)
        if entry.name in first:
            message = f"volume limit '{entry.name}' stands already in line {first[entry.name]}"
            coverage.problems.append(coverage.document.problem((*loc, "name"), message))
        first.setdefault(entry.name, coverage.document.line((*loc, "name")))
        limits.append(_limit(coverage, loc, entry))
    return tuple(limits)


def _limit(coverage: Coverage, loc: Loc, entry: VolumeLimitDocument) -> VolumeLimit:
    return VolumeLimit(
        name=entry.name,
        at_most=entry.at_most,
        period=_period(coverage.document, loc, entry, coverage.problems),
        actions=coverage.actions(loc, entry),
        channels=coverage.channels(loc, entry),
        even=entry.pacing == "even",
        available_without_store=entry.without_store == "allow",
        description=entry.description,
    )


def _period(document: Document, loc: Loc, entry: VolumeLimitDocument, problems: list[Problem]) -> Period:
    if entry.timezone is not None and entry.per != "day":
        problems.append(
            document.problem((*loc, "timezone"), "says when a day begins: it goes with 'per: day'")
        )
    if entry.per != "campaign":
        problems += [
            document.problem((*loc, key), "says when a campaign takes place: it goes with 'per: campaign'")
            for key in ("start", "end")
            if getattr(entry, key) is not None
        ]
    if entry.per == "hour":
        return Hourly()
    if entry.per == "day":
        return Daily(time_zone(document, (*loc, "timezone"), entry.timezone or "UTC", problems))
    if entry.start is None or entry.end is None:
        missing = " and ".join(f"'{key}'" for key in ("start", "end") if getattr(entry, key) is None)
        problems.append(document.problem(loc, f"a limit per campaign needs its {missing}"))
    elif entry.starts_at >= entry.ends_at:
        problems.append(document.problem((*loc, "end"), "is not after 'start': the campaign has no time"))
    elif not (isfinite(entry.starts_at) and isfinite(entry.ends_at)):
        problems.append(document.problem(loc, "a campaign can't begin before year 1 or end after year 9999"))
    return Campaign(Span(entry.starts_at, entry.ends_at))


def time_zone(document: Document, loc: Loc, name: str, problems: list[Problem]) -> ZoneInfo:
    """A time zone of the IANA database; UTC, with a problem, where there is none of that name."""
    zones = available_timezones()
    if name not in zones:
        message = (
            f"'{name}' is no time zone of the IANA database, such as Europe/Berlin{did_you_mean(name, zones)}"
        )
        problems.append(document.problem(loc, message))
        return ZoneInfo("UTC")
    return ZoneInfo(name)
