"""From nodes to instructions, in which equal parts stand once.

A flag is computed as two columns, where it is true and where it is false, and only as far as one of them
is asked for. This is the three-valued logic of CEL's errors without a mask: `a && b` is true where both are
true, and false where one is false; where it is neither, it is an error. A comparison with NaN, the missing
value, is neither by itself.
"""

from collections.abc import Callable, Iterable

from service.decisioning.rules import nodes
from service.decisioning.rules.nodes import Flag, Value
from service.decisioning.rules.operations import Instruction
from service.decisioning.rules.program import Program

OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


class ProgramBuilder:
    """Collects the columns that are wanted; each is computed once, whoever asks for it.

    The place of a column is the number of the instruction that makes it.
    """

    def __init__(self) -> None:
        self._instructions: dict[Instruction, int] = {}
        self._places: dict[object, int] = {}

    def build(self) -> Program:
        """The program for all that was asked for so far."""
        return Program(tuple(self._instructions))

    def true(self, flag: Flag) -> int:
        """The place of the column (bool) that tells where a flag is true."""
        return self._once(("true", flag), lambda: self._truth(flag, True))

    def false(self, flag: Flag) -> int:
        """The place of the column (bool) that tells where a flag is false."""
        return self._once(("false", flag), lambda: self._truth(flag, False))

    def value(self, value: Value) -> int:
        """The place of a column of doubles: NaN where it is an error. (A NaN may also have been computed.)"""
        return self._once(("value", value), lambda: self._value(value))

    def known(self, value: Value) -> int:
        """The place of the column (bool) that tells where a value is no error."""
        return self._once(("known", value), lambda: self._known(value))

    def _once(self, key: object, place: Callable[[], int]) -> int:
        if key not in self._places:
            self._places[key] = place()
        return self._places[key]

    def _make(self, kind: str, of: Iterable[int] = (), literals: Iterable[float] = ()) -> int:
        """The place of what an instruction makes."""
        return self._add(Instruction(kind, tuple(of), tuple(literals)))

    def _add(self, instruction: Instruction) -> int:
        return self._instructions.setdefault(instruction, len(self._instructions))

    # --- values -----------------------------------------------------------------------------------------

    def _value(self, value: Value) -> int:
        match value:
            case nodes.Now():
                return self._make("now")
            case nodes.Constant(number):
                return self._make("constant", literals=[number])
            case nodes.Column(index):
                return self._column(index)
            case nodes.Size(start, stop):
                return self._make("sum", map(self._column, range(start, stop)))
            case nodes.Negative(of):
                return self._make("negative", [self.value(of)])
            case nodes.Arithmetic(operator, left, right, moment):
                made = self._two_numbers(operator, left, right)
                return self._make("moment", [made]) if moment else made
            case nodes.Choice(condition, yes, no):
                sides = self.true(condition), self.false(condition)
                return self._make("choice", (*sides, self.value(yes), self.value(no)))
        raise AssertionError(f"no such value: {value}")

    def _column(self, index: int) -> int:
        return self._make("column", literals=[index])

    def _two_numbers(self, kind: str, left: Value, right: Value) -> int:
        """What is made of two values, of which the second may be a constant as it is."""
        if isinstance(right, nodes.Constant):
            return self._make(kind, [self.value(left)], [right.value])
        return self._make(kind, [self.value(left), self.value(right)])

    def _known(self, value: Value) -> int:
        if value.plain:
            return self._make("present", [self.value(value)])
        match value:
            case nodes.Constant():
                return self._constant(True)
            case nodes.Negative(of):
                return self.known(of)
            case nodes.Arithmetic(left=left, right=right):
                return self._all([self.known(left), self.known(right)])
            case nodes.Choice(condition, yes, no):
                return self._chosen(condition, self.known(yes), self.known(no))
        raise AssertionError(f"no such value: {value}")

    # --- flags ------------------------------------------------------------------------------------------

    def _side(self, flag: Flag, wanted: bool) -> int:
        return self.true(flag) if wanted else self.false(flag)

    def _truth(self, flag: Flag, wanted: bool) -> int:
        """Where a flag is `wanted`."""
        match flag:
            case nodes.Truth(value):
                return self._constant(value is wanted)
            case nodes.Bit(index):
                return self._make("==", [self._column(index)], [float(wanted)])
            case nodes.Present(index):
                return self._make("present" if wanted else "missing", [self._column(index)])
            case nodes.Level(index, table):
                return self._level(index, table, wanted)
            case nodes.Comparison():
                return self._comparison(flag, wanted)
            case nodes.Not(of):
                return self._side(of, not wanted)
            case nodes.All(of):
                return self._joined(of, wanted, every=wanted)
            case nodes.Any(of):
                return self._joined(of, wanted, every=not wanted)
        return self._of_several(flag, wanted)

    def _of_several(self, flag: Flag, wanted: bool) -> int:
        """The flags that need both sides of another, or another column of X."""
        match flag:
            case nodes.Same(left, right):
                yes, no = self._side(right, wanted), self._side(right, not wanted)
                return self._chosen(left, yes, no)
            case nodes.FlagChoice(condition, yes, no):
                return self._chosen(condition, self._side(yes, wanted), self._side(no, wanted))
            case nodes.Known(index, of):
                return self._all([self.true(nodes.Present(index)), self._side(of, wanted)])
        raise AssertionError(f"no such flag: {flag}")

    def _constant(self, held: bool) -> int:
        return self._add(_truth(held))

    def _level(self, index: int, table: tuple[bool, ...], wanted: bool) -> int:
        codes = [code for code, marked in enumerate(table) if marked is wanted]
        if len(codes) == 1:
            return self._make("==", [self._column(index)], [float(codes[0])])
        marks = [float(marked is wanted) for marked in table]
        return self._make("level", [self._column(index)], [*marks, 0.0])

    def _comparison(self, flag: nodes.Comparison, wanted: bool) -> int:
        left, right = flag.left, flag.right
        if not (left.plain and right.plain):
            return self._masked(flag, wanted)
        sign = flag.operator if wanted else OPPOSITE[flag.operator]
        if sign == "!=":  # NaN is not equal to itself, and here it is an error
            return self._any([self._two_numbers("<", left, right), self._two_numbers(">", left, right)])
        return self._two_numbers(sign, left, right)

    def _masked(self, flag: nodes.Comparison, wanted: bool) -> int:
        """A comparison of values that may be NaN without being errors: `0.0 / 0.0 < 1.0` is false."""
        compared = self._two_numbers(flag.operator, flag.left, flag.right)
        if not wanted:
            compared = self._make("not", [compared])
        return self._all([self.known(flag.left), self.known(flag.right), compared])

    def _joined(self, flags: tuple[Flag, ...], wanted: bool, *, every: bool) -> int:
        """Where every one of some flags is `wanted`, or at least one is."""
        places = [self._side(flag, wanted) for flag in flags]
        return self._all(places) if every else self._any(places)

    def _chosen(self, condition: Flag, yes: int, no: int) -> int:
        """Where `yes` holds and the condition does, or `no` and the condition does not."""
        return self._any([self._all([self.true(condition), yes]), self._all([self.false(condition), no])])

    def _all(self, places: Iterable[int]) -> int:
        return self._reduced("all", places, neutral=True)

    def _any(self, places: Iterable[int]) -> int:
        return self._reduced("any", places, neutral=False)

    def _reduced(self, kind: str, places: Iterable[int], *, neutral: bool) -> int:
        """All or any of some columns; what is certain beforehand is not computed."""
        certain = {held: self._instructions.get(_truth(held)) for held in (True, False)}
        taken = [place for place in dict.fromkeys(places) if place != certain[neutral]]
        decisive = certain[not neutral]
        if decisive is not None and decisive in taken:
            return decisive
        if not taken:
            return self._constant(neutral)
        return taken[0] if len(taken) == 1 else self._make(kind, taken)


def _truth(held: bool) -> Instruction:
    return Instruction("truth", literals=(float(held),))
