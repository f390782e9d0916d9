"""Which scorer a model is served by: the fastest of those that are proven equal."""

import logging
import time
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.forest import UnsupportedForest
from models.scorers import CompiledScorer, InvalidModel, LightGBMScorer, Scorer

Choice = Literal["auto", "lightgbm", "compiled"]

CLEARLY_SLOWER = 2.0
"""How many times the reference's processor time the compiled scorer may seem to take: a busy machine errs,
and what is compiled scores all models in one call, which this does not show."""
SHUFFLES = 3
"""How many times the golden rows are shuffled, column by column, to compare two scorers on more of them."""

log = logging.getLogger(__name__)


def choose(reference: LightGBMScorer, model: bytes, rows: NDArray[np.float64], choice: Choice) -> Scorer:
    """The scorer for a LightGBM model.

    `auto` takes the compiled one where it can be made, gives the same margins as the reference on golden
    rows (m, width) and shuffles of them, to the last bit, unless it takes clearly more time for them. Nothing
    is remembered between starts, because all of this takes a few milliseconds.

    Raises:
        InvalidModel: `compiled` is asked for, and can't be had.
    """
    if choice == "lightgbm":
        return reference
    many = _with_shuffles(rows)
    try:
        compiled = CompiledScorer(reference, model)
        found, seconds = _timed(compiled, many)
        expected, reference_seconds = _timed(reference, many)
        _check_equal(found, expected)
    except UnsupportedForest as error:
        if choice == "compiled":
            raise InvalidModel(f"it can't be scored by machine code: {error}") from error
        log.info("LightGBM's library serves a model: %s", error)
        return reference
    if choice == "auto" and seconds > CLEARLY_SLOWER * reference_seconds:
        return reference
    return compiled


def _with_shuffles(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows, and themselves with the columns shuffled against each other: so paths through trees are met that
    no customer takes."""
    generator = np.random.default_rng(0)
    return np.concatenate([rows, *(generator.permuted(rows, axis=0) for _ in range(SHUFFLES))])


def _timed(scorer: Scorer, rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The margins of rows, and the seconds of processor time that they take: who else has the processor
    meanwhile does not count."""
    started = time.thread_time()
    margins = scorer.margins(rows)
    return margins, time.thread_time() - started


def _check_equal(found: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    off = found != expected
    if off.any():
        raise UnsupportedForest(f"{int(off.sum())} of {len(off)} rows get other scores than by LightGBM")
