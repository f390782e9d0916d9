"""What a company can say and do: issues > groups > actions > treatments, and where it can say it.

The catalogue is immutable and already consistent when it gets here: it is read and checked elsewhere.
Actions stand in the order of (issue, group, name), so that an action's index is also the last word on ties.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.decisioning.draws import keys_of

NEVER_ENDS = float("inf")
ALWAYS_BEGUN = float("-inf")


@dataclass(frozen=True, slots=True)
class Placement:
    """A slot of a channel, filled with at most `limit` actions unless the request says otherwise."""

    id: str
    limit: int
    description: str = ""


@dataclass(frozen=True, slots=True)
class Channel:
    """Where customers are met. Placements are filled in the order in which they stand here."""

    name: str
    direction: str
    placements: tuple[Placement, ...]
    description: str = ""
    reports_impressions: bool = False


@dataclass(frozen=True, slots=True)
class Treatment:
    """How an action is said in one channel. `content` is JSON, encoded once."""

    name: str
    action: str
    channel: str
    placements: tuple[str, ...]
    content: bytes
    active: bool = True


@dataclass(frozen=True, slots=True)
class Action:
    """What can be done for a customer. `levers` are the percents of issue, group and action; `start` and
    `end` are epoch seconds, the end exclusive; `propensity` is the prior used where no model can speak, and
    `evidence` how many positives are known of the action, if not those that its model has learnt from. A
    `fallback` is only considered where a placement would stay empty. An outcome counts for
    `outcome_window` seconds after its decision; None is the default of whoever counts.

    `value` is what a response is worth to the business, and `customer_value` to the customer, or what stands
    in for the formula that computes it, and whose text `value_formula` and `customer_value_formula` have.
    """

    name: str
    issue: str
    group: str
    title: str = ""
    description: str = ""
    model: str | None = None
    propensity: float | None = None
    evidence: float | None = None
    value: float = 1.0
    customer_value: float = 0.0
    value_formula: str | None = None
    customer_value_formula: str | None = None
    levers: tuple[float, float, float] = (0.0, 0.0, 0.0)
    tags: tuple[str, ...] = ()
    fallback: bool = False
    active: bool = True
    start: float = ALWAYS_BEGUN
    end: float = NEVER_ENDS
    outcome_window: float | None = None

    @property
    def lever(self) -> float:
        """L of the priority: additive percents, then one multiplier (20, 10 and 25 give 1.55)."""
        return 1.0 + sum(self.levers) / 100.0


@dataclass(frozen=True, slots=True)
class Slot:
    """One placement of one channel."""

    channel: str
    placement: Placement


@dataclass(frozen=True)
class Catalogue:
    """Everything that may be offered, with the columns that the stages compute on (A actions, S slots, C
    channels)."""

    channels: tuple[Channel, ...]
    actions: tuple[Action, ...]
    treatments: tuple[Treatment, ...]
    version: str

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Every placement of every channel, in catalogue order: the S axis."""
        return tuple(
            Slot(channel.name, placement) for channel in self.channels for placement in channel.placements
        )

    @cached_property
    def placement_ids(self) -> tuple[str, ...]:
        """S: the placement of each slot."""
        return tuple(slot.placement.id for slot in self.slots)

    @cached_property
    def channel_index(self) -> Mapping[str, int]:
        return {channel.name: index for index, channel in enumerate(self.channels)}

    @cached_property
    def action_index(self) -> Mapping[str, int]:
        return {action.name: index for index, action in enumerate(self.actions)}

    @cached_property
    def action_keys(self) -> NDArray[np.uint64]:
        """A: what each action draws with, by its name, so that it stays when others come and go."""
        return keys_of([action.name for action in self.actions])

    @cached_property
    def slot_index(self) -> Mapping[tuple[str, str], int]:
        return {(slot.channel, slot.placement.id): index for index, slot in enumerate(self.slots)}

    @cached_property
    def channel_slots(self) -> Mapping[str, tuple[int, ...]]:
        """The slots of each channel, in the order in which they are filled."""
        return {
            channel.name: tuple(self.slot_index[channel.name, p.id] for p in channel.placements)
            for channel in self.channels
        }

    @cached_property
    def starts(self) -> NDArray[np.float64]:
        return np.array([action.start for action in self.actions], dtype=np.float64)

    @cached_property
    def ends(self) -> NDArray[np.float64]:
        return np.array([action.end for action in self.actions], dtype=np.float64)

    @cached_property
    def active(self) -> NDArray[np.bool_]:
        return np.array([action.active for action in self.actions], dtype=np.bool_)

    @cached_property
    def is_fallback(self) -> NDArray[np.bool_]:
        """A: which actions are fallbacks."""
        return np.array([action.fallback for action in self.actions], dtype=np.bool_)

    @cached_property
    def fallbacks(self) -> NDArray[np.bool_] | None:
        """The same; None where none is."""
        return self.is_fallback if self.is_fallback.any() else None

    @cached_property
    def values(self) -> NDArray[np.float64]:
        return np.array([action.value for action in self.actions], dtype=np.float64)

    @cached_property
    def customer_values(self) -> NDArray[np.float64]:
        return np.array([action.customer_value for action in self.actions], dtype=np.float64)

    @cached_property
    def levers(self) -> NDArray[np.float64]:
        return np.array([action.lever for action in self.actions], dtype=np.float64)

    @cached_property
    def ones(self) -> NDArray[np.float64]:
        """A: what a factor is that says nothing."""
        return np.ones(len(self.actions))

    @cached_property
    def priors(self) -> NDArray[np.float64]:
        """The declared propensity of each action; NaN where none is declared."""
        return np.array(
            [np.nan if action.propensity is None else action.propensity for action in self.actions],
            dtype=np.float64,
        )

    @cached_property
    def slot_treatments(self) -> NDArray[np.int32]:
        """S x A: the treatment that says an action in a slot, -1 where there is none. Of several, the first
        counts."""
        table = np.full((len(self.slots), len(self.actions)), -1, dtype=np.int32)
        for index, treatment in reversed(list(enumerate(self.treatments))):
            if treatment.active:
                for placement in treatment.placements:
                    slot = self.slot_index[treatment.channel, placement]
                    table[slot, self.action_index[treatment.action]] = index
        return table

    @cached_property
    def channel_actions(self) -> NDArray[np.bool_]:
        """C x A: whether an action has a live treatment anywhere in a channel."""
        said = self.slot_treatments >= 0
        return np.array(
            [said[list(self.channel_slots[channel.name])].any(axis=0) for channel in self.channels],
            dtype=np.bool_,
        ).reshape(len(self.channels), len(self.actions))
