"""The engagement policies of a snapshot: rules over actions and over treatments, evaluated together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.experiments import Assigned
from service.decisioning.rules.program import Columns, Program
from service.decisioning.stages import STAGES, STILL_IN, Removal, Stage

Codes = NDArray[np.unsignedinteger]


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
    """Which rules cover what: up to m rules each of g kinds of subjects (actions or treatments). Those that
    the same rules cover are of one kind.

    subjects  k      indexes into the catalogue's actions or treatments
    kinds     k      the kind of each
    rows      m x g  the rows of `Columns.flags` that tell where a rule holds
    codes     m x g  what a rule that does not hold leaves in `removed_by`, less 1, unsigned; the greatest
                     number fills the columns
    stages    m x g  the index of its stage
    """

    subjects: NDArray[np.intp]
    kinds: NDArray[np.intp]
    rows: NDArray[np.intp]
    codes: Codes
    stages: NDArray[np.intp]

    @classmethod
    def of(cls, program: Program, coded: Sequence[tuple[int, Rule, Sequence[int]]]) -> "RuleTable":
        """From (code, rule, subjects), by ascending codes."""
        lists: dict[int, list[int]] = {}
        for number, (_, _, subjects) in enumerate(coded):
            for subject in subjects:
                lists.setdefault(subject, []).append(number)
        kinds = {numbers: kind for kind, numbers in enumerate(dict.fromkeys(map(tuple, lists.values())))}
        shape = max(map(len, kinds), default=0), len(kinds)
        last = max((code for code, _, _ in coded), default=0)
        unsigned = np.uint16 if last < np.iinfo(np.uint16).max else np.uint32
        codes: Codes = np.full(shape, np.iinfo(unsigned).max, unsigned)
        rows, stages = np.zeros(shape, np.intp), np.zeros(shape, np.intp)
        for numbers, kind in kinds.items():
            rules = [coded[number] for number in numbers]
            rows[: len(rules), kind] = program.rows([rule.place for _, rule, _ in rules])
            codes[: len(rules), kind] = [code - 1 for code, _, _ in rules]
            stages[: len(rules), kind] = [STAGES.index(rule.stage) for _, rule, _ in rules]
        subjects = sorted(lists)
        return cls(
            np.array(subjects, np.intp),
            np.array([kinds[tuple(lists[subject])] for subject in subjects], np.intp),
            rows,
            codes,
            stages,
        )

    def remove(self, computed: Columns, assigned: Assigned, removed_by: NDArray[np.int32]) -> None:
        """Take out (in place, n x subjects) who is still in and fails a rule of a stage that is heard."""
        if not self.subjects.size:
            return
        never = np.iinfo(self.codes.dtype).max
        holds = computed.flags * self.codes.dtype.type(never)
        failed = self._first(holds, self.codes)
        for skips, rows in assigned.skipping():
            skipped = np.isin(self.stages, [STAGES.index(stage) for stage in skips])
            failed[:, rows] = self._first(holds[:, rows], np.where(skipped, never, self.codes))
        failed = failed.take(self.kinds, axis=0).T
        if self.subjects.size == removed_by.shape[1]:
            removed_by += failed * (removed_by == STILL_IN)
        else:
            theirs = removed_by[:, self.subjects]
            removed_by[:, self.subjects] = theirs + failed * (theirs == STILL_IN)

    def _first(self, holds: Codes, codes: Codes) -> Codes:
        """The code of the first rule that does not hold, g x n; 0 where all hold. `holds` (f x n) is the
        greatest number where a flag is true, else 0. Nothing here branches: it could not be predicted."""
        found = holds.take(self.rows, axis=0)  # m x g x n
        found |= codes[:, :, None]
        first: Codes = np.minimum.reduce(found, axis=0)
        first += 1  # the greatest number becomes 0
        return first


@dataclass(frozen=True)
class RuleBook:
    """All rules, put into the order in which they speak, and the program that evaluates them. The code of the
    rule number i in `removed_by` is `first_code + i`: the first rule that fails has the least."""

    program: Program
    rules: tuple[Rule, ...] = ()
    first_code: int = 1

    def __post_init__(self) -> None:
        in_order = sorted(self.rules, key=lambda rule: STAGES.index(rule.stage))
        object.__setattr__(self, "rules", tuple(in_order))

    def evaluate(self, batch: Batch) -> Columns:
        """Every column of the program, each computed once."""
        return self.program.run(batch.X, batch.now)

    @cached_property
    def of_actions(self) -> RuleTable:
        """The rules over actions."""
        return self._table(lambda rule: rule.actions)

    @cached_property
    def of_treatments(self) -> RuleTable:
        """The rules over treatments."""
        return self._table(lambda rule: rule.treatments)

    def _table(self, covered: Callable[[Rule], tuple[int, ...]]) -> RuleTable:
        coded = enumerate(self.rules, start=self.first_code)
        return RuleTable.of(
            self.program, [(code, rule, covered(rule)) for code, rule in coded if covered(rule)]
        )
