"""Contact policies from policies.yaml."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from feature_store.documents import Loc, did_you_mean
from feature_store.feature import FeatureType
from feature_store.schema import FeatureSchema, Source
from service.decisioning.contact import Contact
from service.decisioning.counting import Counting, Scope
from service.decisioning.frequency import Cap, Frequency, Gap, Pause, duration, reservation
from service.decisioning.quiet_hours import QuietHours, minutes_left, quiet_minutes
from service.decisioning.touches import Vocabulary
from service.workspace.coverage import Coverage
from service.workspace.shapes.contact import (
    WEEKDAYS,
    CapDocument,
    ContactPoliciesDocument,
    CountedDocument,
    GapDocument,
    PauseDocument,
    QuietHoursDocument,
)
from service.workspace.volumes import time_zone

KEY = "contact_policies"
NO_WINDOW = float("inf")


def read_contact(
    coverage: Coverage, schema: FeatureSchema, outcomes: Mapping[str, str], entries: ContactPoliciesDocument
) -> Contact:
    """The declared policies as columns; what is wrong with them is among the problems of `coverage`."""
    reader = _Reader(coverage, schema, outcomes)
    reader.once(entries)
    caps: list[tuple[Loc, CapDocument | GapDocument]] = [
        *(((KEY, "caps", index), entry) for index, entry in enumerate(entries.caps)),
        *(((KEY, "gaps", index), entry) for index, entry in enumerate(entries.gaps)),
    ]
    reserved = [reservation(entry.name) for _, entry in caps if entry.reserve is not None]
    vocabulary = Vocabulary.of(coverage.catalogue, (*outcomes, *reserved))
    frequencies: list[Frequency] = [reader.cap(loc, entry, vocabulary) for loc, entry in caps]
    frequencies += [
        reader.pause((KEY, "pauses", index), entry, vocabulary) for index, entry in enumerate(entries.pauses)
    ]
    hours = [
        reader.quiet_hours((KEY, "quiet_hours", index), entry)
        for index, entry in enumerate(entries.quiet_hours)
    ]
    return Contact(tuple(frequencies), tuple(hours), vocabulary)


@dataclass(frozen=True)
class _Reader:
    coverage: Coverage
    schema: FeatureSchema
    outcomes: Mapping[str, str]

    def once(self, entries: ContactPoliciesDocument) -> None:
        """A name says which policy took something out, so it is given once."""
        first: dict[str, int] = {}
        for kind in type(entries).model_fields:
            for index, entry in enumerate(getattr(entries, kind)):
                loc = (KEY, kind, index, "name")
                if entry.name in first:
                    self._complain(
                        loc, f"contact policy '{entry.name}' stands already in line {first[entry.name]}"
                    )
                first.setdefault(entry.name, self.coverage.document.line(loc))

    def cap(self, loc: Loc, entry: CapDocument | GapDocument, vocabulary: Vocabulary) -> Cap:
        """A cap, or a gap: at most one in its time."""
        what, within, reserve = f"{' or '.join(entry.of)} per {entry.per}", entry.within, entry.reserve or 0.0
        if reserve > within:
            key = "at_least" if isinstance(entry, GapDocument) else "within"
            self._complain((*loc, "reserve"), f"is longer than '{key}': after that time nothing counts")
        own = [reservation(entry.name)] if reserve else []
        if isinstance(entry, GapDocument):
            meaning = f"at least {duration(within)} from one {what} to the next"
            return Gap(**self._common(loc, entry, meaning, vocabulary, own), within=within, reserve=reserve)
        meaning = f"at most {entry.at_most} of: {what} within {duration(within)}"
        return Cap(
            **self._common(loc, entry, meaning, vocabulary, own),
            within=within,
            at_most=entry.at_most,
            reserve=reserve,
        )

    def pause(self, loc: Loc, entry: PauseDocument, vocabulary: Vocabulary) -> Pause:
        within = "" if entry.within is None else f" within {duration(entry.within)}"
        if entry.after > 1 and entry.within is None:
            self._complain(loc, f"'within' is missing: in what time are {entry.after} too many?")
        meaning = (
            f"{duration(entry.pause)} of rest after {entry.after} of: "
            f"{' or '.join(entry.of)} per {entry.per}{within}"
        )
        return Pause(
            **self._common(loc, entry, meaning, vocabulary),
            within=entry.within or NO_WINDOW,
            after=entry.after,
            pause=entry.pause,
        )

    def _common(
        self,
        loc: Loc,
        entry: CountedDocument,
        meaning: str,
        vocabulary: Vocabulary,
        own: list[str] | None = None,
    ) -> dict[str, Any]:
        self.coverage.actions(loc, entry)
        self.coverage.channels(loc, entry)
        for index, name in enumerate(entry.of):
            if name not in self.outcomes:
                message = (
                    f"'{name}' is not an outcome{did_you_mean(name, self.outcomes)}; "
                    "declare it under 'outcomes' in channels.yaml"
                )
                self._complain((*loc, "of", index), message)
        if entry.treatment is not None:
            self._treatment(loc, entry, vocabulary)
        channels = None if entry.channels is None else tuple(entry.channels)
        scope = Scope(channels, entry.issue, entry.group, entry.action, entry.treatment)
        return {
            "name": entry.name,
            "meaning": entry.description or meaning,
            "counting": Counting.of(
                self.coverage.catalogue, vocabulary, (*entry.of, *(own or ())), entry.per, scope
            ),
            "suppress": entry.without_history == "suppress",
            "by_account": entry.unit == "account",
        }

    def _treatment(self, loc: Loc, entry: CountedDocument, vocabulary: Vocabulary) -> None:
        place = (*loc, "treatment")
        if entry.treatment not in vocabulary.treatments:
            hint = did_you_mean(entry.treatment, vocabulary.treatments)
            self._complain(place, f"the catalogue has no treatment '{entry.treatment}'{hint}")
        elif entry.per != "treatment":
            self._complain(place, "goes with 'per: treatment': what is counted is what is taken out")

    def quiet_hours(self, loc: Loc, entry: QuietHoursDocument) -> QuietHours:
        actions, channels = self.coverage.actions(loc, entry), self.coverage.channels(loc, entry)
        days = [WEEKDAYS.index(day) for day in entry.days]
        if entry.start == entry.end:
            self._complain((*loc, "to"), "is the same as 'from': leave both out for the whole day")
        quiet = quiet_minutes(entry.start, entry.end, days)
        if quiet.all():
            self._complain(loc, "is quiet all week: leave the channel out of the treatments instead")
            quiet[:] = False
        zones, column = self._zones(loc, entry)
        return QuietHours(
            name=entry.name,
            meaning=entry.description or "the hours at which the customer is left alone",
            covers=channels[:, None] & actions,
            left=minutes_left(quiet),
            zones=zones,
            column=column,
        )

    def _zones(self, loc: Loc, entry: QuietHoursDocument) -> tuple[tuple[tzinfo, ...], int | None]:
        """The zones of a feature's levels and the one of all others, and the feature's column."""
        _, dot, name = entry.timezone.partition(".")
        if not dot:
            if entry.otherwise is not None:
                self._complain(
                    (*loc, "otherwise"), "is for whose time zone is missing: 'timezone' is no feature"
                )
            return (self._zone((*loc, "timezone"), entry.timezone),), None
        if entry.otherwise is None:
            self._complain(loc, "'otherwise' is missing: the zone of customers whose own is not known")
        usable = {f"{owner}.{name}": name for owner, name in self._categories()}
        if entry.timezone not in usable:
            hint = did_you_mean(entry.timezone, usable)
            self._complain((*loc, "timezone"), f"'{entry.timezone}' is not a category{hint}")
            return (self._zone(loc, "UTC"),), None
        feature = self.schema.feature(name)
        zones = [self._zone((*loc, "timezone"), level) for level in feature.levels]
        zones.append(self._zone((*loc, "otherwise"), entry.otherwise or "UTC"))
        return tuple(zones), self.schema.slice(name).start

    def _categories(self) -> Iterator[tuple[str, str]]:
        for feature in self.schema.features:
            if feature.type is FeatureType.CATEGORY:
                yield "context" if feature.source is Source.CONTEXT else "customer", feature.name

    def _zone(self, loc: Loc, name: str) -> tzinfo:
        return time_zone(self.coverage.document, loc, name, self.coverage.problems)

    def _complain(self, loc: Loc, message: str) -> None:
        self.coverage.problems.append(self.coverage.document.problem(loc, message))
