"""Which scorer a model is served by: the fastest of those that are proven equal."""

import logging
import time
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.forest import UnsupportedForest
from models.scorers import CompiledScorer, InvalidModel, LightGBMScorer, Scorer

Choice = Literal["auto", "lightgbm", "compiled"]

ROUNDS = 3
"""Of a measurement, of which the fastest counts."""
TIMED = 32
"""Golden rows that are scored for it: about a batch."""
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
    try:
        compiled = CompiledScorer(reference, model)
        _check_equal(compiled, reference, rows)
    except UnsupportedForest as error:
        if choice == "compiled":
            raise InvalidModel(f"it can't be scored by machine code: {error}") from error
        log.info("LightGBM's library serves a model: %s", error)
        return reference
    few = rows[:TIMED]
    if choice == "auto" and _seconds(compiled, few) > CLEARLY_SLOWER * _seconds(reference, few):
        return reference
    return compiled


def _check_equal(scorer: Scorer, reference: Scorer, rows: NDArray[np.float64]) -> None:
    """Compare margins. Where columns are shuffled against each other, paths through trees are met that no
    customer takes."""
    generator = np.random.default_rng(0)
    shuffled = [generator.permuted(rows, axis=0) for _ in range(SHUFFLES)]
    everything = np.concatenate([rows, *shuffled])
    off = scorer.margins(everything) != reference.margins(everything)
    if off.any():
        raise UnsupportedForest(f"{int(off.sum())} of {len(off)} rows get other scores than by LightGBM")


def _seconds(scorer: Scorer, rows: NDArray[np.float64]) -> float:
    """The processor time that it takes to score rows: who else has the processor meanwhile does not count."""
    return min(_timed(scorer, rows) for _ in range(ROUNDS))


def _timed(scorer: Scorer, rows: NDArray[np.float64]) -> float:
    started = time.thread_time()
    scorer.margins(rows)
    return time.thread_time() - started
