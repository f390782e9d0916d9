"""The engagement policies of a snapshot: rules over actions and over treatments, evaluated together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.rules.program import Array, Program
from service.decisioning.stages import STAGES, STILL_IN, Removal, Stage

Columns = list[Array]


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition that has to hold. It covers actions, or treatments (indexes into the catalogue's), which
    are out where it does not.

    `place` is the column of the program that tells where it holds; `source`, `features` and `reads_now` are
    for the explanation.
    """

    stage: Stage
    name: str
    meaning: str
    place: int
    source: str = ""
    features: tuple[str, ...] = ()
    reads_now: bool = False
    actions: tuple[int, ...] = ()
    treatments: tuple[int, ...] = ()

    @property
    def removal(self) -> Removal:
        """What a candidate says that it takes out. A treatment is missed only when the slots are filled."""
        stage = Stage.TREATMENT if self.treatments else self.stage
        return Removal(stage, self.name, self.meaning, self.source, self.features, self.reads_now)


@dataclass(frozen=True)
class RuleTable:
    """Which rules cover what: k subjects (actions or treatments) with up to m rules each.

    subjects  k      indexes into the catalogue's actions or treatments
    columns   k x m  places among `places`; the last of them never fails, and fills the rows
    codes     k x m  what a failing rule leaves in `removed_by`
    """

    places: tuple[int, ...]
    subjects: NDArray[np.intp]
    columns: NDArray[np.intp]
    codes: NDArray[np.int32]

    @classmethod
    def of(cls, covered: Iterable[tuple[int, int, Sequence[int]]]) -> "RuleTable":
        """From (code, place, subjects) of each rule, in the order in which they speak."""
        rules = list(covered)
        places = tuple(dict.fromkeys(place for _, place, _ in rules))
        position = {place: index for index, place in enumerate(places)}
        lists: dict[int, list[tuple[int, int]]] = {}
        for code, place, subjects in rules:
            for subject in subjects:
                lists.setdefault(subject, []).append((position[place], code))
        shape = len(lists), max(map(len, lists.values()), default=0)
        columns, codes = np.full(shape, len(places), np.intp), np.zeros(shape, np.int32)
        subjects_in_order = sorted(lists)
        for row, subject in enumerate(subjects_in_order):
            for nth, (column, code) in enumerate(lists[subject]):
                columns[row, nth], codes[row, nth] = column, code
        return cls(places, np.array(subjects_in_order, np.intp), columns, codes)

    def remove(self, computed: Columns, heard: NDArray[np.bool_], removed_by: NDArray[np.int32]) -> None:
        """Take out (in place, n x subjects) who is still in and fails a rule, where rules are heard (n)."""
        before = removed_by[:, self.subjects]
        takes = (before == STILL_IN) & heard[:, None]
        removed_by[:, self.subjects] = np.where(takes, self.failed(computed, len(heard)), before)

    def failed(self, computed: Columns, n: int) -> NDArray[np.int32]:
        """The code of the first rule that does not hold, n x k; 0 where all hold."""
        fails = np.zeros((len(self.places) + 1, n), dtype=np.bool_)
        for row, place in enumerate(self.places):
            np.logical_not(computed[place], out=fails[row])
        by_rule = fails[self.columns]  # k x m x n
        first = by_rule.argmax(axis=1)
        codes = np.take_along_axis(self.codes, first, axis=1)
        return np.where(by_rule.any(axis=1), codes, 0).T


@dataclass(frozen=True)
class RuleBook:
    """All rules, in the order in which they speak within a stage, and the program that evaluates them. The
    code of the rule number i in `removed_by` is `first_code + i`."""

    program: Program
    rules: tuple[Rule, ...] = ()
    first_code: int = 0

    def evaluate(self, batch: Batch) -> Columns:
        """Every column of the program, each computed once."""
        return self.program.run(batch.X, batch.now)

    @cached_property
    def of_actions(self) -> Mapping[Stage, RuleTable]:
        """The rules over actions of each stage that has some, in the order of stages."""
        return self._tables(lambda rule: rule.actions)

    @cached_property
    def of_treatments(self) -> Mapping[Stage, RuleTable]:
        """The rules over treatments, likewise."""
        return self._tables(lambda rule: rule.treatments)

    @cached_property
    def ruled_treatments(self) -> NDArray[np.intp]:
        """The treatments that a rule may take out."""
        covered = {treatment for rule in self.rules for treatment in rule.treatments}
        return np.array(sorted(covered), np.intp)

    def _tables(self, covered: Callable[[Rule], tuple[int, ...]]) -> Mapping[Stage, RuleTable]:
        coded = list(enumerate(self.rules, start=self.first_code))
        tables = {
            stage: [
                (code, rule.place, covered(rule))
                for code, rule in coded
                if rule.stage is stage and covered(rule)
            ]
            for stage in STAGES
        }
        return {stage: RuleTable.of(rules) for stage, rules in tables.items() if rules}
