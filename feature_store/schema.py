"""The feature schema: what is known of a customer and a request, in the order of the columns of X.

X is float64 with one row per customer or request and one column per number, flag, category, timestamp or
member of a set. A flag is 0 or 1, a category the index of its level, a set one 0/1 column per member, a
timestamp epoch seconds. NaN is missing; a set is missing as a whole, and an empty one is zeros.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from feature_store.aggregate import Aggregate
from feature_store.declaration import declared
from feature_store.documents import did_you_mean, load_document
from feature_store.feature import STORED, Feature, FeatureType, Source

__all__ = ["STORED", "Feature", "FeatureSchema", "FeatureType", "FieldError", "Source"]

MAX_HINTS = 10
"""How many unknown names of one call are told what may be meant: looking for it takes its time."""


@dataclass(frozen=True)
class FieldError:
    """Why the value given for one feature can't be used."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


@dataclass(frozen=True)
class FeatureSchema:
    """The declared features in the order of their file, and how their values lie in the columns of X."""

    features: tuple[Feature, ...]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of X's columns: the feature's, or `products=fibre_500` for each member of a set."""
        return tuple(column for feature in self.features for column in feature.columns)

    @property
    def width(self) -> int:
        """How many columns X has."""
        return len(self.columns)

    @cached_property
    def defaults(self) -> NDArray[np.float64]:
        """The default of each column, shape (width,); NaN where there is none."""
        values = [value for feature in self.features for value in feature.encode(feature.default)]
        defaults = np.array(values, np.float64)
        defaults.flags.writeable = False
        return defaults

    @cached_property
    def timestamps(self) -> list[int]:
        """The columns that are timestamps."""
        return [
            self.slice(feature.name).start
            for feature in self.features
            if feature.type is FeatureType.TIMESTAMP
        ]

    @cached_property
    def _places(self) -> dict[str, tuple[Feature, int, int]]:
        places, start = {}, 0
        for feature in self.features:
            places[feature.name] = (feature, start, start + feature.width)
            start += feature.width
        return places

    def feature(self, name: str) -> Feature:
        """The feature of that name.

        Raises:
            KeyError: there is none; the message suggests a name.
        """
        return self._place(name)[0]

    def slice(self, name: str) -> slice:
        """Which columns of X belong to the feature of that name.

        Raises:
            KeyError: there is none; the message suggests a name.
        """
        _, start, stop = self._place(name)
        return slice(start, stop)

    def _place(self, name: str) -> tuple[Feature, int, int]:
        try:
            return self._places[name]
        except KeyError:
            raise KeyError(f"no feature '{name}'{did_you_mean(name, self._places)}") from None

    def by_source(self, source: Source) -> tuple[Feature, ...]:
        """The features that come from there, in order."""
        return tuple(feature for feature in self.features if feature.source is source)

    def assembled(self, source: Source) -> tuple[Feature, ...]:
        """Those of them that are written as a whole, by whoever knows them; the others come from events."""
        return tuple(feature for feature in self.by_source(source) if feature.aggregate is None)

    @cached_property
    def aggregated(self) -> tuple[Feature, ...]:
        """The features that are computed from events, in order."""
        return tuple(feature for feature in self.features if feature.aggregate is not None)

    @cached_property
    def counted_events(self) -> frozenset[str]:
        """The names of the events that features are computed from."""
        return frozenset(
            name for f in self.aggregated if f.aggregate is not None for name in f.aggregate.events
        )

    def definition(self, names: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """What makes stored values readable later: names, types, sources, levels and members, in order.

        With `names`, of those features only, in the order of `names`.
        """
        features = self.features if names is None else [self.feature(name) for name in names]
        return [_definition(feature) for feature in features]

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change whenever the definition does."""
        return fingerprint(self.definition())

    @cached_property
    def packed(self) -> bytes:
        """The definition as JSON, which `from_definition` reads."""
        return json.dumps(self.definition()).encode()

    @classmethod
    def from_definition(cls, definition: Sequence[Mapping[str, Any]]) -> Self:
        """The schema that `definition` describes, without defaults, ages and descriptions."""
        return cls(tuple(_defined(entry) for entry in definition))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read `features.yaml`.

        Raises:
            WorkspaceError: with every problem of the file and its line.
        """
        return cls(declared(load_document(path)))

    def encode(
        self, values: Mapping[str, object], out: NDArray[np.float64], sources: Collection[Source]
    ) -> list[FieldError]:
        """Write named values into `out`, one row of X, shape (width,); None makes a feature missing.

        Only features of `sources` may be set. What is not named, or in error, stays as it is in `out`.
        """
        errors: list[FieldError] = []
        for name, value in values.items():
            place = self._places.get(name)
            if place is None or place[0].source not in sources:
                errors.append(FieldError(name, self._stranger(name, sources, hint=len(errors) < MAX_HINTS)))
                continue
            feature, start, stop = place
            try:
                out[start:stop] = feature.encode(value)
            except ValueError as error:
                errors.append(FieldError(name, str(error)))
        return errors

    def _stranger(self, name: str, sources: Collection[Source], hint: bool) -> str:
        wanted = " or ".join(source for source in Source if source in sources)
        if name in self._places:
            return f"is a {self._places[name][0].source} feature; only {wanted} features can be set here"
        known = [feature.name for feature in self.features if feature.source in sources]
        return f"is not a declared {wanted} feature{did_you_mean(name, known) if hint else ''}"

    def decode(self, row: NDArray[np.float64], source: Source) -> dict[str, object]:
        """The JSON-ready values of one source in a row of X, shape (width,); what is missing is left out."""
        values: dict[str, object] = {}
        for feature in self.by_source(source):
            value = feature.decode(row[self.slice(feature.name)].tolist())
            if value is not None:
                values[feature.name] = value
        return values


def fingerprint(definition: object) -> str:
    """16 hex digits of the BLAKE2b of a JSON value in canonical form."""
    text = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _definition(feature: Feature) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": feature.name, "type": str(feature.type), "source": str(feature.source)}
    if feature.levels:
        entry["levels"] = list(feature.levels)
    if feature.members:
        entry["members"] = list(feature.members)
    if feature.aggregate is not None:
        entry["aggregate"] = feature.aggregate.definition
    return entry


def _defined(entry: Mapping[str, Any]) -> Feature:
    aggregate = entry.get("aggregate")
    return Feature(
        name=entry["name"],
        type=FeatureType(entry["type"]),
        source=Source(entry["source"]),
        levels=tuple(entry.get("levels", ())),
        members=tuple(entry.get("members", ())),
        aggregate=None if aggregate is None else Aggregate.from_definition(aggregate),
    )
