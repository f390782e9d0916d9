"""What can be shown where: a catalogue as flat tuples, to be indexed by arrays."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_store.documents import load_document

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Action:
    """One action; `start` and `end` are epoch seconds, the end exclusive."""

    name: str
    issue: str
    group: str
    model: str | None = None
    value: float = 1.0
    propensity: float = 0.02
    active: bool = True
    start: float = -np.inf
    end: float = np.inf


@dataclass(frozen=True)
class Treatment:
    """How the action of that index is said in one channel."""

    name: str
    action: int
    channel: str
    placements: tuple[str, ...]


@dataclass(frozen=True)
class Placement:
    """A slot of a channel, and how many actions it takes."""

    channel: str
    name: str
    limit: int


@dataclass(frozen=True)
class Offers:
    """Actions, treatments and placements; arrays elsewhere hold positions in these tuples."""

    actions: tuple[Action, ...]
    treatments: tuple[Treatment, ...]
    placements: tuple[Placement, ...]
    positive: Mapping[str, tuple[str, ...]]
    """The positive outcomes of each model."""

    @cached_property
    def action_of(self) -> Indices:
        """The action of each treatment, shape (treatments,)."""
        return np.array([treatment.action for treatment in self.treatments], np.intp)

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """What a response is worth, shape (actions,)."""
        return np.array([action.value for action in self.actions])

    @cached_property
    def propensities(self) -> NDArray[np.float64]:
        """The declared prior propensity, shape (actions,)."""
        return np.array([action.propensity for action in self.actions])

    def position(self, name: str) -> int:
        """The position of the action of that name.

        Raises:
            KeyError: there is none.
        """
        return self._positions[name]

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {action.name: position for position, action in enumerate(self.actions)}

    def with_propensities(self, propensities: NDArray[np.float64]) -> "Offers":
        """The same catalogue with other prior propensities, shape (actions,)."""
        pairs = zip(self.actions, propensities.tolist(), strict=True)
        return replace(self, actions=tuple(replace(action, propensity=prior) for action, prior in pairs))

    def shown_in(self, placement: Placement) -> Indices:
        """The treatments that the placement can show."""
        return np.array(
            [
                position
                for position, treatment in enumerate(self.treatments)
                if treatment.channel == placement.channel and placement.name in treatment.placements
            ],
            np.intp,
        )

    def live(self, treatments: Indices, at: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which treatments' actions are on at each time: shape (times, treatments)."""
        actions = [self.actions[action] for action in self.action_of[treatments]]
        start = np.array([action.start if action.active else np.inf for action in actions])
        end = np.array([action.end for action in actions])
        return (at[:, None] >= start) & (at[:, None] < end)

    @classmethod
    def load(cls, workspace: Path) -> "Offers":
        """Read the catalogue of a workspace that is known to be valid.

        Raises:
            WorkspaceError: a file is missing or is not YAML.
        """
        channels = load_document(workspace / "channels.yaml").data["channels"]
        models = load_document(workspace / "models.yaml").data["models"]
        placements = tuple(
            Placement(channel, name, entry["limit"])
            for channel, spec in channels.items()
            for name, entry in spec["placements"].items()
        )
        actions: list[Action] = []
        treatments: list[Treatment] = []
        for path in sorted((workspace / "actions").glob("*.yaml")):
            for action, entry in _actions(load_document(path).data):
                for name, spec in entry["treatments"].items():
                    slots = spec.get("placements") or channels[spec["channel"]]["placements"]
                    treatments.append(Treatment(name, len(actions), spec["channel"], tuple(slots)))
                actions.append(action)
        positive = {name: tuple(spec["positive"]) for name, spec in models.items() if "positive" in spec}
        return cls(tuple(actions), tuple(treatments), placements, positive)


def _actions(document: dict[str, Any]) -> Iterator[tuple[Action, dict[str, Any]]]:
    for group, spec in document["groups"].items():
        for name, entry in spec["actions"].items():
            action = Action(
                name=name,
                issue=document["issue"],
                group=group,
                model=entry.get("model", spec.get("model", document.get("model"))),
                value=_worth(entry.get("value", 1)),
                propensity=float(entry["propensity"]),
                active=entry.get("active", True),
                start=_moment(entry["start"]) if "start" in entry else -np.inf,
                end=_moment(entry["end"], last_day=True) if "end" in entry else np.inf,
            )
            yield action, entry


def _worth(value: Any) -> float:
    """A value; of one that is computed for each customer what stands in for it."""
    return float(value["otherwise"] if isinstance(value, dict) else value)


def _moment(value: date | datetime, last_day: bool = False) -> float:
    """Epoch seconds; a date is its UTC midnight or, as a last day, the midnight after it."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return (datetime(value.year, value.month, value.day, tzinfo=UTC) + timedelta(days=last_day)).timestamp()
