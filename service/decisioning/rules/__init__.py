"""Rules in CEL, the Common Expression Language, compiled to column operations.

`Compiler` turns an expression into nodes, checked against the feature schema; `ProgramBuilder` turns the
nodes of all rules into one list of numpy operations in which equal parts occur once; `Program.run` does them
for a batch. Nothing here reads a file or a clock.

Missing values are errors, as in the CEL specification: `false && error` is false, `true || error` is true,
anything else that needs a missing value is an error, and a rule that is an error does not hold.

All numbers are doubles. Whole-number literals and `size()` are promoted wherever CEL would refuse to mix
them with doubles; where CEL would calculate with integers and get something else (`5 / 2`, `%`, more than 53
bits), the expression is refused. Timestamps and durations are seconds as doubles: exact to a quarter of a
microsecond, where CEL has nanoseconds.
"""

from service.decisioning.rules.builder import ProgramBuilder
from service.decisioning.rules.compiler import Compiled, Compiler
from service.decisioning.rules.errors import ExpressionError
from service.decisioning.rules.program import Program

__all__ = ["Compiled", "Compiler", "ExpressionError", "Program", "ProgramBuilder"]
