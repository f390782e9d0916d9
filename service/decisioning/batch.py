"""What `decide` reads: a batch of n requests as columns."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.decisioning.offers import Promises
from service.decisioning.touches import Touches

Rows = NDArray[np.intp] | slice
"""Some requests of a batch; a slice takes them as they are."""


@dataclass(frozen=True, slots=True)
class Batch:
    """n requests over a catalogue of A actions and S slots.

    X               n x F  features in the schema's column order, defaults applied; NaN is missing
    now             n      epoch seconds at which each request is decided
    channel         n      index into the catalogue's channels
    limits          n x S  how many actions each slot asks for; 0 is not asked
    scored          n      False where there is no time left for models: declared propensities are used
    excluded        n x A  actions that the request does not want, or None when no request excludes any
    consents        n x P x C  what the store knows of consent for P purposes: 1 granted, 0 denied, -1
                           unknown; None when nothing is known of anybody
    seeds           n      uint64 from the decision id, from which everything random is drawn; None: nothing
                           is left to chance
    units           n      uint64 hash of the customer, by which experiments assign; None: nobody takes part
    account_units   n      the same of the account, or of the customer who has none; `draws.UNKNOWN` where
                           that can't be told
    touches                the contact history of the customers; None: nobody has any
    account_touches        that of their accounts
    promises               the offers that customers have been made and that still hold; None: there are none
    budgets         n x V  how many choices each volume limit leaves to each request: at most so many actions
                           of `Snapshot.volume_actions` in its answer. `volumes.UNLIMITED` where it does not
                           speak for the channel or can't be reached; None: no limit is near
    volume_used     n x V  what each volume limit had counted in its period; None where budgets are
    explores        n      False where exploring can't be paid for any more; None: it can everywhere
    corrections     n x A  by which propensities are multiplied after the last outcomes; None: by nothing
    known           n x A  how much is known of each action with these, the same for all requests, see
                           `adaptation.Learned`; None: what the snapshot says
    """

    X: NDArray[np.float64]
    now: NDArray[np.float64]
    channel: NDArray[np.intp]
    limits: NDArray[np.int32]
    scored: NDArray[np.bool_]
    excluded: NDArray[np.bool_] | None = None
    consents: NDArray[np.int8] | None = None
    seeds: NDArray[np.uint64] | None = None
    units: NDArray[np.uint64] | None = None
    account_units: NDArray[np.uint64] | None = None
    touches: Touches | None = None
    account_touches: Touches | None = None
    promises: Promises | None = None
    budgets: NDArray[np.int32] | None = None
    volume_used: NDArray[np.float64] | None = None
    explores: NDArray[np.bool_] | None = None
    corrections: NDArray[np.float32] | None = None
    known: NDArray[np.int8] | None = None

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: NDArray[np.intp]) -> "Batch":
        """Some of the requests, each at most once, in the given order, as a batch of their own."""
        return Batch(**{field.name: _taken(getattr(self, field.name), rows) for field in fields(self)})


def _taken(column: Any, rows: NDArray[np.intp]) -> Any:
    if isinstance(column, np.ndarray):
        return column[rows]
    return None if column is None else column.take(rows)
