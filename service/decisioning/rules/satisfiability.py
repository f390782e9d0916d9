"""Whether a customer can exist for whom some conditions hold: "never" is a proof, "possible" is not.

What is looked for is a case in which every flag has the outcome that is asked for: a state of each column (a
level, a bit, missing), and an order of the values that are compared. Alternatives are tried one after
another, and a case whose states contradict one another, or whose orders do (`orders.py`), is none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from feature_store.feature import FeatureType
from feature_store.schema import FeatureSchema
from service.decisioning.rules.needs import All, Any, Goal, Need, State, Wanted, expanded
from service.decisioning.rules.nodes import Flag
from service.decisioning.rules.orders import Order, consistent

MOST_CASES = 2_000
"""Cases that are tried; beyond that nothing is proven."""


class Solver:
    """Proofs over the customers that a schema allows."""

    def __init__(self, schema: FeatureSchema) -> None:
        self._columns = _Columns(schema)

    def possible(self, flags: Iterable[Flag]) -> bool:
        """False only if it is proven that no customer, at no time, makes all flags true."""
        return self._met([Goal(flag, Wanted.TRUE) for flag in flags])

    def implies(self, flags: Iterable[Flag], then: Flag) -> bool:
        """True only if it is proven that `then` is true wherever all of `flags` are."""
        return not self._met([*(Goal(flag, Wanted.TRUE) for flag in flags), Goal(then, Wanted.NOT_TRUE)])

    def conflict(self, flags: Sequence[Flag]) -> tuple[int, ...]:
        """The positions of flags that can't all be true, none of which could be left out; empty if none is
        proven."""
        if self.possible(flags):
            return ()
        kept = list(range(len(flags)))
        for position in range(len(flags)):
            rest = [other for other in kept if other != position]
            if not self.possible(flags[other] for other in rest):
                kept = rest
        return tuple(kept)

    def _met(self, needs: Sequence[Need]) -> bool:
        return _Search(self._columns).meets(_Case(), list(needs))


class _Columns:
    """What the schema says of each column of X: the codes that it may have, whether it may be missing, and
    the first column of its feature, with which it is missing together."""

    def __init__(self, schema: FeatureSchema) -> None:
        self.first: list[int] = []
        self.codes: list[frozenset[int]] = []
        self.there: list[frozenset[bool]] = []
        self.times: set[int] = set()
        one_code = (FeatureType.NUMBER, FeatureType.TIMESTAMP)  # what number it is, the orders tell
        for feature in schema.features:
            start, count = len(self.first), len(feature.levels) or (1 if feature.type in one_code else 2)
            there = frozenset({True}) if feature.default is not None else frozenset({True, False})
            self.first += [start] * feature.width
            self.codes += [frozenset(range(count))] * feature.width
            self.there += [there] * feature.width
            if feature.type is FeatureType.TIMESTAMP:
                self.times.add(start)


@dataclass(frozen=True)
class _Case:
    """What is settled: the codes that columns may have, by column; whether features may be there or not, by
    their first column; and the orders of values."""

    codes: dict[int, frozenset[int]] = field(default_factory=dict)
    there: dict[int, frozenset[bool]] = field(default_factory=dict)
    orders: tuple[Order, ...] = ()


class _Search:
    """Depth first through the cases, as long as there are few."""

    def __init__(self, columns: _Columns) -> None:
        self._columns = columns
        self._cases = 0

    def meets(self, case: _Case | None, needs: list[Need]) -> bool:
        """Whether some case can't be ruled out; `needs` is used up."""
        choices: list[Any] = []
        while needs and case is not None:
            need = needs.pop()
            match need:
                case Goal():
                    needs.append(expanded(need))
                case All(of):
                    needs += of
                case Any(of) if len(of) == 1:
                    needs += of
                case Any():
                    choices.append(need)
                case State():
                    case = self._narrowed(case, need)
                case Order():
                    case = _Case(case.codes, case.there, (*case.orders, need))
        return case is not None and self._some(case, choices)

    def _some(self, case: _Case, choices: list[Any]) -> bool:
        """Whether some way to choose can't be ruled out; the choice among fewest comes first."""
        if not consistent(case.orders, self._columns.times, case.codes):
            return False
        if not choices:
            return True
        smallest = min(choices, key=lambda choice: len(choice.of))
        others: list[Need] = [choice for choice in choices if choice is not smallest]
        for need in smallest.of:
            self._cases += 1
            if self._cases > MOST_CASES or self.meets(case, [*others, need]):
                return True
        return False

    def _narrowed(self, case: _Case, need: State) -> _Case | None:
        """The case with a column in one of some states; None where it can't be."""
        first = self._columns.first[need.index]
        codes = case.codes.get(need.index, self._columns.codes[need.index])
        if need.codes is not None:
            codes = codes & need.codes
        there = case.there.get(first, self._columns.there[first])
        if not need.missing:
            there = there & {True}
        if not codes:
            there = there & {False}
        if not there:
            return None
        return _Case({**case.codes, need.index: codes}, {**case.there, first: there}, case.orders)
