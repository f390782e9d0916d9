"""A decision request as the runtime takes it, and what it becomes when the live configuration has checked
it."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

import msgspec

from feature_store.documents import did_you_mean
from feature_store.keys import customer_or_visitor
from feature_store.schema import FeatureType
from service.decisioning.snapshot import Snapshot
from service.runtime.event_reports import EventReport
from service.runtime.faults import LONGEST_SHOWN, MOST_WARNINGS, Fault

MOST_HINTED = 200
"""Names among which the one meant is looked for; among more it would take longer than the decision."""
KNOWN_QUESTIONS = 1024
"""Channels with placements whose slots are remembered: a site asks for the same ones again and again."""

NOTHING_IGNORED: Mapping[str, int] = {}


class PlacementRequest(NamedTuple):
    """One placement asked for; no limit means the placement's own."""

    id: str
    limit: int | None = None


class DecisionRequest(msgspec.Struct, frozen=True, gc=False):
    """What a channel asks: see the contract's `POST /v1/decisions`."""

    channel: str
    customer_id: str | None = None
    anonymous_id: str | None = None
    account_id: str | None = None
    placements: tuple[PlacementRequest, ...] | None = None
    context: Mapping[str, object] = {}
    exclude: tuple[str, ...] = ()
    explain: str = "none"
    dry_run: bool = False
    deadline_ms: float | None = None
    events: tuple[EventReport, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def customer_key(self) -> str:
        """The id under which the store keeps what is known."""
        return customer_or_visitor(self.customer_id, self.anonymous_id)


class InvalidRequest(ValueError):
    """A body that does not fit the live configuration; `faults` has all that is wrong with it."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.path}: {fault.message}" for fault in self.faults))


class CheckedRequest(msgspec.Struct, frozen=True, gc=False):
    """A request in the terms of one snapshot, with indexes instead of names: the (slot, limit) of each
    placement, and the context as (column of X, number) pairs."""

    channel: int
    slots: tuple[tuple[int, int], ...]
    context: tuple[tuple[int, float], ...] = ()
    excluded: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
    ignored: Mapping[str, int] = NOTHING_IGNORED


class RequestChecker:
    """Finds the names of requests in the catalogue and the schema of one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._catalogue = snapshot.catalogue
        self._context = {
            name: (feature, snapshot.schema.slice(name).start)
            for name, feature in snapshot.context_features.items()
        }
        self._asked = lru_cache(maxsize=KNOWN_QUESTIONS)(self._slots)

    def check(self, request: DecisionRequest) -> CheckedRequest:
        """A request as the snapshot sees it.

        Raises:
            InvalidRequest: with all faults at once.
        """
        channel, slots, misplaced = self._asked(request.channel, request.placements)
        faults, warnings = list(misplaced), list(request.warnings)
        context: list[tuple[int, float]] = []
        ignored = self._encode(request.context, context, faults, warnings)
        excluded = self._excluded(request.exclude, warnings) if request.exclude else ()
        if faults:
            raise InvalidRequest(faults)
        return CheckedRequest(channel, slots, tuple(context), excluded, tuple(warnings), ignored)

    def _slots(
        self, name: str, placements: tuple[PlacementRequest, ...] | None
    ) -> tuple[int, tuple[tuple[int, int], ...], tuple[Fault, ...]]:
        """A channel, the (slot, limit) of each placement in the order of the request, and what is wrong with
        them."""
        catalogue = self._catalogue
        channel = catalogue.channel_index.get(name)
        if channel is None:
            hint = did_you_mean(name, catalogue.channel_index)
            return 0, (), (Fault("channel", f"is not a channel of the catalogue{hint}"),)
        own = {catalogue.slots[slot].placement.id: slot for slot in catalogue.channel_slots[name]}
        if placements is None:
            return channel, tuple((slot, catalogue.slots[slot].placement.limit) for slot in own.values()), ()
        found: dict[int, int] = {}
        faults = []
        for index, (id_, limit) in enumerate(placements):
            slot = own.get(id_)
            if slot is None:
                message = f"channel '{name}' has no such placement{did_you_mean(id_, own)}"
                faults.append(Fault(f"placements[{index}].id", message))
            elif slot in found:
                faults.append(Fault(f"placements[{index}].id", "is asked for twice"))
            else:
                found[slot] = catalogue.slots[slot].placement.limit if limit is None else limit
        return channel, tuple(found.items()), tuple(faults)

    def _encode(
        self,
        values: Mapping[str, object],
        context: list[tuple[int, float]],
        faults: list[Fault],
        warnings: list[str],
    ) -> Mapping[str, int]:
        """Add the columns of X and their numbers to `context`; how much of it was ignored, and why.

        An unknown key and a category's unknown level are left out with a warning: a site that sends something
        new is still answered. A value of the wrong type is a fault.
        """
        unknown_keys: list[str] = []
        unknown_levels: list[str] = []
        for name, value in values.items():
            place = self._context.get(name)
            if place is None:
                unknown_keys.append(name)
                continue
            if value is None:
                continue
            feature, start = place
            if feature.type is FeatureType.CATEGORY and isinstance(value, str) and value not in feature.codes:
                unknown_levels.append(
                    f"context.{name}: {_shown(value)!r} is not one of its levels, taken as missing"
                    f"{_hint(_shown(value), feature.levels)}"
                )
                continue
            try:
                encoded = feature.encode(value)
            except ValueError as error:
                faults.append(Fault(f"context.{name}", str(error)))
                continue
            context += enumerate(encoded, start)
        if not (unknown_keys or unknown_levels):
            return NOTHING_IGNORED
        warnings += self._strangers(unknown_keys) + unknown_levels
        return {"unknown_key": len(unknown_keys), "unknown_level": len(unknown_levels)}

    def _strangers(self, keys: list[str]) -> list[str]:
        """What is said of keys that are no context features."""
        known = tuple(self._context)
        said = [
            f"context.{_shown(name)}: is not a context feature, ignored{_hint(_shown(name), known)}"
            for name in keys[:MOST_WARNINGS]
        ]
        if len(keys) > MOST_WARNINGS:
            said.append(f"context: {len(keys) - MOST_WARNINGS} more keys are no context features")
        return said

    def _excluded(self, names: tuple[str, ...], warnings: list[str]) -> tuple[int, ...]:
        """An action that is no more in the catalogue is excluded already."""
        index = self._catalogue.action_index
        unknown = [name for name in names if name not in index]
        warnings += [
            f"exclude: no action {_shown(name)!r} in the catalogue" for name in unknown[:MOST_WARNINGS]
        ]
        if len(unknown) > MOST_WARNINGS:
            warnings.append(f"exclude: {len(unknown) - MOST_WARNINGS} more are no actions of the catalogue")
        return tuple(index[name] for name in names if name in index)


def _shown(text: str) -> str:
    return text[:LONGEST_SHOWN]


@lru_cache(maxsize=4096)
def _hint(word: str, names: tuple[str, ...]) -> str:
    """`did_you_mean`, remembered: a site that sends a wrong name sends it with every request."""
    return did_you_mean(word, names) if len(names) <= MOST_HINTED else ""
