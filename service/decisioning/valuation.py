"""Value: what a response is worth to the business and to the customer, and how it is scaled."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Rows
from service.decisioning.catalogue import Catalogue
from service.decisioning.quantities import Formula, computed_numbers
from service.decisioning.rules.program import Columns
from service.decisioning.spreading import spread

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

    def values(self, catalogue: Catalogue, computed: Columns, rows: Rows, n: int) -> "Values":
        """The values of every action for n rows of a batch."""
        business, assumed = _filled(catalogue.values, self.business, computed, rows)
        customer, also_assumed = _filled(catalogue.customer_values, self.customer, computed, rows)
        raw = business
        if self.benefit_weight:
            raw = business + self.benefit_weight * customer
            if also_assumed is not None:
                assumed = also_assumed if assumed is None else assumed | also_assumed
        if self.business or self.benefit_weight:
            raw = np.maximum(raw, 0.0)
        return Values(
            business=_for_all(business, n),
            customer=_for_all(customer, n),
            raw=_for_all(raw, n),
            scaled=_for_all(self.scaling.scaled(raw), n),
            assumed=assumed,
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


def _for_all(numbers: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """n x A, of numbers that are so already or A."""
    return spread(numbers, n) if numbers.ndim == 1 else numbers


def _filled(
    declared: NDArray[np.float64], formulas: ValueFormulas, computed: Columns, rows: Rows
) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """The numbers of every action, and where one was assumed: A and None where no row differs, else n x A."""
    if not formulas:
        return declared, None
    actions = [action for action, _ in formulas]
    found, stands_in = computed_numbers([formula for _, formula in formulas], computed, rows)
    numbers = spread(declared, len(found)).copy()
    assumed = np.zeros(numbers.shape, dtype=np.bool_)
    numbers[:, actions], assumed[:, actions] = found, stands_in
    return numbers, assumed
