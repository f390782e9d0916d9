"""Bodies that are one row or a list of rows, each of which is taken or refused by itself."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from service.api.bodies import Misfit
from service.api.problems import Problem, faults_of, invalid_body
from service.runtime.faults import Fault


class Rows:
    """The rows of a body: `fitting` has those that fit by their index."""

    def __init__(self, body: Any) -> None:
        self._listed = isinstance(body, list)
        rows: list[Any] = body if self._listed else [body]
        self.fitting = {index: row for index, row in enumerate(rows) if not isinstance(row, Misfit)}
        self._misfits = {index: row for index, row in enumerate(rows) if isinstance(row, Misfit)}

    def problem(self, faults: Sequence[tuple[int, Fault]], counts: Mapping[str, object]) -> Problem | None:
        """What is to be said of the rows that don't fit, and of those fitting ones (by their number) that
        have faults; None if all is well. `counts` says what became of the others."""
        unfit = [(index, fault) for index, row in self._misfits.items() for fault in faults_of(row.errors)]
        indexes = list(self.fitting)
        found = sorted([*unfit, *((indexes[number], fault) for number, fault in faults)], key=itemgetter(0))
        if not found:
            return None
        problem = invalid_body([self._placed(index, fault) for index, fault in found])
        problem.extensions.update(counts)
        return problem

    def placed(self, faults: Sequence[tuple[int, Fault]]) -> list[Fault]:
        """Faults of fitting rows (by their number) with the paths to them in the body."""
        indexes = list(self.fitting)
        return [self._placed(indexes[number], fault) for number, fault in faults]

    def _placed(self, index: int, fault: Fault) -> Fault:
        if not self._listed:
            return fault
        return Fault(f"[{index}].{fault.path}" if fault.path else f"[{index}]", fault.message)
