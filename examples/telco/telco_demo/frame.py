"""Columns of X by feature name, with categories and set members by theirs."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feature_store.schema import FeatureSchema

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Frame:
    """Reads and writes features of n customers in X, shape (n, schema.width)."""

    def __init__(self, schema: FeatureSchema, X: Floats) -> None:
        self.schema = schema
        self.X = X

    def __len__(self) -> int:
        return len(self.X)

    def __call__(self, name: str, missing: float = 0.0) -> Floats:
        """A number, flag or timestamp, shape (n,), with `missing` in place of NaN."""
        values = self.X[:, self.schema.slice(name)][:, 0]
        return np.where(np.isnan(values), missing, values)

    def known(self, name: str) -> Bools:
        """Where the feature is not missing."""
        return ~np.isnan(self.X[:, self.schema.slice(name)][:, 0])

    def among(self, name: str, *levels: str) -> Bools:
        """Where the category is one of the levels."""
        codes = [float(self.schema.feature(name).codes[level]) for level in levels]
        return np.isin(self.X[:, self.schema.slice(name)][:, 0], codes)

    def has(self, name: str, member: str) -> Bools:
        """Where the set holds the member."""
        column = self.schema.slice(name).start + self.schema.feature(name).codes[member]
        held: Bools = self.X[:, column] == 1.0
        return held

    def put(self, name: str, values: ArrayLike, where: ArrayLike = True) -> None:
        """Write a number, flag, timestamp or category code; missing where not `where`."""
        self.X[:, self.schema.slice(name)] = np.where(where, values, np.nan)[:, None]

    def put_levels(self, name: str, levels: "NDArray[np.str_]", where: ArrayLike = True) -> None:
        """Write a category by the names of its levels."""
        known = np.array(self.schema.feature(name).levels)
        order = np.argsort(known)
        self.put(name, order[np.searchsorted(known, levels, sorter=order)], where)

    def put_members(self, name: str, members: dict[str, Bools]) -> None:
        """Write a set: who holds each member; nobody holds a member that is not named."""
        self.X[:, self.schema.slice(name)] = 0.0
        for member, held in members.items():
            self.X[:, self.schema.slice(name).start + self.schema.feature(name).codes[member]] = held
