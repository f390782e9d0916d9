"""Logged decisions, as a draft of a workspace would have made them: turn by turn, how likely it was to choose
what was offered, and what a model of rewards expects of what it would rather have.

Each turn is taken with the logged choices of the turns before it in its answer. The draft knows of a customer
what the log knows: the features as they were, and neither contact history nor consents, promises, used volume
or account; nobody takes part in experiments.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from feature_store.progress import Progress, silent
from feature_store.schema import FeatureType
from models.evaluation.logged import LoggedChoices
from models.evaluation.rewards import RewardModel
from models.layout import Layout
from service.decisioning.batch import Batch
from service.decisioning.draws import keys_of
from service.decisioning.odds import Odds
from service.decisioning.pipeline import decide
from service.decisioning.retracing import Retracing
from service.decisioning.slate import Slate
from service.decisioning.snapshot import Snapshot
from service.decisioning.turns import NOBODY
from service.runtime.logged import LoggedOffers, LogUnfit
from service.runtime.population import rows_at_a_time

MOST_ROWS = 200_000
"""That the model of rewards is asked for at a time."""

Indexes = NDArray[np.intp]


@dataclass(frozen=True)
class Chances:
    """What a draft might have chosen at the turns of m logged offers: j pairs of an offer and an action of
    its catalogue, with the probability of each. An offer without any is of a turn that it leaves empty."""

    offer: Indexes
    action: Indexes
    probability: NDArray[np.float64]


def choices(
    snapshot: Snapshot, logged: LoggedOffers, *, seed: int = 0, progress: Progress = silent
) -> LoggedChoices:
    """The logged offers as the draft sees them.

    Raises:
        LogUnfit: the draft has none of the logged placements.
    """
    slot = _slots(snapshot, logged)
    chances = _chances(snapshot, logged, slot, progress)
    chosen = _positions(snapshot, logged.action)
    m = len(chosen)
    mine = np.zeros(m)
    same = chances.action == chosen[chances.offer]
    mine[chances.offer[same]] = chances.probability[same]
    order = np.lexsort((logged.rank, slot, logged.decision))  # as the draft fills an answer
    weights, reach = np.empty(m), np.empty(m)
    weights[order], reach[order] = _weights((mine / logged.probability)[order], logged.decision[order])
    predicted, expected = _expected(snapshot, logged, chances, seed)
    return LoggedChoices(
        rewards=logged.reward,
        weights=weights,
        reach=reach,
        covered=_summed(chances.offer, chances.probability, m),
        predicted=predicted,
        expected=expected,
        clusters=logged.customer[logged.decision],
    )


def _positions(snapshot: Snapshot, names: NDArray[np.str_]) -> Indexes:
    """Where the catalogue has actions; `NOBODY` for those that it has not."""
    places = {action.name: place for place, action in enumerate(snapshot.catalogue.actions)}
    return np.array([places.get(name, NOBODY) for name in names.tolist()], np.intp)


def _slots(snapshot: Snapshot, logged: LoggedOffers) -> Indexes:
    """m: the slot of each offer; `NOBODY` where the draft has none of that channel and placement."""
    catalogue = snapshot.catalogue
    slots = {
        (channel, catalogue.slots[slot].placement.id): slot
        for channel, its in catalogue.channel_slots.items()
        for slot in its
    }
    places = zip(logged.channel[logged.decision].tolist(), logged.placement.tolist(), strict=True)
    return np.array([slots.get(place, NOBODY) for place in places], np.intp)


def _summed(offer: Indexes, numbers: NDArray[np.float64], m: int) -> NDArray[np.float64]:
    """The sums by offer, m."""
    return np.bincount(offer, numbers, m).astype(np.float64)


def _weights(
    ratio: NDArray[np.float64], decision: Indexes
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The products of the ratios of an answer up to each turn, and up to the one before it; m each."""
    weights, reach = ratio.copy(), np.ones(len(ratio))
    first = np.append(True, decision[1:] != decision[:-1])
    for place in np.flatnonzero(~first).tolist():
        reach[place] = weights[place - 1]
        weights[place] *= reach[place]
    return weights, reach


def _chances(snapshot: Snapshot, logged: LoggedOffers, slot: Indexes, progress: Progress) -> Chances:
    decisions = np.unique(logged.decision[slot != NOBODY])
    if not decisions.size:
        raise LogUnfit(
            "the workspace has no placement of those that the log has offers for "
            f"({', '.join(np.unique(logged.placement)[:5])})"
        )
    found: list[tuple[Indexes, Indexes, NDArray[np.float64]]] = []
    size = rows_at_a_time([snapshot])
    for start in range(0, len(decisions), size):
        progress("Deciding again", start, len(decisions))
        found += _Part(snapshot, logged, slot, decisions[start : start + size]).chances()
    progress("Deciding again", len(decisions), len(decisions))
    return Chances(*(np.concatenate(columns) for columns in zip(*found, strict=True)))


