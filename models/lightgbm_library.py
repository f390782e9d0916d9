"""LightGBM's C library, for predicting only.

Serving goes past the Python package. Importing that takes 0.9 s and 96 MB, and makes every full garbage
collection 24 ms longer, because it brings scikit-learn and SciPy along; and its `Booster.predict` takes 24 us
for a row that takes 11 us here. The functions used are LightGBM's documented, stable C API (`c_api.h`).
"""

import ctypes
import importlib.util
import weakref
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import openmp

_FLOAT64, _ROW_MAJOR = 1, 1
_RAW_SCORE, _CONTRIBUTIONS = 1, 3
_ALL_TREES = (0, -1)
_PLACES = ("lib/lib_lightgbm.so", "lib/lib_lightgbm.dylib", "bin/lib_lightgbm.dll", "lib/lib_lightgbm.dll")


class LightGBMError(Exception):
    """What the library says went wrong."""


class NativeBooster:
    """A LightGBM model that predicts raw margins, and says what they are made of.

    Threads may share one; the GIL is free meanwhile.

    Args:
        text: the model as LightGBM writes it.
        threads: how many threads one call may use.

    Raises:
        LightGBMError: the text is no model, or not one with a single output.
    """

    def __init__(self, text: bytes, threads: int = 1) -> None:
        library = load_library()
        handle, iterations = ctypes.c_void_p(), ctypes.c_int()
        _check(library.LGBM_BoosterLoadModelFromString(text, ctypes.byref(iterations), ctypes.byref(handle)))
        self._handle = handle
        self._finalizer = weakref.finalize(self, library.LGBM_BoosterFree, handle)
        self._parameters = f"num_threads={threads} verbosity=-1".encode()
        self._predict = library.LGBM_BoosterPredictForMat
        self.trees = iterations.value
        self.width = self._ask(library.LGBM_BoosterGetNumFeature)
        outputs = self._ask(library.LGBM_BoosterGetNumClasses)
        if outputs != 1:
            raise LightGBMError(f"the model has {outputs} outputs, and a propensity needs one")

    def margins(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The raw scores (log-odds) of rows of shape (m, width); shape (m,).

        Raises:
            ValueError: rows of another shape.
            LightGBMError: the library refuses.
        """
        return self._predicted(rows, _RAW_SCORE, 1)[:, 0]

    def contributions(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each column adds to the raw score of rows of shape (m, width); shape (m, width + 1).

        Exact SHAP values of the trees (Lundberg et al., Consistent Individualized Feature Attribution for
        Tree Ensembles, 2018). The last column is what a row of which nothing is known would score, so that a
        row of the answer adds up to its margin.

        Raises:
            ValueError: rows of another shape.
            LightGBMError: the library refuses.
        """
        return self._predicted(rows, _CONTRIBUTIONS, self.width + 1)

    def _predicted(self, rows: NDArray[np.float64], kind: int, outputs: int) -> NDArray[np.float64]:
        """A prediction of some kind with so many outputs a row, shape (m, outputs)."""
        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise ValueError(f"rows must have the shape (m, {self.width}), not {rows.shape}")
        rows = np.ascontiguousarray(rows, np.float64)  # the library reads the memory as it lies
        predicted = np.empty((len(rows), outputs))
        if not len(rows):
            return predicted
        written = ctypes.c_int64()
        _check(
            self._predict(
                self._handle,
                rows.ctypes.data,
                _FLOAT64,
                len(rows),
                self.width,
                _ROW_MAJOR,
                kind,
                *_ALL_TREES,
                self._parameters,
                ctypes.byref(written),
                predicted.ctypes.data,
            )
        )
        return predicted

    def _ask(self, question: "ctypes._NamedFuncPointer") -> int:
        answer = ctypes.c_int()
        _check(question(self._handle, ctypes.byref(answer)))
        return answer.value


@cache
def load_library() -> ctypes.CDLL:
    """The shared library inside the installed `lightgbm` package, found without importing the package.

    Raises:
        LightGBMError: it is not installed, or can't be loaded.
    """
    openmp.ensure()
    spec = importlib.util.find_spec("lightgbm")
    if spec is None or spec.origin is None:
        raise LightGBMError("the Python package 'lightgbm' is not installed")
    folder = Path(spec.origin).parent
    path = next((folder / place for place in _PLACES if (folder / place).is_file()), None)
    if path is None:
        raise LightGBMError(f"there is no LightGBM library in {folder}")
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise LightGBMError(f"the LightGBM library can't be loaded: {error}") from error
    _declare(library)
    return library


def _declare(library: ctypes.CDLL) -> None:
    pointer, number = ctypes.c_void_p, ctypes.c_int
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    library.LGBM_BoosterLoadModelFromString.argtypes = [ctypes.c_char_p, pointer, pointer]
    library.LGBM_BoosterFree.argtypes = [pointer]
    library.LGBM_BoosterGetNumFeature.argtypes = [pointer, pointer]
    library.LGBM_BoosterGetNumClasses.argtypes = [pointer, pointer]
    library.LGBM_BoosterPredictForMat.argtypes = [
        pointer,  # the booster
        pointer,  # the rows
        number,  # their type
        ctypes.c_int32,  # how many there are
        ctypes.c_int32,  # how wide they are
        number,  # row by row or column by column
        number,  # which kind of prediction
        number,  # the first tree
        number,  # how many trees; -1 is all
        ctypes.c_char_p,  # parameters
        pointer,  # out: how many numbers were written
        pointer,  # out: the numbers
    ]


def _check(status: int) -> None:
    if status:
        raise LightGBMError(load_library().LGBM_GetLastError().decode(errors="replace"))
