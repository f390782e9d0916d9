"""How a model's rows are laid out: the same for training and for serving, so that they can't drift apart."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from feature_store.schema import FeatureSchema, FeatureType

BUILT_IN = ("action", "channel")
"""The categorical inputs that follow the features in every row."""


class Inputs(NamedTuple):
    """What the columns of a model's rows mean: the columns of the features, then action and channel, by the
    codes of these names."""

    schema: FeatureSchema
    actions: tuple[str, ...]
    channels: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return (*self.schema.columns, *BUILT_IN)


@dataclass(frozen=True, slots=True)
class Layout:
    """A model's row: its columns of X, then the code of the action, then that of the channel.

    columns     the columns of X that the model reads, in its order
    timestamps  the positions in a row that hold a timestamp: models read it as seconds from now, because
                how long a contract still runs matters later too, and the date that it ends on does not
    """

    columns: NDArray[np.intp]
    timestamps: NDArray[np.intp]

    @classmethod
    def of(cls, schema: FeatureSchema, columns: Iterable[str]) -> Self:
        """The layout of a model that reads the named columns of a schema, in that order.

        Raises:
            KeyError: the schema has no such column.
        """
        places = {column: place for place, column in enumerate(schema.columns)}
        columns = tuple(columns)
        moments = {feature.name for feature in schema.features if feature.type is FeatureType.TIMESTAMP}
        return cls(
            np.array([places[column] for column in columns], np.intp),
            np.array([place for place, column in enumerate(columns) if column in moments], np.intp),
        )

    @property
    def width(self) -> int:
        """How many columns a row has."""
        return len(self.columns) + len(BUILT_IN)

    def rows(
        self,
        X: NDArray[np.float64],
        requests: NDArray[np.intp],
        now: NDArray[np.float64],
        actions: NDArray[np.float64],
        channels: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """One row for each candidate, shape (m, width).

        Args:
            X: features with defaults applied, shape (n, F); NaN is missing.
            requests: the row of X that each candidate belongs to, shape (m,).
            now: epoch seconds of each candidate's decision, shape (m,).
            actions: the model's code of each candidate's action, shape (m,); NaN is unseen.
            channels: likewise of its channel.
        """
        features = len(self.columns)
        rows = np.empty((len(requests), self.width))
        rows[:, :features] = X[:, self.columns][requests]
        if len(self.timestamps):
            rows[:, self.timestamps] -= now[:, None]
        rows[:, features] = actions
        rows[:, features + 1] = channels
        return rows