class _Part:
    """Some of the decisions, decided again."""

    def __init__(self, snapshot: Snapshot, logged: LoggedOffers, slot: Indexes, decisions: Indexes) -> None:
        self._snapshot, catalogue = snapshot, snapshot.catalogue
        self._offer = np.flatnonzero((slot != NOBODY) & np.isin(logged.decision, decisions))
        self._row, self._slot = decisions.searchsorted(logged.decision[self._offer]), slot[self._offer]
        self._rank = logged.rank[self._offer]
        limits = np.zeros((len(decisions), len(catalogue.slots)), np.int32)
        np.maximum.at(limits, (self._row, self._slot), self._rank.astype(np.int32))
        batch = Batch(
            X=logged.X[decisions],
            now=logged.now[decisions],
            channel=np.array(
                [catalogue.channel_index[name] for name in logged.channel[decisions].tolist()], np.intp
            ),
            limits=limits,
            scored=np.ones(len(decisions), np.bool_),
            seeds=keys_of(logged.ids[decisions].tolist()),
        )
        chosen = _positions(snapshot, logged.action[self._offer])
        self._decisions = replace(decide(snapshot, batch), slate=self._slate(chosen))

    def _slate(self, chosen: Indexes) -> Slate:
        """What was logged as a slate of the draft. A slot ends before an action that it does not have."""
        order = np.lexsort((self._rank, self._slot, self._row))
        self._offer, self._row, self._slot, self._rank, chosen = (
            column[order] for column in (self._offer, self._row, self._slot, self._rank, chosen)
        )
        _, visit = np.unique(np.column_stack([self._row, self._slot]), axis=0, return_inverse=True)
        unknown = np.full(visit.max(initial=-1) + 1, np.iinfo(np.intp).max)
        strange = chosen == NOBODY
        np.minimum.at(unknown, visit[strange], self._rank[strange])
        kept = self._rank < unknown[visit]
        nothing, empty = np.zeros(int(kept.sum()), np.intp), np.empty(0, np.intp)
        return Slate(
            row=self._row[kept],
            slot=self._slot[kept],
            rank=self._rank[kept],
            action=chosen[kept],
            treatment=nothing,
            bundle=nothing,
            position=nothing,
            selection_probability=nothing.astype(np.float64),
            expected_cost=nothing.astype(np.float64),
            empty_row=empty,
            empty_slot=empty,
            empty_code=empty,
        )

    def chances(self) -> Iterator[tuple[Indexes, Indexes, NDArray[np.float64]]]:
        """For each turn of the log that the draft would fill: its offer (again and again), who might be
        chosen instead, and with which probability."""
        offer = dict(
            zip(
                zip(self._row.tolist(), self._slot.tolist(), self._rank.tolist(), strict=True),
                self._offer.tolist(),
                strict=True,
            )
        )
        odds = Odds(self._snapshot, self._decisions)
        for row in range(len(self._decisions.batch)):
            for turn in Retracing(self._snapshot, self._decisions, row).turns():
                place = offer.get((row, turn.slot, turn.rank))
                if place is not None and turn.best != NOBODY:
                    action = np.flatnonzero(turn.scores > -np.inf)
                    probability, _ = odds.of(row, turn, action)
                    yield np.full(len(action), place, np.intp), action, probability


def _expected(
    snapshot: Snapshot, logged: LoggedOffers, chances: Chances, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The rewards that a model expects of the logged choices and of the draft's, m each."""
    schema, m = snapshot.schema, len(logged.action)
    layout = Layout.of(schema, schema.columns)
    codes = {name: float(code) for code, name in enumerate(np.unique(logged.action).tolist())}
    of_draft = np.array([codes.get(action.name, np.nan) for action in snapshot.catalogue.actions])
    of_log = np.array([codes[name] for name in logged.action.tolist()])
    _, channel = np.unique(logged.channel, return_inverse=True)

    def rows(offers: Indexes, actions: NDArray[np.float64]) -> NDArray[np.float64]:
        decisions = logged.decision[offers]
        return layout.rows(
            logged.X, decisions, logged.now[decisions], actions, channel[decisions].astype(np.float64)
        )

    coded = [schema.slice(f.name).start for f in schema.features if f.type is FeatureType.CATEGORY]
    categories = [*coded, layout.width - 2, layout.width - 1]
    everybody = np.arange(m)
    seen = rows(everybody, of_log)
    model = RewardModel.fit(seen, logged.reward, logged.customer[logged.decision], categories, seed)
    expected = np.zeros(m)
    for start in range(0, len(chances.offer), MOST_ROWS):
        part = slice(start, start + MOST_ROWS)
        offers = chances.offer[part]
        worth = model.predict(rows(offers, of_draft[chances.action[part]]), offers)
        expected += _summed(offers, chances.probability[part] * worth, m)
    return model.predict(seen, everybody), expected
