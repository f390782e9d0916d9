"""Loops that become machine code: for what takes too many calls of numpy to be said in columns.

Numba compiles a function for exactly the types that are stated, when its module is imported, and keeps the
code beside the source (or where `NUMBA_CACHE_DIR` says): the next process has it in milliseconds. A call with
other types, such as an array that is not contiguous, is a `TypeError` and never a compilation in mid-request.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(*signatures: str) -> Callable[[Function], Function]:
    """Compile a function for these signatures, such as `"void(f8[:, ::1], i8)"`. Threads run it without the
    GIL.

    What it calls has to be `part` of the same module, since code that is kept is made anew only when its own
    file changes. Floats behave as numpy's do, in the order in which they are written: nothing is rearranged,
    and division by zero is infinite.
    """

    def compile_(function: Function) -> Function:
        try:
            made = numba.njit(list(signatures), cache=True, nogil=True, error_model="numpy")(function)
        except RuntimeError:  # there is no folder that can be written to
            made = numba.njit(list(signatures), nogil=True, error_model="numpy")(function)
        return cast(Function, made)

    return compile_


def part(function: Function) -> Function:
    """A function that compiled ones of the same module call."""
    return cast(Function, numba.njit(error_model="numpy")(function))
