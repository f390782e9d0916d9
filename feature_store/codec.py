"""Packed vectors: the stored features of one source as a few bytes for each customer.

A vector is one record of a numpy structured dtype, little-endian, in this order:

    fingerprint  u8     of the definition that it was written by
    assembled_at f8     epoch seconds
    updated      u4[]   for each feature with a max_age, the epoch second of its last update
    floats       f8[]   numbers and timestamps; NaN is missing
    codes        i2[]   categories; -1 is missing
    bits         u1[]   flags and sets: a bit for being known, then a bit per member (a flag has one)

The fingerprint covers the layout, too, so a vector is read by the definition that wrote it or not at all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from feature_store.feature import Feature, FeatureType, Source
from feature_store.schema import FeatureSchema, fingerprint

Floats = NDArray[np.float64]
Definition = dict[str, Any]

_LAYOUT = 1
_CODE_VALUES = np.append(np.arange(2.0**15), np.nan)  # of a code; the last, -1, is missing
_NEVER_OLD = 2**32 - 1
_FLOATS = frozenset({FeatureType.NUMBER, FeatureType.TIMESTAMP})
_CODES = frozenset({FeatureType.CATEGORY})
_BITS = frozenset({FeatureType.FLAG, FeatureType.SET})


@dataclass
class Decoded:
    """What came of decoding a batch.

    `assembled_at` has shape (n,) and is NaN where there was no readable vector. `unknown` names the
    fingerprints that `Codec.learn` was never told of, with the rows that they were met in; `broken` holds the
    rows whose bytes can't be a vector of their fingerprint.
    """

    assembled_at: Floats
    unknown: dict[str, list[int]] = field(default_factory=dict)
    broken: list[int] = field(default_factory=list)


class Codec:
    """Packs and unpacks the columns of X that belong to one source, but for aggregates of events."""

    def __init__(self, schema: FeatureSchema, source: Source, timed: Sequence[str] | None = None) -> None:
        """`timed` names the features whose updates are timed; left out, those with a max_age."""
        self.schema = schema
        self.source = source
        members = schema.assembled(source)
        self.features = tuple(f for kind in (_FLOATS, _CODES, _BITS) for f in members if f.type in kind)
        self.timed = [
            f for f in self.features if (f.max_age is not None if timed is None else f.name in timed)
        ]
        self.columns = np.array([c for f in self.features for c in _indices(schema.slice(f.name))], np.intp)
        self._max_ages = np.array([np.inf if f.max_age is None else f.max_age for f in self.timed])
        self._slots = _slots(self.features)
        owned = [(owner, _indices(self._slots[f.name])) for owner, f in enumerate(self.timed)]
        self._timed_columns = np.array([column for _, columns in owned for column in columns], np.intp)
        self._timed_owners = np.array([owner for owner, columns in owned for _ in columns], np.intp)
        self._floats = sum(f.type in _FLOATS for f in self.features)
        self._codes = self._floats + sum(f.type in _CODES for f in self.features)
        known, values, count = _bit_places([f for f in self.features if f.type in _BITS])
        self._known_bits, self._value_bits = np.array(known, np.intp), np.array(values, np.intp)
        self.dtype = np.dtype(
            [
                ("fingerprint", "<u8"),
                ("assembled_at", "<f8"),
                ("updated", "<u4", (len(self.timed),)),
                ("floats", "<f8", (self._floats,)),
                ("codes", "<i2", (self._codes - self._floats,)),
                ("bits", "u1", (-(-count // 8),)),
            ]
        )
        self._bit_count = count
        self.fingerprint = fingerprint(self.definition)
        self._mark = bytes.fromhex(self.fingerprint)
        self._number = np.frombuffer(self._mark, "<u8")[0]
        self._migrations: dict[bytes, _Migration] = {}
        self._blank = self._blank_record()

    def _blank_record(self) -> bytes:
        """The vector of somebody of whom nothing is known."""
        record = np.zeros(1, self.dtype)
        record["fingerprint"], record["updated"] = self._number, _NEVER_OLD
        record["assembled_at"] = record["floats"] = np.nan
        record["codes"] = -1
        return record.tobytes()

    @property
    def definition(self) -> Definition:
        """What someone else needs to read vectors of this fingerprint; JSON-ready."""
        names = [f.name for f in self.schema.assembled(self.source)]
        return {
            "layout": _LAYOUT,
            "source": str(self.source),
            "features": self.schema.definition(names),
            "timed": [f.name for f in self.timed],
        }

    @classmethod
    def from_definition(cls, definition: Definition) -> Self:
        """The codec that writes and reads vectors by that definition.

        Raises:
            ValueError: the definition is of a layout that this version doesn't know.
        """
        if definition["layout"] != _LAYOUT:
            raise ValueError(f"layout {definition['layout']} is not known here, only layout {_LAYOUT}")
        schema = FeatureSchema.from_definition(definition["features"])
        return cls(schema, Source(definition["source"]), definition["timed"])

    def learn(self, definition: Definition) -> None:
        """Be ready to migrate vectors that were written by another definition of the same source."""
        other = type(self).from_definition(definition)
        if other.source is not self.source:
            raise ValueError(f"the definition is one of {other.source} features, not of {self.source}")
        self._migrations[other._mark] = _Migration(other, self)

    def encode(self, X: Floats, now: float, updated: NDArray[np.uint32] | None = None) -> list[bytes]:
        """One vector for each row of X, shape (n, schema.width).

        `updated`, shape (n, len(timed)), holds the epoch seconds of the timed features' last updates; left
        out, all of them are updated now.
        """
        block = X[:, self.columns]
        records = np.zeros(len(X), self.dtype)
        records["fingerprint"] = self._number
        records["assembled_at"] = now
        records["updated"] = int(now) if updated is None else updated
        records["floats"] = block[:, : self._floats]
        codes = block[:, self._floats : self._codes]
        records["codes"] = np.where(np.isnan(codes), -1, codes)
        members = block[:, self._codes :]
        bits = np.zeros((len(X), self._bit_count), np.uint8)
        bits[:, self._value_bits] = members == 1.0
        bits[:, self._known_bits] = ~np.isnan(members)
        records["bits"] = np.packbits(bits, axis=1)
        data, size = records.tobytes(), self.dtype.itemsize
        return [data[start : start + size] for start in range(0, len(data), size)]

    def decode(self, blobs: Sequence[bytes | None], block: Floats, now: float) -> Decoded:
        """Write each customer's vector into their row of `block`, shape (n, len(columns)), in that order.

        What is older than its max_age at `now` is NaN, and so is a row without a readable vector. The number
        of numpy calls doesn't depend on the number of rows or features.
        """
        filled = blobs if all(blobs) else [self._blank if blob is None else blob for blob in blobs]
        data = b"".join(filled)  # type: ignore[arg-type]
        if len(data) == len(blobs) * self.dtype.itemsize:
            records = np.frombuffer(data, self.dtype)
            if (records["fingerprint"] == self._number).all():
                self._unpack(records, block)
                self._age(block, records["updated"], now)
                return Decoded(records["assembled_at"])
        return self._decode_groups(blobs, block, now)

    def _decode_groups(self, blobs: Sequence[bytes | None], block: Floats, now: float) -> Decoded:
        block.fill(np.nan)
        decoded = Decoded(np.full(len(blobs), np.nan))
        groups: dict[bytes, list[int]] = {}
        for row, blob in enumerate(blobs):
            if blob is not None:
                groups.setdefault(blob[:8], []).append(row)
        for mark, rows in groups.items():
            found = self._read_group(mark, [blobs[row] for row in rows])  # type: ignore[misc]
            if found is None:
                decoded.unknown[mark.hex()] = rows
                continue
            good, assembled_at, values, updated = found
            self._age(values, updated, now)
            chosen = np.array(rows, np.intp)[good]
            block[chosen] = values
            decoded.assembled_at[chosen] = assembled_at
            decoded.broken += [row for row, fine in zip(rows, good, strict=True) if not fine]
        return decoded

    def read(self, blob: bytes) -> tuple[Floats, NDArray[np.uint32]] | None:
        """One vector as a row of X, shape (schema.width,), of whatever age, and the update times of `timed`.

        None if it can't be read.
        """
        found = self._read_group(blob[:8], [blob])
        if found is None or not found[0][0]:
            return None
        row = np.full(self.schema.width, np.nan)
        row[self.columns] = found[2][0]
        return row, found[3][0]

    def _read_group(
        self, mark: bytes, blobs: list[bytes]
    ) -> tuple[NDArray[np.bool_], Floats, Floats, NDArray[np.uint32]] | None:
        """Vectors of one fingerprint: which are whole, and of those the times, block and update times."""
        migration = None if mark == self._mark else self._migrations.get(mark)
        if mark != self._mark and migration is None:
            return None
        writer = migration.old if migration else self
        good = np.array([len(blob) == writer.dtype.itemsize for blob in blobs], bool)
        whole = (blob for blob, fine in zip(blobs, good, strict=True) if fine)
        records = np.frombuffer(b"".join(whole), writer.dtype)
        block, updated = np.empty((len(records), len(writer.columns))), records["updated"]
        writer._unpack(records, block)
        if migration:
            block, updated = migration.apply(block, updated, records["assembled_at"])
        return good, records["assembled_at"], block, updated

    def _unpack(self, records: NDArray[np.void], block: Floats) -> None:
        """Write the records' values into a block."""
        block[:, : self._floats] = records["floats"]
        if self._codes > self._floats:
            block[:, self._floats : self._codes] = _CODE_VALUES.take(records["codes"], mode="wrap")
        if self._bit_count:
            bits = np.unpackbits(records["bits"], axis=1).view(bool)
            known = bits.take(self._known_bits, axis=1)
            block[:, self._codes :] = np.where(known, bits.take(self._value_bits, axis=1), np.nan)

    def _age(self, block: Floats, updated: NDArray[np.uint32], now: float) -> None:
        """Take what is too old out of a block."""
        if self.timed:
            stale = updated < now - self._max_ages
            if stale.any():
                old = np.zeros(block.shape, bool)
                old[:, self._timed_columns] = stale.take(self._timed_owners, axis=1)
                block[old] = np.nan


