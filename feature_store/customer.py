"""What the store knows of customers: of one in full, or of a batch as columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_store import history
from feature_store.contacts import Kept
from feature_store.offers import KeptOffer
from feature_store.schema import FieldError

Floats = NDArray[np.float64]


class InvalidFeatures(Exception):
    """Values that the schema doesn't allow; `errors` has one entry for each."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(str(error) for error in self.errors))


@dataclass(frozen=True)
class CustomerRows:
    """What is stored of a batch of customers, one row each.

    `X` has shape (n, schema.width) and is NaN where nothing is stored, or it is too old; defaults are not
    filled in. `known` (n,) tells who has a profile or behaviour, `assembled_at` (n,) in epoch seconds when
    it was last written, NaN for who has none. `incomplete` (n,) tells of whom something may be stored that
    could not be read, and `faults` says what and why; `unread` (n,) tells of whom nothing could be read.
    `consents` holds for each its records of consent, as they are stored, and `also` the further fields that
    were asked for. If accounts were asked for, `account_ids` names those that there are, and `accounts` has
    what is kept of their contacts, None where that could not be read.
    """

    X: Floats
    known: NDArray[np.bool_]
    assembled_at: Floats
    incomplete: NDArray[np.bool_]
    faults: tuple[str, ...] = ()
    consents: tuple[bytes | None, ...] = ()
    also: Mapping[bytes, Sequence[bytes | None]] = field(default_factory=dict)
    unread: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))
    account_ids: tuple[str | None, ...] = ()
    accounts: tuple[Kept | None, ...] = ()

    def take(self, rows: Sequence[int]) -> "CustomerRows":
        """Some of the customers, in the given order."""
        at = np.array(rows, np.intp)
        return replace(
            self,
            X=self.X[at],
            known=self.known[at],
            assembled_at=self.assembled_at[at],
            incomplete=self.incomplete[at],
            unread=self.unread[at],
            consents=_taken(self.consents, rows),
            also={name: _taken(kept, rows) for name, kept in self.also.items()},
            account_ids=_taken(self.account_ids, rows),
            accounts=_taken(self.accounts, rows),
        )


def _taken(column: Sequence[Any], rows: Sequence[int]) -> tuple[Any, ...]:
    """Nothing of what was not asked for."""
    return tuple(column[row] for row in rows) if column else ()


@dataclass(frozen=True)
class Customer:
    """All that is stored of one customer, of whatever age: the single view.

    `history` holds records of `history.RECORD`, shape (touches,), in the order of their times; `consents`
    has (hash of the purpose, hash of the channel, state, time) for each consent; `offers` also has those that
    are over.
    """

    customer_id: str
    account_id: str | None = None
    profile: dict[str, object] = field(default_factory=dict)
    behaviour: dict[str, object] = field(default_factory=dict)
    updated_at: float | None = None
    history: NDArray[np.void] = field(default_factory=lambda: np.empty(0, history.RECORD))
    consents: tuple[tuple[int, int, int, float], ...] = ()
    offers: tuple[KeptOffer, ...] = ()
