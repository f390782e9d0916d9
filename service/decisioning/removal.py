"""Taking candidates out: the first reason stays."""

import numpy as np
from numpy.typing import NDArray

from numerics.compiling import Codes, CodeTable, Flags, FlagTable, Integers, IntegerTable, compiled, part
from service.decisioning.stages import STILL_IN

PASSED = np.int32(np.iinfo(np.int32).max)
"""More than any code: what nobody has failed leaves."""


def remove(removed_by: NDArray[np.int32], out: NDArray[np.bool_], codes: int | NDArray[np.int32]) -> None:
    """Take out (in place, n x A) the candidates `out` that are still in, for the reason of a code, or of one
    each."""
    np.copyto(removed_by, codes, where=out & (removed_by == STILL_IN))


def remove_at(
    removed_by: NDArray[np.int32], rows: NDArray[np.intp], out: NDArray[np.bool_], code: int
) -> None:
    """The same for some rows (m, each once), of which `out` is m x A, or A for all of them."""
    if rows.size:
        theirs = removed_by[rows]
        remove(theirs, out, code)
        removed_by[rows] = theirs


@part
def _note_failing(holds: Flags, spared: Flags, code: int, first: Codes) -> None:
    """Note the code of a rule for the requests that fail it and no rule with a lower code; n each. Nothing
    branches by request: it could not be predicted."""
    for request in range(len(first)):
        passes = np.int32(holds[request] | spared[request])
        first[request] = min(first[request], np.int32(code) | PASSED * passes)


@compiled()
def remove_failing(
    flags: FlagTable,
    rows: IntegerTable,
    codes: CodeTable,
    stages: IntegerTable,
    spared: FlagTable,
    subjects: Integers,
    kinds: Integers,
    removed_by: CodeTable,
) -> None:
    """Take out (in place, n x subjects or more) who is still in and fails a rule, by the first one that they
    fail.

    `flags` (f x n) has the columns of the rules; `rows`, `codes` and `stages` (m x g) and `subjects` and
    `kinds` (k) are those of a `rulebook.RuleTable`. `spared` (stages x n) tells who does not hear a stage.
    """
    first, of_kind = np.empty(len(removed_by), np.int32), -1
    for place in range(len(subjects)):
        subject, kind = subjects[place], kinds[place]
        if kind != of_kind:
            first[:], of_kind = PASSED, kind
            for rule in range(len(rows)):
                if codes[rule, kind] < PASSED:
                    holds, spares = flags[rows[rule, kind]], spared[stages[rule, kind]]
                    _note_failing(holds, spares, codes[rule, kind], first)
        for request in range(len(first)):
            was = removed_by[request, subject]
            fails = (was == STILL_IN) & (first[request] != PASSED)
            removed_by[request, subject] = was + first[request] * np.int32(fails)


@compiled()
def remove_unplaced(
    limits: CodeTable,
    treatments: CodeTable,
    ruled_slot: Integers,
    ruled_action: Integers,
    ruled: CodeTable,
    missing: CodeTable,
    code: int,
    removed_by: CodeTable,
) -> None:
    """Take out (in place, n x A) who is still in and has no treatment in a slot that is asked for.

    `limits` is n x S, the next four are `turns.Asked`'s treatments, and `missing` (n x e) has what took out
    the first choice of each of these pairs: it is the reason of those who could stand in its slot; that of
    all others is the `code`.
    """
    reasons, said = np.empty(removed_by.shape[1], np.int32), np.empty(removed_by.shape[1], np.int32)
    for row in range(len(removed_by)):
        reasons[:] = code
        for pair in range(len(ruled_slot) - 1, -1, -1):
            if limits[row, ruled_slot[pair]] > 0:
                reasons[ruled_action[pair]] = missing[row, pair]
        for slot in range(limits.shape[1]):
            if limits[row, slot] > 0:
                said[:] = treatments[slot]
                for pair in range(len(ruled_slot)):
                    if ruled_slot[pair] == slot:
                        said[ruled_action[pair]] = ruled[row, pair]
                for action in range(len(said)):
                    reasons[action] *= said[action] < 0
        for action in range(len(reasons)):
            removed_by[row, action] += reasons[action] * (removed_by[row, action] == STILL_IN)
