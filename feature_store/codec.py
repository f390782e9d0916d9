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

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from feature_store.feature import Feature, FeatureType, Source
from feature_store.schema import FeatureSchema, fingerprint
from feature_store.unpacking import unpack_vectors

Floats = NDArray[np.float64]
Definition = dict[str, Any]

_LAYOUT = 1
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


@dataclass
class _Translated:
    """A batch of vectors of this codec, blank where there is none that can be read; the rest is as in
    `Decoded`."""

    vectors: list[bytes]
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
        self.columns = np.array([column for f in self.features for column in self._columns(f)], np.intp)
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
        self._layout = self._laid_out()
        self._migrations: dict[bytes, _Migration] = {}
        self._blank = self._blank_record()

    def _laid_out(self) -> tuple[Any, ...]:
        """What `unpack_vectors` has to know of the vectors."""
        timed = [(column, owner) for owner, f in enumerate(self.timed) for column in self._columns(f)]
        columns, owners = np.array(timed, np.intp).reshape(-1, 2).T.copy()
        return (
            int.from_bytes(self._mark, "little", signed=True),
            self.dtype.itemsize,
            *np.split(self.columns, [self._floats, self._codes]),
            self._known_bits,
            self._value_bits,
            columns,
            owners,
            np.array([np.inf if f.max_age is None else f.max_age for f in self.timed], np.float64),
        )

    def _columns(self, feature: Feature) -> range:
        """Those of X that a feature has."""
        place = self.schema.slice(feature.name)
        return range(place.start, place.stop)

    def _blank_record(self) -> bytes:
        """The vector of somebody of whom nothing is known."""
        record = np.zeros(1, self.dtype)
        record["fingerprint"], record["updated"] = np.frombuffer(self._mark, "<u8"), _NEVER_OLD
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
        return self.pack(X, now, int(now) if updated is None else updated)

    def pack(self, X: Floats, assembled_at: float | Floats, updated: int | NDArray[np.uint32]) -> list[bytes]:
        """Like `encode`, with times that may differ from vector to vector, shape (n,)."""
        block = X[:, self.columns]
        records = np.zeros(len(X), self.dtype)
        records["fingerprint"] = np.frombuffer(self._mark, "<u8")
        records["assembled_at"], records["updated"] = assembled_at, updated
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

    def decode(self, blobs: Sequence[bytes | None], X: Floats, now: float) -> Decoded:
        """Write each customer's vector into the columns of X, shape (n, schema.width), that are this codec's.

        What is older than its max_age at `now` is NaN, and so is a row without a readable vector.
        """
        filled = blobs if all(blobs) else [self._blank if blob is None else blob for blob in blobs]
        data, assembled_at = b"".join(filled), np.empty(len(blobs))  # type: ignore[arg-type]
        whole = len(data) == len(blobs) * self.dtype.itemsize
        if whole and unpack_vectors(data, X, assembled_at, now, *self._layout):
            return Decoded(assembled_at)
        found = self._translated(blobs)
        unpack_vectors(b"".join(found.vectors), X, assembled_at, now, *self._layout)
        return Decoded(assembled_at, found.unknown, found.broken)

    def read(self, blob: bytes) -> tuple[Floats, NDArray[np.uint32]] | None:
        """One vector as a row of X, shape (schema.width,), of whatever age, and the update times of `timed`.

        None if it can't be read.
        """
        found = self._translated([blob])
        if found.unknown or found.broken:
            return None
        X = np.full((1, self.schema.width), np.nan)
        self.decode(found.vectors, X, -np.inf)
        updated: NDArray[np.uint32] = np.frombuffer(found.vectors[0], self.dtype)["updated"][0]
        return X[0], updated

    def _translated(self, blobs: Sequence[bytes | None]) -> "_Translated":
        """The vectors of a batch in which some are of another definition, or can't be read."""
        groups: dict[bytes, list[int]] = {}
        for row, blob in enumerate(blobs):
            if blob is not None:
                groups.setdefault(blob[:8], []).append(row)
        found = _Translated([self._blank] * len(blobs))
        for mark, rows in groups.items():
            migration = self._migrations.get(mark)
            if mark != self._mark and migration is None:
                found.unknown[mark.hex()] = rows
                continue
            size = (migration.old if migration else self).dtype.itemsize
            whole = {row: blob for row in rows if (blob := blobs[row]) is not None and len(blob) == size}
            found.broken += [row for row in rows if row not in whole]
            vectors = migration.translate(list(whole.values())) if migration else whole.values()
            for row, vector in zip(whole, vectors, strict=True):
                found.vectors[row] = vector
        return found


class _Migration:
    """From vectors of an old definition to a codec of today: by name of feature, level and member."""

    def __init__(self, old: Codec, new: Codec) -> None:
        self.old, self._new = old, new
        before = {(f.name, f.type): f for f in old.features}
        kept = [(before[f.name, f.type], f) for f in new.features if (f.name, f.type) in before]
        origins = [origin for pair in kept for origin in self._origins(*pair)]
        self._sources, self._targets = np.array(origins, np.intp).reshape(-1, 2).T
        self._recoded = [
            (new.schema.slice(after.name), _recoding(before, after))
            for before, after in kept
            if after.levels != before.levels
        ]
        # A member that is new today was in nobody's set, so it is out, not unknown.
        self._new_members = [
            new.schema.slice(after.name).start + place
            for before, after in kept
            for place, member in enumerate(after.members)
            if member not in before.members
        ]
        places = {f.name: place for place, f in enumerate(old.timed)}
        self._times = [places.get(f.name) for f in new.timed]

    def _origins(self, before: Feature, after: Feature) -> list[tuple[int, int]]:
        """From which of the old columns each column of a feature comes; a new member from the first, which
        tells whether the set is known."""
        source, target = (
            codec.schema.slice(f.name).start for codec, f in ((self.old, before), (self._new, after))
        )
        places = [before.codes.get(member, 0) for member in after.members] or [0]
        return [(source + place, target + number) for number, place in enumerate(places)]

    def translate(self, vectors: Sequence[bytes]) -> list[bytes]:
        """Whole vectors as the new codec would have written them. What was not timed is as old as its
        vector."""
        before = np.empty((len(vectors), self.old.schema.width))
        assembled_at = self.old.decode(vectors, before, -np.inf).assembled_at
        X = np.full((len(vectors), self._new.schema.width), np.nan)
        X[:, self._targets] = before[:, self._sources]
        X[:, self._new_members] *= 0.0
        for column, codes in self._recoded:
            X[:, column] = codes[np.nan_to_num(X[:, column], nan=-1.0).astype(np.intp)]
        updated = np.frombuffer(b"".join(vectors), self.old.dtype)["updated"]
        times = np.empty((len(vectors), len(self._times)), np.uint32)
        for place, old_place in enumerate(self._times):
            times[:, place] = assembled_at if old_place is None else updated[:, old_place]
        return self._new.pack(X, assembled_at, times)


def _recoding(before: Feature, after: Feature) -> Floats:
    """The new code of each old one of a category, and of none."""
    return np.array([*(after.codes.get(level, np.nan) for level in before.levels), np.nan])


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