class _Migration:
    """From vectors of an old definition to a codec of today: by name of feature, level and member."""

    def __init__(self, old: Codec, new: Codec) -> None:
        self.old = old
        self._width = len(new.columns)
        self._moves = [
            (old._slots[before.name], new._slots[feature.name], _recoding(before, feature))
            for feature in new.features
            for before in old.features
            if before.name == feature.name and before.type is feature.type
        ]
        places = {f.name: place for place, f in enumerate(old.timed)}
        self._times = [places.get(f.name) for f in new.timed]

    def apply(
        self, block: Floats, updated: NDArray[np.uint32], assembled_at: Floats
    ) -> tuple[Floats, NDArray[np.uint32]]:
        """Block and update times in the new codec's order. What was not timed is as old as its vector."""
        moved = np.full((len(block), self._width), np.nan)
        for source, target, recode in self._moves:
            moved[:, target] = recode(block[:, source])
        times = np.empty((len(block), len(self._times)), np.uint32)
        for place, old_place in enumerate(self._times):
            times[:, place] = assembled_at if old_place is None else updated[:, old_place]
        return moved, times


def _recoding(before: Feature, after: Feature) -> Callable[[Floats], Floats]:
    """How the columns of a feature change when its levels or members do."""
    if before.type is FeatureType.CATEGORY:
        codes = np.array([*(after.codes.get(level, np.nan) for level in before.levels), np.nan])
        return lambda values: codes[np.nan_to_num(values, nan=-1.0).astype(np.intp)]
    if before.type is FeatureType.SET:
        # A member that is new today was in nobody's set, so it is out, not unknown.
        places = [before.codes.get(member, len(before.members)) for member in after.members]
        return lambda values: np.column_stack([values, values[:, 0] * 0.0])[:, places]
    return lambda values: values


def _indices(place: slice) -> range:
    return range(place.start, place.stop)


def _slots(features: Sequence[Feature]) -> dict[str, slice]:
    """Each feature's place in a row of columns that has the features in this order."""
    slots, start = {}, 0
    for feature in features:
        slots[feature.name] = slice(start, start + feature.width)
        start += feature.width
    return slots


def _bit_places(features: Sequence[Feature]) -> tuple[list[int], list[int], int]:
    """For each member the bit of its feature's being known and the bit of its own; and how many in all."""
    known: list[int] = []
    values: list[int] = []
    count = 0
    for feature in features:
        known += [count] * feature.width
        values += range(count + 1, count + 1 + feature.width)
        count += 1 + feature.width
    return known, values, count
