"""The aggregates of a schema: from events to records, and from a batch's records to columns of X."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feature_store.aggregate import Kind
from feature_store.event import Event
from feature_store.feature import FIRST_SECOND, LAST_SECOND, Feature, FeatureType
from feature_store.history import name_hash
from feature_store.records import join
from feature_store.schema import FeatureSchema
from feature_store.tally import ADD, BUCKETS, DECAYED, LAST, MOST_VALUES, RECORD, SEEN, Tally, Unfit, tally_of

Floats = NDArray[np.float64]
FIELD = b"e"
"""Of a customer's hash: the records of all tallies, those of one behind each other."""

_KEY_BYTES = 16


class Misfit(NamedTuple):
    """A property of an event that the aggregate of a feature could not use, and why."""

    feature: str
    property: str
    message: str


class Aggregates:
    """What the events of a customer add up to. `columns` are the columns of X that it fills."""

    def __init__(self, schema: FeatureSchema) -> None:
        self._features = schema.aggregated
        self.columns = np.array([schema.slice(f.name).start for f in self._features], np.intp)
        of_feature = [tally_of(feature) for feature in self._features]
        self._tallies = sorted({tally.mark: tally for tally in of_feature}.values(), key=lambda t: t.mark)
        self._names = {t.mark: f.name for f, t in zip(self._features, of_feature, strict=True)}
        self._by_event: dict[str, list[Tally]] = {}
        for tally in self._tallies:
            for event in tally.aggregate.events:
                self._by_event.setdefault(event, []).append(tally)
        self._marks = np.array([tally.mark for tally in self._tallies], np.uint64)
        self._operations = np.array([tally.operation for tally in self._tallies], np.intp)
        places = {tally.mark: place for place, tally in enumerate(self._tallies)}
        self._readers = [
            (column, places[tally.mark], _Reader(feature))
            for column, (feature, tally) in enumerate(zip(self._features, of_feature, strict=True))
        ]
        nobody = np.empty(len(self._features))
        self._read(self._fold(np.empty(0, RECORD), np.zeros(1, np.intp), 0.0), nobody[None], 0.0)
        self._nobody = nobody

    def __bool__(self) -> bool:
        return bool(self._features)

    def records(self, event: Event) -> tuple[bytes, list[Misfit]]:
        """What an event adds to the state of its customer, and what of it could not be used."""
        parts: list[bytes] = []
        misfits: list[Misfit] = []
        for tally in self._by_event.get(event.event, ()):
            if tally.wants(event.properties):
                try:
                    parts.append(tally.record(event))
                except Unfit as error:
                    name = tally.aggregate.of or ""
                    misfits.append(Misfit(self._names[tally.mark], name, str(error)))
        return b"".join(parts), misfits

    def values(self, states: Sequence[bytes | None], now: float) -> Floats:
        """The aggregates of each customer as of `now`, shape (n, len(columns)); NaN is missing.

        Of whom there are no events, nothing is counted: that is 0, but no last value and no recency.
        """
        values = np.tile(self._nobody, (len(states), 1))
        if any(states):
            records, counts = join(states, RECORD)
            self._read(self._fold(records, counts, now), values, now)
        return values

    def _fold(self, records: NDArray[np.void], counts: NDArray[np.intp], now: float) -> "_Folded":
        """Add up the records of each customer, of whom `counts` (n,) says how many there are."""
        shape = (len(counts), len(self._tallies))
        place = np.searchsorted(self._marks, records["mark"])
        place[place == len(self._marks)] = 0
        known = self._marks.take(place) == records["mark"] if len(self._marks) else np.zeros(0, np.bool_)
        place, slot, number = place[known], records["slot"][known], records["number"][known]
        cell = np.repeat(np.arange(len(counts)), counts)[known] * len(self._tallies) + place
        operation, bound = self._operations.take(place), self._bounds(now).take(place)
        weight = np.zeros(len(cell))
        weight[operation == ADD] = (number * (slot > bound))[operation == ADD]
        weight[operation == SEEN] = (number > bound)[operation == SEEN]
        decayed = operation == DECAYED
        weight[decayed] = np.exp2(number[decayed] - bound[decayed])
        total = np.bincount(cell, weight, shape[0] * shape[1]).reshape(shape).astype(np.float64, copy=False)
        when, said = np.full(shape, np.nan), np.full(shape, np.nan)
        last = np.flatnonzero((operation == LAST) & (slot > bound))
        last = last[np.lexsort((number[last], slot[last]))]  # the latest is written last, and stays
        when.reshape(-1)[cell[last]] = slot[last]
        said.reshape(-1)[cell[last]] = number[last]
        return _Folded(total, when, said)

    def _bounds(self, now: float) -> Floats:
        """For each tally what tells the records that still count: of ADD the last bucket that is over, of
        SEEN and LAST the time that is, of DECAYED the weight of 1 now."""
        bounds = []
        for tally in self._tallies:
            window, half_life = tally.aggregate.window, tally.aggregate.half_life
            if tally.operation == ADD:
                bounds.append(now // tally.bucket - BUCKETS)
            elif half_life is not None:
                bounds.append(now / half_life)
            else:
                bounds.append(-np.inf if window is None else now - window)
        return np.array(bounds)

    def _read(self, folded: "_Folded", values: Floats, now: float) -> None:
        for column, place, reader in self._readers:
            values[:, column] = reader.read(folded, place, now)


def seen_too(state: bytes | None, added: Iterable[bytes]) -> bytes:
    """A state in which records count that are not stored: as `Aggregates.values` reads it, not as it would be
    stored. A value that was seen already does not count twice."""
    records = state or b""
    for record in _each(b"".join(added)):
        at = _find(records, record[:_KEY_BYTES]) if record[0] == SEEN else -1
        if at < 0:
            records += record
        else:
            later = max(record, records[at : at + RECORD.itemsize], key=_number)
            records = records[:at] + later + records[at + RECORD.itemsize :]
    return records


class _Folded(NamedTuple):
    """By customer and tally: the sum of what counts, when the last event was, and what it said, NaN where
    there was none; each of shape (n, tallies)."""

    total: Floats
    when: Floats
    said: Floats


class _Reader:
    """A feature's number from what its tally adds up to."""

    def __init__(self, feature: Feature) -> None:
        aggregate = feature.aggregate
        assert aggregate is not None, "only aggregated features are read"  # noqa: S101
        self._feature, self._kind, self._unit = feature, aggregate.kind, aggregate.unit
        self._per_window = aggregate.unit / (aggregate.window or 1.0)
        hashes: Mapping[int, int] = {name_hash(level): code for level, code in feature.codes.items()}
        self._hashes = np.array([*sorted(hashes), np.inf])
        self._codes = np.array([*(hashes[known] for known in sorted(hashes)), np.nan])

    def read(self, folded: _Folded, place: int, now: float) -> Floats:
        """The feature of each customer, shape (n,)."""
        match self._kind:
            case Kind.LAST:
                return self._said(folded.said[:, place])
            case Kind.RECENCY if self._feature.type is FeatureType.TIMESTAMP:
                return folded.when[:, place]
            case Kind.RECENCY:
                return np.maximum(now - folded.when[:, place], 0.0) / self._unit
            case Kind.RATE:
                return folded.total[:, place] * self._per_window
            case Kind.DISTINCT:
                return np.minimum(folded.total[:, place], MOST_VALUES)
            case _:
                return folded.total[:, place]

    def _said(self, said: Floats) -> Floats:
        if self._feature.type is FeatureType.CATEGORY:
            found = np.searchsorted(self._hashes, said)
            found[found == len(self._hashes)] = len(self._hashes) - 1  # NaN is behind all
            return np.where(self._hashes[found] == said, self._codes[found], np.nan)
        if self._feature.type is FeatureType.TIMESTAMP:
            return np.where((said >= FIRST_SECOND) & (said <= LAST_SECOND), said, np.nan)
        return said


def _each(records: bytes) -> Iterable[bytes]:
    size = RECORD.itemsize
    return (records[at : at + size] for at in range(0, len(records), size))


def _find(records: bytes, key: bytes) -> int:
    """Where the record begins that has this key; -1 if there is none."""
    at = records.find(key)
    while at >= 0 and at % RECORD.itemsize:
        at = records.find(key, at + 1)
    return at


def _number(record: bytes) -> float:
    return float(np.frombuffer(record, RECORD)["number"][0])
