"""A decision request as the runtime takes it, and what it becomes when the live configuration has checked
it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from feature_store.documents import did_you_mean
from feature_store.schema import FeatureType, Source
from service.decisioning.snapshot import Snapshot

ANONYMOUS_PREFIX = "anonymous:"
"""Visitors are kept beside customers under this prefix, which no customer_id may have."""
MOST_WARNINGS = 10
"""Of one kind in one answer: a request with thousands of unknown names costs no more than one with ten."""
MOST_HINTED = 200
"""Names among which the one meant is looked for; among more it would take longer than the decision."""
LONGEST_SHOWN = 64
"""Characters of a client's own text that a warning repeats."""


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """One placement asked for; no limit means the placement's own."""

    id: str
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """What a channel asks: see the contract's `POST /v1/decisions`."""

    channel: str
    customer_id: str | None = None
    anonymous_id: str | None = None
    account_id: str | None = None
    placements: tuple[PlacementRequest, ...] | None = None
    context: Mapping[str, object] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    explain: str = "none"
    dry_run: bool = False
    deadline_ms: float | None = None
    warnings: tuple[str, ...] = ()

    @property
    def customer_key(self) -> str:
        """The id under which the store keeps what is known."""
        return customer_key(self.customer_id, self.anonymous_id)


def customer_key(customer_id: str | None, anonymous_id: str | None) -> str:
    """The store's id of a customer, or of a visitor who is not known yet."""
    return customer_id if customer_id is not None else f"{ANONYMOUS_PREFIX}{anonymous_id}"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in one place of a body."""

    path: str
    message: str


class InvalidRequest(ValueError):
    """A body that does not fit the live configuration; `faults` has all that is wrong with it."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.path}: {fault.message}" for fault in self.faults))


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """A request in the terms of one snapshot: indexes instead of names, context as a row of X."""

    channel: int
    slots: tuple[tuple[int, int], ...]
    context: NDArray[np.float64]
    excluded: tuple[int, ...]
    warnings: tuple[str, ...]
    ignored: Mapping[str, int]


def check(snapshot: Snapshot, request: DecisionRequest) -> CheckedRequest:
    """Find every name of a request in the catalogue and the schema.

    Raises:
        InvalidRequest: with all faults at once.
    """
    faults: list[Fault] = []
    warnings = list(request.warnings)
    channel = snapshot.catalogue.channel_index.get(request.channel)
    if channel is None:
        hint = did_you_mean(request.channel, snapshot.catalogue.channel_index)
        faults.append(Fault("channel", f"is not a channel of the catalogue{hint}"))
        slots: tuple[tuple[int, int], ...] = ()
    else:
        slots = _slots(snapshot, request, faults)
    context, ignored = _context(snapshot, request.context, faults, warnings)
    excluded = _excluded(snapshot, request.exclude, warnings)
    if faults:
        raise InvalidRequest(faults)
    return CheckedRequest(channel or 0, slots, context, excluded, tuple(warnings), ignored)


def _slots(snapshot: Snapshot, request: DecisionRequest, faults: list[Fault]) -> tuple[tuple[int, int], ...]:
    """(slot, limit) of each placement, in the order of the request."""
    catalogue = snapshot.catalogue
    if request.placements is None:
        return tuple(
            (slot, catalogue.slots[slot].placement.limit) for slot in catalogue.channel_slots[request.channel]
        )
    found: dict[int, int] = {}
    for index, asked in enumerate(request.placements):
        slot = catalogue.slot_index.get((request.channel, asked.id))
        if slot is None:
            names = [catalogue.slots[s].placement.id for s in catalogue.channel_slots[request.channel]]
            message = f"channel '{request.channel}' has no such placement{did_you_mean(asked.id, names)}"
            faults.append(Fault(f"placements[{index}].id", message))
        elif slot in found:
            faults.append(Fault(f"placements[{index}].id", "is asked for twice"))
        else:
            found[slot] = catalogue.slots[slot].placement.limit if asked.limit is None else asked.limit
    return tuple(found.items())


def _context(
    snapshot: Snapshot, values: Mapping[str, object], faults: list[Fault], warnings: list[str]
) -> tuple[NDArray[np.float64], dict[str, int]]:
    """The context as a row of X, NaN where nothing is said.

    An unknown key and a category's unknown level are left out with a warning: a site that sends something
    new is still answered. A value of the wrong type is a fault.
    """
    schema, declared = snapshot.schema, snapshot.context_features
    row = np.full(schema.width, np.nan)
    usable: dict[str, object] = {}
    unknown_keys: list[str] = []
    unknown_levels: list[str] = []
    for name, value in values.items():
        feature = declared.get(name)
        if feature is None:
            unknown_keys.append(name)
        elif feature.type is FeatureType.CATEGORY and isinstance(value, str) and value not in feature.codes:
            unknown_levels.append(
                f"context.{name}: {_shown(value)!r} is not one of its levels, taken as missing"
                f"{_hint(_shown(value), feature.levels)}"
            )
        else:
            usable[name] = value
    warnings += [
        f"context.{_shown(name)}: is not a context feature, ignored{_hint(_shown(name), tuple(declared))}"
        for name in unknown_keys[:MOST_WARNINGS]
    ]
    if len(unknown_keys) > MOST_WARNINGS:
        warnings.append(f"context: {len(unknown_keys) - MOST_WARNINGS} more keys are no context features")
    warnings += unknown_levels
    ignored = {"unknown_key": len(unknown_keys), "unknown_level": len(unknown_levels)}
    errors = schema.encode(usable, row, (Source.CONTEXT,))
    faults += [Fault(f"context.{error.field}", error.message) for error in errors]
    return row, ignored


def _excluded(snapshot: Snapshot, names: tuple[str, ...], warnings: list[str]) -> tuple[int, ...]:
    """An action that is no more in the catalogue is excluded already."""
    index = snapshot.catalogue.action_index
    unknown = [name for name in names if name not in index]
    warnings += [f"exclude: no action {_shown(name)!r} in the catalogue" for name in unknown[:MOST_WARNINGS]]
    if len(unknown) > MOST_WARNINGS:
        warnings.append(f"exclude: {len(unknown) - MOST_WARNINGS} more are no actions of the catalogue")
    return tuple(index[name] for name in names if name in index)


def _shown(text: str) -> str:
    return text[:LONGEST_SHOWN]


@lru_cache(maxsize=4096)
def _hint(word: str, names: tuple[str, ...]) -> str:
    """`did_you_mean`, remembered: a site that sends a wrong name sends it with every request."""
    return did_you_mean(word, names) if len(names) <= MOST_HINTED else ""
