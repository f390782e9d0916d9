"""Value: what a response is worth to the business and to the customer, and how it is scaled."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.decisioning.catalogue import Catalogue
from service.decisioning.quantities import Formula, computed_numbers
from service.decisioning.rulebook import Columns

ValueFormulas = tuple[tuple[int, Formula], ...]
"""The actions (by index) whose value is computed for each request."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """How large values are drawn together, so that one action can't outbid all others by its size alone.

    With the reference r a value V counts as V (`none`), r * ln(1 + V / r) (`logarithm`) or r * sqrt(V / r)
    (`square_root`): small values hardly change under the logarithm, r itself does not under the root. All
    are strictly increasing and keep 0.
    """

    method: Literal["none", "logarithm", "square_root"] = "none"
    reference: float = 100.0

    def scaled(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """What values (at least 0, of any shape) count as."""
        r = self.reference
        if self.method == "logarithm":
            return r * np.log1p(value / r)
        return r * np.sqrt(value / r) if self.method == "square_root" else value

    def unscaled(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of `scaled`."""
        r = self.reference
        if self.method == "logarithm":
            return r * np.expm1(value / r)
        return value * value / r if self.method == "square_root" else value


@dataclass(frozen=True, slots=True)
class Valuation:
    """What a response is worth: V = business + benefit_weight * customer, at least 0, then scaled.

    `business` and `customer` have the actions whose number is a formula; that of the others, and what stands
    in for a formula, is in the catalogue.
    """

    benefit_weight: float = 0.0
    scaling: Scaling = Scaling()
    business: ValueFormulas = ()
    customer: ValueFormulas = ()

    def values(self, catalogue: Catalogue, computed: Columns, rows: NDArray[np.intp]) -> "Values":
        """The values of every action for m rows of a batch."""
        business, assumed = _filled(catalogue.values, self.business, computed, rows)
        customer, also_assumed = _filled(catalogue.customer_values, self.customer, computed, rows)
        raw = business
        if self.benefit_weight:
            raw = business + self.benefit_weight * customer
            assumed = assumed | also_assumed
        if self.business or self.benefit_weight:
            raw = np.maximum(raw, 0.0)
        shape = len(rows), len(catalogue.actions)
        computes = self.business or (self.benefit_weight and self.customer)
        return Values(
            business=np.broadcast_to(business, shape),
            customer=np.broadcast_to(customer, shape),
            raw=np.broadcast_to(raw, shape),
            scaled=np.broadcast_to(self.scaling.scaled(raw), shape),
            assumed=np.broadcast_to(assumed, shape) if computes else None,
        )


@dataclass(frozen=True, slots=True)
class Values:
    """m x A each, read-only: the value to the business, to the customer, both together, and scaled. `assumed`
    tells where a number stands in for a formula that could not be computed; None: nowhere."""

    business: NDArray[np.float64]
    customer: NDArray[np.float64]
    raw: NDArray[np.float64]
    scaled: NDArray[np.float64]
    assumed: NDArray[np.bool_] | None


def _filled(
    declared: NDArray[np.float64], formulas: ValueFormulas, computed: Columns, rows: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The numbers of every action, and where one was assumed: A where no row differs, else m x A."""
    if not formulas:
        return declared, np.zeros(len(declared), dtype=np.bool_)
    numbers = np.tile(declared, (len(rows), 1))
    assumed = np.zeros(numbers.shape, dtype=np.bool_)
    actions = [action for action, _ in formulas]
    numbers[:, actions], assumed[:, actions] = computed_numbers([f for _, f in formulas], computed, rows)
    return numbers, assumed
