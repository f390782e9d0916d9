"""One voice: an action's offers, and the terms that a customer was promised, kept in every channel until they
run out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.decisioning.rules.program import Columns
from service.decisioning.stages import Removal, Stage

REMOVALS = (
    Removal(Stage.ELIGIBILITY, "no_offer", "the customer may have none of the action's offers"),
    Removal(
        Stage.ELIGIBILITY,
        "kept_offer_unsayable",
        "the offer that the customer was promised lacks a term that the action's treatments name now",
    ),
)
"""What takes out an action for want of an offer."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Terms on which an action (an index into the catalogue's) may be offered. `terms` is a JSON object,
    encoded once; `place` is the column of the program that tells who may have them, None: everybody."""

    action: int
    name: str
    terms: bytes
    valid_for: float
    place: int | None = None


@dataclass(frozen=True, slots=True)
class Promise:
    """An offer as it is made to a customer: its name, its terms (a JSON object), and the epoch second from
    which they bind no more."""

    name: str
    terms: bytes
    valid_until: float


@dataclass(frozen=True, slots=True)
class Promises:
    """The offers that still hold for the customers of a batch, as k flat columns.

    rows         k  the request whose customer was made the offer
    actions      k  index into the catalogue's actions
    names        k  of the offers, UTF-8
    terms        k  JSON objects
    valid_until  k  epoch seconds, exclusive
    sayable      k  False where a treatment of the action names a term that the offer does not have
    """

    rows: NDArray[np.intp]
    actions: NDArray[np.intp]
    names: NDArray[np.bytes_]
    terms: NDArray[np.bytes_]
    valid_until: NDArray[np.float64]
    sayable: NDArray[np.bool_]

    def take(self, rows: NDArray[np.intp]) -> "Promises":
        """Those of some requests, each at most once, in the given order."""
        place = np.full(max(int(self.rows.max(initial=-1)), int(rows.max(initial=-1))) + 1, -1, np.intp)
        place[rows] = np.arange(len(rows))
        kept = np.flatnonzero(place[self.rows] >= 0)
        columns = {column.name: getattr(self, column.name)[kept] for column in fields(self)}
        return Promises(**(columns | {"rows": place[self.rows[kept]]}))

    @classmethod
    def together(cls, parts: "Sequence[Promises]") -> "Promises":
        """Those of several for the same requests; of two for one action the last binds."""
        return cls(
            **{
                column.name: np.concatenate([getattr(part, column.name) for part in parts])
                for column in fields(cls)
            }
        )

    def at(self, position: int) -> Promise:
        """One of them."""
        return Promise(
            self.names[position].decode(),
            bytes(self.terms[position]),
            float(self.valid_until[position]),
        )


@dataclass(frozen=True)
class Offered:
    """On which offer each candidate of a batch stands.

    numbers  n x A  index into the book's offers, and behind them into the promises; -1 where there is none
    now      n      epoch seconds of each request
    """

    offers: tuple[Offer, ...]
    promises: Promises | None
    numbers: NDArray[np.int32]
    now: NDArray[np.float64]

    def of(self, row: int, action: int) -> Promise | None:
        """What an action is offered on to the customer of a request; None: it has no offers."""
        number = int(self.numbers[row, action])
        if number < 0:
            return None
        if number < len(self.offers):
            offer = self.offers[number]
            return Promise(offer.name, offer.terms, float(self.now[row]) + offer.valid_for)
        assert self.promises is not None, "only promises stand behind the offers"  # noqa: S101
        return self.promises.at(number - len(self.offers))

    def new(self, rows: NDArray[np.intp], actions: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which of some candidates stand on an offer that the customer has not been promised before."""
        numbers = self.numbers[rows, actions]
        return (numbers >= 0) & (numbers < len(self.offers))


@dataclass(frozen=True)
class OfferBook:
    """The offers of all actions, in the order in which they are tried, and the terms that the live treatments
    of an action name (by its index)."""

    offers: tuple[Offer, ...] = ()
    named: Mapping[int, frozenset[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.offers)

    @property
    def removals(self) -> tuple[Removal, ...]:
        """What takes out an action for want of an offer; nothing where no action has one."""
        return REMOVALS if self.offers else ()

    @cached_property
    def _actions(self) -> NDArray[np.intp]:
        """k: the actions that have offers."""
        return np.array(list(dict.fromkeys(offer.action for offer in self.offers)), np.intp)

    @cached_property
    def _table(self) -> NDArray[np.intp]:
        """k x m: the offers of each of them, in their order; one too many fills the rows."""
        by_action: dict[int, list[int]] = {}
        for number, offer in enumerate(self.offers):
            by_action.setdefault(offer.action, []).append(number)
        table = np.full((len(by_action), max(map(len, by_action.values()))), len(self.offers), np.intp)
        for row, numbers in enumerate(by_action.values()):
            table[row, : len(numbers)] = numbers
        return table

    def choose(
        self,
        computed: Columns,
        now: NDArray[np.float64],
        actions: int,
        promises: Promises | None,
    ) -> Offered:
        """The promise that binds, or else the first offer whose condition holds, for n requests and all
        `actions` of the catalogue."""
        holds = np.zeros((len(self.offers) + 1, len(now)), np.bool_)
        for number, offer in enumerate(self.offers):
            holds[number] = True if offer.place is None else computed[offer.place]
        tried = holds[self._table]  # k x m x n
        first = self._table[np.arange(len(self._table))[:, None], tried.argmax(axis=1)]
        numbers = np.full((len(now), actions), -1, np.int32)
        numbers[:, self._actions] = np.where(tried.any(axis=1), first, -1).T
        if promises is not None:
            numbers[promises.rows, promises.actions] = len(self.offers) + np.arange(len(promises.rows))
        return Offered(self.offers, promises, numbers, now)

    def withhold(
        self, offered: Offered, removed_by: NDArray[np.int32], first_code: int, eligible: NDArray[np.bool_]
    ) -> None:
        """Take out the candidates that have nothing to say; `removals` has the reasons, in the order of their
        codes. `eligible` tells of every code of `removed_by` whether it is no reason yet, or a later one."""
        removed = removed_by[:, self._actions]
        without = (offered.numbers[:, self._actions] < 0) & eligible[removed]
        removed_by[:, self._actions] = np.where(without, first_code, removed)
        if offered.promises is not None:
            rows, actions = offered.promises.rows, offered.promises.actions
            out = ~offered.promises.sayable & eligible[removed_by[rows, actions]]
            removed_by[rows[out], actions[out]] = first_code + 1
