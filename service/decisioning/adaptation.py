"""Adaptation: how propensities follow the last outcomes, between one training of their models and the next.

For an action in a channel, responses are compared with what its model has made expect. Their ratio is the
correction by which its propensities are multiplied, and is not believed at once: a gamma distribution says
what is known of it, whose mean is

    (prior * others + responses) / (prior + expected)

`others` is the same of the other actions of its group, which in turn counts as `prior` responses at the
ratio 1. Thus a right model is left alone, and an action that is new begins where its group is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from feature_store.blocks import MOST_BLOCKS, Blocks, Length

Floats = NDArray[np.float64]

NOWHERE = 0
"""The number of no cell."""
STEPS = 4
"""Into which a doubling of what is known is divided: what exploration draws with is made afresh at each."""
BLOCKS_OF_A_HALF_LIFE = MOST_BLOCKS // 4


@dataclass(frozen=True)
class Adaptation:
    """What follows outcomes, over C channels and A actions. Times are seconds.

    cells      C x A  the number under which outcomes are counted; it names the version that predicts, so that
                      a new one begins with nothing to correct. `NOWHERE`: propensities stay as predicted
    groups     C x A  a number for all cells of one group and model in one channel
    half_life  A      responses after which an outcome counts half, unless its delay lasts longer: who forgets
                      before responses come knows only of the fast ones
    prior      A      how many responses the others of the group count for
    delay      A      from a decision to a response, on average
    unseen     A      the propensity of an action of which its model has seen nothing and that declares none:
                      it begins with the rate of its group; NaN: it begins with its prediction
    """

    cells: NDArray[np.uint64]
    groups: NDArray[np.intp]
    half_life: Floats
    prior: Floats
    delay: Floats
    unseen: Floats

    @cached_property
    def places(self) -> Mapping[int, int]:
        """Where among all C x A each cell is."""
        flat = self.cells.reshape(-1)
        return {int(flat[place]): place for place in np.flatnonzero(flat != NOWHERE).tolist()}

    @cached_property
    def numbers(self) -> Sequence[Sequence[int]]:
        """The cells as lists."""
        numbers: Sequence[Sequence[int]] = self.cells.tolist()
        return numbers

    def length(self, action: int) -> Length:
        """That of the blocks of an action's cells."""
        kept = float(self.half_life[action]), float(self.delay[action])
        return Length(*(part / BLOCKS_OF_A_HALF_LIFE for part in kept))


@dataclass(frozen=True, slots=True)
class Learned:
    """What outcomes have taught, over C channels and A actions.

    corrections  C x A  by which propensities are multiplied
    responses    C x A  how many each is made of: older ones count less
    known        C x A  how many positives are known of an action with those that its model has learnt from,
                        in `STEPS` of a doubling; the same in all channels
    """

    corrections: NDArray[np.float32]
    responses: Floats
    known: NDArray[np.int8]

    def for_batch(self, channel: NDArray[np.intp], scored: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The corrections for n requests in channels, n x A. Those without time for models have none: what
        was learned is about these."""
        corrections = self.corrections.take(channel, axis=0)
        if not scored.all():
            corrections[~scored] = 1.0
        return corrections


def learned(adaptation: Adaptation, cells: Mapping[int, Blocks], trained: Floats, now: float) -> Learned:
    """What the counts of cells teach at a moment. `trained` (A) has the positives that models know."""
    shown, expected, responses = _sums(adaptation, cells, now)
    others_shown, others_expected, others_responses = (
        _of_others(adaptation.groups, column) for column in (shown, expected, responses)
    )
    unseen = np.isnan(adaptation.unseen)
    promised = np.where(unseen, others_expected, others_shown * np.where(unseen, 0.0, adaptation.unseen))
    prior = adaptation.prior
    others = (prior + others_responses) / (prior + promised)
    corrections = (prior * others + responses) / (prior + expected)
    corrections[adaptation.cells == NOWHERE] = 1.0
    steps = known(trained + responses.sum(axis=0))
    return Learned(corrections.astype(np.float32), responses, np.tile(steps, (len(corrections), 1)))


def known(positives: Floats) -> NDArray[np.int8]:
    """So many positives in `STEPS` of a doubling."""
    steps: Floats = np.rint(STEPS * np.log2(np.maximum(positives, 1.0)))
    return steps.astype(np.int8)


def positives(known: NDArray[np.int8]) -> Floats:
    """How many positives stand for so many steps; one for none."""
    found: Floats = np.exp2(known / STEPS)
    return found


def _sums(adaptation: Adaptation, cells: Mapping[int, Blocks], now: float) -> tuple[Floats, Floats, Floats]:
    """How many were shown, expected to respond by now, and have responded, C x A: the older, the less each
    counts."""
    shape = adaptation.cells.shape
    found = [(place, cells[cell]) for cell, place in adaptation.places.items() if cell in cells]
    if not found:
        return np.zeros(shape), np.zeros(shape), np.zeros(shape)
    blocks = np.concatenate([of_cell for _, of_cell in found])
    lengths = [len(of_cell) for _, of_cell in found]
    place = np.repeat([at for at, _ in found], lengths)
    action = place % shape[1]
    last = np.cumsum(lengths) - 1
    delay = adaptation.delay[action]
    share = _responded_by(now, blocks["since"], blocks["until"], delay)
    expected = share * blocks["expected"]
    upto = np.cumsum(expected)
    after = np.repeat(upto[last], lengths) - upto
    weight = np.exp2(-after / adaptation.half_life[action])
    aged = np.exp2(-(now - blocks["until"]) / np.maximum(delay, 1e-9))
    weight = np.maximum(weight, np.where(delay > 0.0, np.minimum(aged, 1.0), 0.0))

    def summed(column: Floats) -> Floats:
        sums: Floats = np.bincount(place, weight * column, adaptation.cells.size).astype(np.float64)
        return sums.reshape(shape)

    return summed(share * blocks["shown"]), summed(expected), summed(blocks["responses"])


def _responded_by(now: float, since: Floats, until: Floats, delay: Floats) -> Floats:
    """The share of responses that have come by now to what was decided evenly from `since` to `until`, where
    they take a `delay` on average and are exponentially distributed."""
    mean = np.maximum(delay, 1e-9)
    first, last = np.maximum(now - since, 0.0) / mean, np.maximum(now - until, 0.0) / mean
    span = np.maximum(first - last, 1e-9)
    share = 1.0 - np.exp(-last) * -np.expm1(-span) / span
    return np.where(delay > 0.0, share, 1.0)


def _of_others(groups: NDArray[np.intp], column: Floats) -> Floats:
    """What the other cells of its group have, for each cell, C x A."""
    together = np.bincount(groups.reshape(-1), column.reshape(-1))
    return np.maximum(together[groups] - column, 0.0)
