"""Whether some linear inequalities over the reals can hold together, decided exactly.

Coefficients are fractions, so nothing is rounded: what is called impossible is proven to be. The method is
Fourier and Motzkin's: a variable is eliminated by adding each lower bound on it to each upper bound.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

MOST = 200
"""Inequalities at a time; beyond that nothing is proven."""


@dataclass(frozen=True)
class Form:
    """`sum of coefficient x variable + constant`."""

    terms: Mapping[Hashable, Fraction]
    constant: Fraction = Fraction(0)

    def __add__(self, other: "Form") -> "Form":
        terms = dict(self.terms)
        for variable, coefficient in other.terms.items():
            total = terms.pop(variable, Fraction(0)) + coefficient
            if total:
                terms[variable] = total
        return Form(terms, self.constant + other.constant)

    def __mul__(self, factor: Fraction) -> "Form":
        if not factor:
            return Form({})
        terms = {variable: coefficient * factor for variable, coefficient in self.terms.items()}
        return Form(terms, self.constant * factor)

    def __sub__(self, other: "Form") -> "Form":
        return self + other * Fraction(-1)


@dataclass(frozen=True)
class Inequality:
    """`form >= 0`, or `form > 0` where it is strict."""

    form: Form
    strict: bool

    @property
    def fails(self) -> bool:
        """Whether it has no variables and does not hold."""
        constant = self.form.constant
        return not self.form.terms and (constant < 0 or (self.strict and not constant))


def number(value: float) -> Form:
    """A constant."""
    return Form({}, Fraction(value))


def variable(name: Hashable) -> Form:
    """One variable."""
    return Form({name: Fraction(1)})


def feasible(inequalities: Iterable[Inequality]) -> bool:
    """False only if it is proven that they can't all hold."""
    left = list(inequalities)
    while True:
        if any(inequality.fails for inequality in left):
            return False
        left = [inequality for inequality in left if inequality.form.terms]
        if not left or len(left) > MOST:
            return True
        left = _without(_cheapest(left), left)


def _cheapest(inequalities: list[Inequality]) -> Hashable:
    """The variable whose elimination makes the fewest inequalities."""
    bounds: dict[Hashable, list[int]] = {}
    for inequality in inequalities:
        for name, coefficient in inequality.form.terms.items():
            bounds.setdefault(name, [0, 0])[coefficient > 0] += 1
    return min(bounds, key=lambda name: bounds[name][0] * bounds[name][1] - sum(bounds[name]))


def _without(name: Hashable, inequalities: list[Inequality]) -> list[Inequality]:
    lower: list[tuple[Inequality, Fraction]] = []
    upper: list[tuple[Inequality, Fraction]] = []
    rest: list[Inequality] = []
    for inequality in inequalities:
        coefficient = inequality.form.terms.get(name)
        if coefficient is None:
            rest.append(inequality)
        else:
            (lower if coefficient > 0 else upper).append((inequality, abs(coefficient)))
    for low, a in lower:
        for high, b in upper:
            joined = low.form * (1 / a) + high.form * (1 / b)
            rest.append(Inequality(joined, low.strict or high.strict))
    return rest
