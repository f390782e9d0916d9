"""The engagement policies of a snapshot: rules over actions and over treatments, evaluated together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.experiments import Assigned
from service.decisioning.removal import PASSED, remove_failing
from service.decisioning.rules.program import Columns, Program
from service.decisioning.stages import STAGES, Removal, Stage


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

    subjects  k      indexes into the catalogue's actions or treatments, kind by kind
    kinds     k      the kind of each
    rows      m x g  the rows of `Columns.flags` that tell where a rule holds
    codes     m x g  what a rule that does not hold leaves in `removed_by`; `PASSED` fills the columns
    stages    m x g  the index of its stage
    """

    subjects: NDArray[np.intp]
    kinds: NDArray[np.intp]
    rows: NDArray[np.intp]
    codes: NDArray[np.int32]
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
        codes = np.full(shape, PASSED, np.int32)
        rows, stages = np.zeros(shape, np.intp), np.zeros(shape, np.intp)
        for numbers, kind in kinds.items():
            rules = [coded[number] for number in numbers]
            rows[: len(rules), kind] = program.rows([rule.place for _, rule, _ in rules])
            codes[: len(rules), kind] = [code for code, _, _ in rules]
            stages[: len(rules), kind] = [STAGES.index(rule.stage) for _, rule, _ in rules]
        subjects = sorted(lists, key=lambda subject: kinds[tuple(lists[subject])])
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
        remove_failing(
            computed.flags,
            self.rows,
            self.codes,
            self.stages,
            _spared(assigned, len(removed_by)),
            self.subjects,
            self.kinds,
            removed_by,
        )


def _spared(assigned: Assigned, n: int) -> NDArray[np.bool_]:
    """Who of n requests does not hear a stage, 11 x n."""
    spared = np.zeros((len(STAGES), n), np.bool_)
    for skips, rows in assigned.skipping():
        for stage in skips:
            spared[STAGES.index(stage), rows] = True
    return spared


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
