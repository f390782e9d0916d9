"""Loops that become machine code: for what takes too many calls of numpy to be said in columns.

Numba compiles a function for exactly the types that are stated, when its module is imported, and keeps the
code beside the source (or where `NUMBA_CACHE_DIR` says): the next process has it in milliseconds, if it may
write there. A call with other types, such as an array that is not contiguous, is a `TypeError` and never a
compilation in mid-request.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any, TypeVar, cast, get_args, get_type_hints

import numba
import numpy as np
from numba.core import types
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])

Floats = Annotated[NDArray[np.float64], types.float64[::1]]
FloatTable = Annotated[NDArray[np.float64], types.float64[:, ::1]]
FloatCube = Annotated[NDArray[np.float64], types.float64[:, :, ::1]]
Integers = Annotated[NDArray[np.intp], types.intp[::1]]
IntegerTable = Annotated[NDArray[np.intp], types.intp[:, ::1]]
Codes = Annotated[NDArray[np.int32], types.int32[::1]]
CodeTable = Annotated[NDArray[np.int32], types.int32[:, ::1]]
Keys = Annotated[NDArray[np.uint64], types.uint64[::1]]
Flags = Annotated[NDArray[np.bool_], types.boolean[::1]]
FlagTable = Annotated[NDArray[np.bool_], types.boolean[:, ::1]]
States = Annotated[NDArray[np.int8], types.int8[:, ::1]]
Words = Annotated[NDArray[np.uint32], types.uint32[::1]]
Bytes = Annotated[bytes, types.Bytes(types.uint8, 1, "C", readonly=True)]
"""What arguments can be annotated with: contiguous arrays of one to three dimensions, which can be written
to, and bytes, which can be read one by one."""

_BaseTuple: Any = types.BaseTuple
_njit: Any = numba.njit
"""With options that its types don't know: of parts nothing is made that only Python or C would call."""
_SCALARS = {int: types.intp, float: types.float64, bool: types.boolean, type(None): types.void}


@contextmanager
def _unseen(module: str) -> Iterator[None]:
    """Meanwhile there is no such module, for who can do without it, unless it is imported already."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # Python's own way of saying so
    try:
        yield
    finally:
        del sys.modules[module]


# Numba looks whether it could multiply matrices, which no loop here does, by importing SciPy's linear
# algebra: a tenth of all that a service imports.
with _unseen("scipy.linalg.cython_blas"):
    import_module("numba.np.arraymath")


def compiled(*signatures: str) -> Callable[[Function], Function]:
    """Compile a function for these signatures, such as `"void(f8[:, ::1], i8)"`; without any, for the types
    that its annotations name: those above, numbers, and named tuples of them. Threads run it without the GIL.

    What it calls has to be `part` of the same module, as have to be its constants and named tuples, since
    code that is kept is made anew only when its own file changes. A variable that begins as a number written
    out makes Numba compile twice what it is passed to, as for two types; `int(np.intp(0))` does not. Floats
    behave as numpy's do, in the order in which they are written: nothing is rearranged, and division by zero
    is infinite.
    """

    def compile_(function: Function) -> Function:
        stated = list(signatures or [_annotated(function)])
        try:
            made = _njit(stated, cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True)(function)
        except RuntimeError:  # there is no folder that can be written to
            made = _njit(stated, nogil=True, error_model="numpy")(function)
        return cast(Function, made)

    return compile_


def part(function: Function) -> Function:
    """A function that compiled ones of the same module call. Python must not: there is no way in for it."""
    return cast(
        Function, _njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    )


def _annotated(function: Callable[..., Any]) -> Any:
    """The signature that the annotations of a function state."""
    hints = get_type_hints(function, include_extras=True)
    found = hints.pop("return")
    return _type(found)(*map(_type, hints.values()))


def _type(hint: Any) -> Any:
    if hint in _SCALARS:
        return _SCALARS[hint]
    if isinstance(hint, type):
        fields = get_type_hints(hint, include_extras=True).values()
        return _BaseTuple.from_types(tuple(map(_type, fields)), hint)
    return get_args(hint)[1]
